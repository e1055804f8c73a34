// What the injector adds, as settings: the environment of its process, which is the ConfigMap `selvage-injector`.
import {
  accessLogFormats,
  captures,
  defaultInjection,
  type InjectionConfig,
  logLevels,
  pullPolicies,
} from '#api/injection/config.ts';
import {
  anyText,
  boolean,
  fraction,
  integer,
  oneOf,
  requiredText,
} from '#runtime/setting-types.ts';
import { readSettings, Wanted } from '#runtime/settings.ts';

import { version } from './version.ts';

const defaults = defaultInjection(version);

export const injectionFields = [
  {
    name: 'image',
    env: 'SELVAGE_INJECT_IMAGE',
    parse: requiredText,
    default: defaults.image,
    doc: 'image of the sidecar and of its init container',
  },
  {
    name: 'imagePullPolicy',
    env: 'SELVAGE_INJECT_PULL_POLICY',
    parse: oneOf(...pullPolicies),
    default: defaults.imagePullPolicy,
    doc: 'when nodes fetch that image',
  },
  {
    name: 'ca',
    env: 'SELVAGE_INJECT_CA',
    parse: httpsUrl,
    default: defaults.ca,
    doc: 'where sidecars find the CA',
  },
  {
    name: 'control',
    env: 'SELVAGE_INJECT_CONTROL',
    parse: httpsUrl,
    default: defaults.control,
    doc: 'where sidecars find control',
  },
  {
    name: 'cpuRequest',
    env: 'SELVAGE_INJECT_CPU_REQUEST',
    parse: quantity,
    default: defaults.cpuRequest,
    doc: 'CPU that is set aside for a sidecar; empty: none',
  },
  {
    name: 'memoryRequest',
    env: 'SELVAGE_INJECT_MEMORY_REQUEST',
    parse: quantity,
    default: defaults.memoryRequest,
    doc: 'memory that is set aside for a sidecar; empty: none',
  },
  {
    name: 'cpuLimit',
    env: 'SELVAGE_INJECT_CPU_LIMIT',
    parse: quantity,
    default: defaults.cpuLimit,
    doc: 'CPU that a sidecar gets at most; empty: no limit',
  },
  {
    name: 'memoryLimit',
    env: 'SELVAGE_INJECT_MEMORY_LIMIT',
    parse: quantity,
    default: defaults.memoryLimit,
    doc: 'memory that a sidecar gets at most; empty: no limit',
  },
  {
    name: 'logLevel',
    env: 'SELVAGE_INJECT_LOG_LEVEL',
    parse: oneOf(...logLevels),
    default: defaults.logLevel,
    doc: 'lowest level that sidecars log',
  },
  {
    name: 'accessLogFormat',
    env: 'SELVAGE_INJECT_ACCESS_LOG_FORMAT',
    parse: oneOf(...accessLogFormats),
    default: defaults.accessLogFormat,
    doc: 'form of the access log of sidecars',
  },
  {
    name: 'otlpEndpoint',
    env: 'SELVAGE_INJECT_OTLP_ENDPOINT',
    parse: anyText,
    default: defaults.otlpEndpoint,
    doc: 'where sidecars send traces; empty: no tracing',
  },
  {
    name: 'traceSampling',
    env: 'SELVAGE_INJECT_TRACE_SAMPLING',
    parse: sampling,
    default: defaults.traceSampling,
    doc: 'part of the calls that are traced, 0 to 1; empty: as the sidecar has it',
  },
  {
    name: 'traceDebugIdentities',
    env: 'SELVAGE_INJECT_TRACE_DEBUG_IDENTITIES',
    parse: anyText,
    default: defaults.traceDebugIdentities,
    doc: 'principals whose calls are traced when they say x-selvage-trace: on, separated by commas',
  },
  {
    name: 'capture',
    env: 'SELVAGE_INJECT_CAPTURE',
    parse: oneOf(...captures),
    default: defaults.capture,
    doc: 'transparent: by iptables; explicit: by a proxy that the application is told of',
  },
  {
    name: 'concurrency',
    env: 'SELVAGE_INJECT_CONCURRENCY',
    parse: integer({ min: 0, max: 256 }),
    default: String(defaults.concurrency),
    doc: 'worker threads of a sidecar; 0: as many as CPUs',
  },
  {
    name: 'sidecarDrainTimeoutMs',
    env: 'SELVAGE_INJECT_DRAIN_TIMEOUT_MS',
    parse: integer({ min: 0, max: 3_600_000 }),
    default: String(defaults.drainTimeoutMs),
    doc: 'how long connections of a sidecar may finish when its pod ends',
  },
  {
    name: 'dnsCapture',
    env: 'SELVAGE_INJECT_DNS_CAPTURE',
    parse: boolean,
    default: String(defaults.dnsCapture),
    doc: 'whether applications look names up at their sidecar, which knows hosts of ServiceEntries',
  },
] as const;

type Values = Readonly<Record<string, string | undefined>>;

/** @throws SettingsError that names every mistake */
export function readInjectionConfig(values: Values): InjectionConfig {
  const { sidecarDrainTimeoutMs, ...settings } = readSettings(injectionFields, values);
  return { ...settings, version, drainTimeoutMs: sidecarDrainTimeoutMs };
}

function httpsUrl(text: string): string {
  if (URL.parse(text)?.protocol !== 'https:') throw new Wanted('an https URL');
  return text;
}

function quantity(text: string): string {
  if (text === '' || /^\d{1,18}(?:\.\d{1,9})?(?:[mkMGTPE]|[KMGTPE]i)?$/.test(text)) return text;
  throw new Wanted('an amount as 100m or 128Mi, or nothing');
}

function sampling(text: string): string {
  if (text !== '') fraction(text);
  return text;
}
