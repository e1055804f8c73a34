// Settings of control: the one place where its environment is read.
import { apiServer } from '#runtime/kubernetes/api-server-setting.ts';
import { logLevels } from '#runtime/log.ts';
import {
  address,
  anyText,
  integer,
  list,
  oneOf,
  optional,
  requiredText,
  url,
  listenAddress,
} from '#runtime/setting-types.ts';
import { describeSettings, readSettings, Wanted, type Settings } from '#runtime/settings.ts';

import { deniedByDefault, parseCidr } from './jwks/addresses.ts';

export const controlFields = [
  {
    name: 'listen',
    env: 'SELVAGE_CONTROL_LISTEN',
    parse: listenAddress,
    default: ':15011',
    doc: 'address that sidecars connect to',
  },
  {
    name: 'admin',
    env: 'SELVAGE_CONTROL_ADMIN',
    parse: address,
    default: '127.0.0.1:15015',
    doc: 'address of health, metrics, snapshots and problems; it asks nobody who they are',
  },
  {
    name: 'health',
    env: 'SELVAGE_HEALTH',
    parse: optional(listenAddress),
    default: '',
    doc: 'address of /healthz/ready, /healthz/live and /metrics, for kubelet and Prometheus, as :15021; empty: nowhere',
  },
  {
    name: 'resources',
    env: 'SELVAGE_RESOURCES',
    parse: list(':', (part) => part),
    default: '',
    doc: 'folders (or files) of YAML, separated by ":"',
  },
  {
    name: 'kubernetes',
    env: 'SELVAGE_KUBERNETES',
    parse: optional(apiServer(process.env)),
    default: '',
    doc: 'URL of the API server of the cluster to serve, or "in-cluster"; empty: none',
  },
  {
    name: 'kubernetesFolder',
    env: 'SELVAGE_KUBERNETES_DIR',
    parse: requiredText,
    default: '/var/run/secrets/kubernetes.io/serviceaccount',
    doc: 'folder with token, ca.crt and namespace of the account that asks the API server',
  },
  {
    name: 'ca',
    env: 'SELVAGE_CA',
    parse: url('https'),
    doc: 'https URL of the CA',
  },
  {
    name: 'tokenFile',
    env: 'SELVAGE_TOKEN_FILE',
    parse: requiredText,
    doc: 'file with the token that proves who control is',
  },
  {
    name: 'trustBundleFile',
    env: 'SELVAGE_TRUST_BUNDLE_FILE',
    parse: requiredText,
    doc: 'PEM of the roots to trust at the first call to the CA',
  },
  {
    name: 'connectionsMax',
    env: 'SELVAGE_CONTROL_CONNECTIONS_MAX',
    parse: integer({ min: 1, max: 1_000_000 }),
    default: '10000',
    doc: 'connections of sidecars; further ones are refused',
  },
  {
    name: 'jwksDenied',
    env: 'SELVAGE_JWKS_DENIED',
    parse: list(',', cidr),
    default: deniedByDefault.join(','),
    doc: 'addresses that keys are never fetched from, as CIDRs separated by ","; add 127.0.0.0/8,::1 in a cluster',
  },
  {
    name: 'stateFolder',
    env: 'SELVAGE_STATE_DIR',
    parse: anyText,
    default: '',
    doc: 'folder where the last good text of each file outlives a restart; empty: nowhere',
  },
  {
    name: 'logLevel',
    env: 'SELVAGE_LOG_LEVEL',
    parse: oneOf(...logLevels),
    default: 'info',
    doc: 'lowest level that is logged',
  },
  {
    name: 'drainTimeoutMs',
    env: 'SELVAGE_DRAIN_TIMEOUT_MS',
    parse: integer({ min: 0, max: 600_000 }),
    default: '5000',
    doc: 'how long stopping may take',
  },
] as const;

export type ControlSettings = Settings<typeof controlFields>;

/** The settings of this process; throws one SettingsError that names every mistake. */
export function readControlSettings(): ControlSettings {
  const { SELVAGE_RESOURCES: folders = '', SELVAGE_KUBERNETES: cluster = '' } = process.env;
  const missing =
    folders === '' && cluster === ''
      ? [
          'SELVAGE_RESOURCES and SELVAGE_KUBERNETES are both empty: wanted folders, a cluster, or both',
        ]
      : [];
  return readSettings(controlFields, process.env, missing);
}

/** The same as text, without secrets, for the log at start. */
export function describeControlSettings(): Record<string, string> {
  return describeSettings(controlFields, process.env);
}

function cidr(text: string): string {
  try {
    parseCidr(text);
  } catch {
    throw new Wanted('addresses or CIDRs, as 169.254.0.0/16');
  }
  return text;
}
