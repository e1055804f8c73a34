// Settings of the sidecar: the one place where its environment is read.
import { isIP } from 'node:net';

import { logLevels } from '#runtime/log.ts';
import {
  type Address,
  address,
  anyText,
  boolean,
  integer,
  list,
  listenAddress,
  oneOf,
  optional,
  requiredText,
  url,
} from '#runtime/setting-types.ts';
import {
  describeSettings,
  readSettings,
  SettingsError,
  Wanted,
  type Settings,
} from '#runtime/settings.ts';

import { captureFields } from './capture/settings.ts';
import { podPortFields } from './probes/settings.ts';
import { tracingFields } from './telemetry/settings.ts';

/** A port of the workload: where we listen for it, and where the application listens. */
export interface InboundMapping {
  readonly listen: Address;
  /** The workload's own IP address, as policies call it; '': the one that is connected to. */
  readonly ip: string;
  /** The workload's own port, as policies call it. */
  readonly port: number;
  readonly application: Address;
}

/** A port that stands for a service, for programs that speak no HTTP proxy. */
export interface OutboundMapping {
  readonly listen: Address;
  /** A service by its name or address; a host outside the mesh is called as it is. */
  readonly destination: Address;
}

export const sidecarFields = [
  {
    name: 'namespace',
    env: 'SELVAGE_NAMESPACE',
    parse: requiredText,
    doc: 'namespace of the workload',
  },
  {
    name: 'workload',
    env: 'SELVAGE_WORKLOAD',
    parse: requiredText,
    doc: 'name of the workload (its Deployment)',
  },
  { name: 'pod', env: 'SELVAGE_POD', parse: anyText, default: '', doc: 'name of the pod' },
  {
    name: 'serviceAccount',
    env: 'SELVAGE_SERVICE_ACCOUNT',
    parse: requiredText,
    default: 'default',
    doc: 'service account of the pod',
  },
  {
    name: 'ca',
    env: 'SELVAGE_CA',
    parse: optional(url('https')),
    default: '',
    doc: 'the CA; or give SELVAGE_CERT_FILE and SELVAGE_KEY_FILE',
  },
  {
    name: 'control',
    env: 'SELVAGE_CONTROL',
    parse: optional(url('https')),
    default: '',
    doc: 'the control plane; or give SELVAGE_SNAPSHOT_FILE',
  },
  {
    name: 'tokenFile',
    env: 'SELVAGE_TOKEN_FILE',
    parse: anyText,
    default: '',
    doc: 'token that proves the service account to the CA; read anew for each request',
  },
  {
    name: 'trustBundleFile',
    env: 'SELVAGE_TRUST_BUNDLE_FILE',
    parse: requiredText,
    doc: 'PEM of the roots to trust at start',
  },
  {
    name: 'stateFolder',
    env: 'SELVAGE_STATE_DIR',
    parse: anyText,
    default: '',
    doc: 'where the last snapshot and the certificate with its key are kept; empty: nowhere',
  },
  {
    name: 'snapshotFile',
    env: 'SELVAGE_SNAPSHOT_FILE',
    parse: anyText,
    default: '',
    doc: 'a snapshot as JSON in place of the control plane',
  },
  {
    name: 'certFile',
    env: 'SELVAGE_CERT_FILE',
    parse: anyText,
    default: '',
    doc: 'certificate chain, PEM, in place of the CA; read again when it changes',
  },
  {
    name: 'keyFile',
    env: 'SELVAGE_KEY_FILE',
    parse: anyText,
    default: '',
    doc: 'its key, PEM',
  },
  {
    name: 'podIp',
    env: 'SELVAGE_POD_IP',
    parse: podIp,
    default: '',
    doc: 'address of the pod, where its application answers probes; empty: 127.0.0.1',
  },
  ...captureFields,
  {
    name: 'inbound',
    env: 'SELVAGE_INBOUND',
    parse: list(',', inboundMapping),
    default: '',
    doc: 'listen=[ip:]port>application for each port of the workload, separated by commas',
  },
  {
    name: 'outbound',
    env: 'SELVAGE_OUTBOUND',
    parse: optional(address),
    default: '',
    doc: 'address of the HTTP proxy for the application; empty: none',
  },
  {
    name: 'outboundPorts',
    env: 'SELVAGE_OUTBOUND_PORTS',
    parse: list(',', outboundMapping),
    default: '',
    doc: 'listen=host:port for each service that is called without the proxy, separated by commas',
  },
  {
    name: 'admin',
    env: 'SELVAGE_ADMIN',
    parse: address,
    default: '127.0.0.1:15000',
    doc: 'address of the admin endpoint',
  },
  ...podPortFields,
  {
    name: 'accessLog',
    env: 'SELVAGE_ACCESS_LOG',
    parse: anyText,
    default: '',
    doc: 'file of the access log, or /dev/stdout; empty: none',
  },
  {
    name: 'accessLogFormat',
    env: 'SELVAGE_ACCESS_LOG_FORMAT',
    parse: oneOf('text', 'json'),
    default: 'text',
    doc: 'form of the access log',
  },
  {
    name: 'accessLogKept',
    env: 'SELVAGE_ACCESS_LOG_KEPT',
    parse: boolean,
    default: 'false',
    doc: 'that log is written whole, whatever Telemetry resources say; what they want comes beside it',
  },
  ...tracingFields,
  {
    name: 'logLevel',
    env: 'SELVAGE_LOG_LEVEL',
    parse: oneOf(...logLevels),
    default: 'info',
    doc: 'least level that is logged',
  },
  {
    name: 'concurrency',
    env: 'SELVAGE_CONCURRENCY',
    parse: integer({ min: 0, max: 256 }),
    default: '1',
    doc: 'worker threads that share the ports; 0: as many as CPUs. Also --concurrency N',
  },
  {
    name: 'upgradeSocket',
    env: 'SELVAGE_UPGRADE_SOCKET',
    parse: anyText,
    default: '',
    doc: 'path of a socket by which the next version takes the ports over; empty: it does not',
  },
  {
    name: 'drainTimeoutMs',
    env: 'SELVAGE_DRAIN_TIMEOUT_MS',
    parse: integer({ min: 0, max: 3_600_000 }),
    default: '5000',
    doc: 'how long connections may finish when the sidecar is told to end',
  },
  {
    name: 'minDrainMs',
    env: 'SELVAGE_MIN_DRAIN_MS',
    parse: integer({ min: 0, max: 3_600_000 }),
    default: '0',
    doc: 'how long it still takes new connections then, as part of the drain timeout: callers learn late',
  },
] as const;

