// Settings of the injector: the one place where its environment is read.
import type { InjectionConfig } from '#api/injection/config.ts';
import { apiServer } from '#runtime/kubernetes/api-server-setting.ts';
import { logLevels } from '#runtime/log.ts';
import {
  address,
  integer,
  oneOf,
  requiredText,
  url,
  listenAddress,
  optional,
} from '#runtime/setting-types.ts';
import { describeSettings, readSettings, SettingsError, type Settings } from '#runtime/settings.ts';

import { injectionFields, readInjectionConfig } from './injection-fields.ts';

export const injectorFields = [
  {
    name: 'listen',
    env: 'SELVAGE_INJECTOR_LISTEN',
    parse: listenAddress,
    default: ':15017',
    doc: 'address that the API server calls, HTTPS',
  },
  {
    name: 'health',
    env: 'SELVAGE_HEALTH',
    parse: listenAddress,
    default: ':15021',
    doc: 'address of /healthz/ready, /healthz/live and /metrics, for kubelet and Prometheus',
  },
  {
    name: 'admin',
    env: 'SELVAGE_INJECTOR_ADMIN',
    parse: address,
    default: '127.0.0.1:15018',
    doc: 'address of the admin endpoint; it asks nobody who they are',
  },
  {
    name: 'kubernetes',
    env: 'SELVAGE_KUBERNETES',
    parse: optional(apiServer(process.env)),
    default: '',
    doc: 'API server whose webhooks get our caBundle: in-cluster, a URL, or empty: none',
  },
  {
    name: 'webhooks',
    env: 'SELVAGE_INJECTOR_WEBHOOKS',
    parse: requiredText,
    default: 'selvage-injector',
    doc: 'name of the MutatingWebhookConfiguration and of the ValidatingWebhookConfiguration',
  },
  { name: 'ca', env: 'SELVAGE_CA', parse: url('https'), doc: 'https URL of the CA' },
  {
    name: 'tokenFile',
    env: 'SELVAGE_TOKEN_FILE',
    parse: requiredText,
    doc: 'file with the token that proves who the injector is',
  },
  {
    name: 'trustBundleFile',
    env: 'SELVAGE_TRUST_BUNDLE_FILE',
    parse: requiredText,
    doc: 'PEM of the roots to trust at the first call to the CA',
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

/** `injection`: what is added to pods. */
export type InjectorSettings = Settings<typeof injectorFields> & {
  readonly injection: InjectionConfig;
};

/** The settings of this process; throws one SettingsError that names every mistake. */
export function readInjectorSettings(): InjectorSettings {
  const mistakes: string[] = [];
  const collect = <T>(read: () => T): T | null => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error;
      mistakes.push(...error.mistakes);
      return null;
    }
  };
  const own = collect(() => readSettings(injectorFields, process.env));
  const injection = collect(() => readInjectionConfig(process.env));
  if (own === null || injection === null) throw new SettingsError(mistakes);
  return { ...own, injection };
}

/** The same as text, for the log at start. */
export function describeInjectorSettings(): Record<string, string> {
  return describeSettings([...injectorFields, ...injectionFields], process.env);
}