type Environment = Readonly<Record<string, string | undefined>>;

export type SidecarSettings = Settings<typeof sidecarFields>;

/** Throws one SettingsError that names every mistake. */
export function readSidecarSettings(
  env: Environment = process.env,
  args: readonly string[] = process.argv.slice(2),
): SidecarSettings {
  const settings = readSettings(sidecarFields, withFlags(env, args));
  const mistakes = contradictions(settings);
  if (mistakes.length > 0) throw new SettingsError(mistakes);
  return settings;
}

/** For the log at start. */
export function describeSidecarSettings(env: Environment = process.env): Record<string, string> {
  return describeSettings(sidecarFields, env);
}

/** `--concurrency N`, as Envoy's: the one setting that is also a flag. */
function withFlags(env: Environment, args: readonly string[]): Environment {
  if (args.length === 0) return env;
  const [flag, value] = args.length === 1 ? (args[0] ?? '').split('=', 2) : args;
  if (flag !== '--concurrency' || value === undefined || args.length > 2) {
    throw new SettingsError([`unknown arguments ${args.join(' ')}; there is --concurrency N`]);
  }
  return { ...env, SELVAGE_CONCURRENCY: value };
}

/** What only shows when several settings are looked at together. */
function contradictions(s: SidecarSettings): string[] {
  const mistakes: string[] = [];
  if ((s.certFile === '') !== (s.keyFile === '')) {
    mistakes.push('SELVAGE_CERT_FILE and SELVAGE_KEY_FILE go together');
  }
  if (s.certFile === '' && s.ca === null) {
    mistakes.push('no identity: set SELVAGE_CA, or SELVAGE_CERT_FILE and SELVAGE_KEY_FILE');
  }
  if (s.certFile === '' && s.ca !== null && s.tokenFile === '') {
    mistakes.push('SELVAGE_TOKEN_FILE is not set: the CA wants a token');
  }
  if (s.control === null && s.snapshotFile === '') {
    mistakes.push('no configuration: set SELVAGE_CONTROL or SELVAGE_SNAPSHOT_FILE');
  }
  if (s.minDrainMs > s.drainTimeoutMs) {
    mistakes.push('SELVAGE_MIN_DRAIN_MS is part of SELVAGE_DRAIN_TIMEOUT_MS and cannot be longer');
  }
  return mistakes;
}

function podIp(text: string): string {
  if (text !== '' && isIP(text) === 0) throw new Wanted('an IP address');
  return text;
}

/** `127.0.0.1:34001=8080>127.0.0.1:34002`, `127.0.0.1:34001=10.0.0.7:8080>127.0.0.1:34002`. */
function inboundMapping(text: string): InboundMapping {
  const match = /^([^=>]+)=(?:([^=>]+):)?(\d{1,5})>([^=>]+)$/.exec(text);
  const ip = (match?.[2] ?? '').replaceAll(/^\[|\]$/g, '');
  const port = Number(match?.[3] ?? Number.NaN);
  const valid = port >= 1 && port <= 65_535 && (ip === '' || isIP(ip) !== 0);
  if (match === null || !valid) {
    throw new Wanted('listen=[ip:]port>application, as 127.0.0.1:34001=8080>127.0.0.1:34002');
  }
  return { listen: listenAddress(match[1] ?? ''), ip, port, application: address(match[4] ?? '') };
}

/** `127.0.0.1:33306=mysql.shop:3306`. */
function outboundMapping(text: string): OutboundMapping {
  const match = /^([^=]+)=([^=]+)$/.exec(text);
  const destination = match === null ? null : address(match[2] ?? '');
  if (match === null || destination === null || destination.port === 0) {
    throw new Wanted('listen=host:port, as 127.0.0.1:33306=mysql.shop:3306');
  }
  return { listen: listenAddress(match[1] ?? ''), destination };
}
