// The annotations with which a pod adjusts its sidecar: each with its reader, and all mistakes at once.
import { nearest } from '../spelling.ts';
import {
  type AccessLogFormat,
  accessLogFormats,
  type Capture,
  captures,
  type InjectionConfig,
  type LogLevel,
} from './config.ts';
import { carriedAnnotation, localPortsAnnotation, workloadAnnotation } from './names.ts';
import { proxyConfigAnnotation, readProxyConfig } from './proxy-config.ts';
import {
  cidrs,
  durationMs,
  logLevel,
  oneOf,
  portList,
  quantity,
  trueOrFalse,
  wholeNumber,
  WrongAnnotation,
} from './annotation-values.ts';

export interface SidecarOptions {
  /** `*` or a list, as the init container takes them. */
  readonly includeInboundPorts: string;
  readonly excludeInboundPorts: string;
  readonly includeOutboundCidrs: string;
  readonly excludeOutboundCidrs: string;
  readonly includeOutboundPorts: string;
  readonly excludeOutboundPorts: string;
  readonly resources: Resources;
  readonly logLevel: LogLevel;
  readonly accessLogFormat: AccessLogFormat;
  readonly rewriteProbes: boolean;
  readonly concurrency: number;
  readonly drainTimeoutMs: number;
  readonly capture: Capture;
  /** The application starts when the sidecar is ready, not when it merely runs. */
  readonly holdApplication: boolean;
  /** The application's questions for names come to the sidecar. */
  readonly dnsCapture: boolean;
}

export interface Resources {
  readonly requests?: Readonly<Record<string, string>>;
  readonly limits?: Readonly<Record<string, string>>;
}

type Annotations = Readonly<Record<string, string>>;

const traffic = 'traffic.sidecar.istio.io';
const names = {
  includeInboundPorts: `${traffic}/includeInboundPorts`,
  excludeInboundPorts: `${traffic}/excludeInboundPorts`,
  includeOutboundCidrs: `${traffic}/includeOutboundIPRanges`,
  excludeOutboundCidrs: `${traffic}/excludeOutboundIPRanges`,
  includeOutboundPorts: `${traffic}/includeOutboundPorts`,
  excludeOutboundPorts: `${traffic}/excludeOutboundPorts`,
  cpuRequest: 'sidecar.istio.io/proxyCPU',
  cpuLimit: 'sidecar.istio.io/proxyCPULimit',
  memoryRequest: 'sidecar.istio.io/proxyMemory',
  memoryLimit: 'sidecar.istio.io/proxyMemoryLimit',
  logLevel: 'sidecar.istio.io/logLevel',
  rewriteProbes: 'sidecar.istio.io/rewriteAppHTTPProbers',
  concurrency: 'selvage.dev/concurrency',
  drainTimeout: 'selvage.dev/drain-timeout',
  capture: 'selvage.dev/capture',
  accessLogFormat: 'selvage.dev/access-log-format',
  holdApplication: 'selvage.dev/hold-application',
  dnsCapture: 'selvage.dev/dns-capture',
} as const;

/** Other annotations under our prefixes that are not there to adjust anything. */
const others = [
  'sidecar.istio.io/inject',
  'sidecar.istio.io/status',
  carriedAnnotation,
  localPortsAnnotation,
  workloadAnnotation,
];

/** What the pod asks for, over what the cluster gives; or everything that is wrong with it. */
export function readOptions(
  annotations: Annotations,
  config: InjectionConfig,
): { readonly options: SidecarOptions; readonly mistakes: string[] } {
  const mistakes: string[] = [];
  const read = <T>(name: string, parse: (text: string) => T, otherwise: T): T => {
    const text = annotations[name];
    if (text === undefined) return otherwise;
    try {
      return parse(text.trim());
    } catch (error) {
      if (!(error instanceof WrongAnnotation)) throw error;
      mistakes.push(`the annotation ${name}: "${text}" is not ${error.message}`);
      return otherwise;
    }
  };
  const { dnsCapture: asInIstio } = readProxyConfig(annotations[proxyConfigAnnotation] ?? '');
  const options: SidecarOptions = {
    includeInboundPorts: read(names.includeInboundPorts, allOr(portList), '*'),
    excludeInboundPorts: read(names.excludeInboundPorts, portList, ''),
    includeOutboundCidrs: read(names.includeOutboundCidrs, allOr(cidrs), '*'),
    excludeOutboundCidrs: read(names.excludeOutboundCidrs, cidrs, ''),
    includeOutboundPorts: read(names.includeOutboundPorts, portList, ''),
    excludeOutboundPorts: read(names.excludeOutboundPorts, portList, ''),
    resources: readResources(annotations, config, (name) => read(name, quantity, '')),
    logLevel: read(names.logLevel, logLevel, config.logLevel),
    accessLogFormat: read(names.accessLogFormat, oneOf(accessLogFormats), config.accessLogFormat),
    rewriteProbes: read(names.rewriteProbes, trueOrFalse, true),
    concurrency: read(names.concurrency, wholeNumber(0, 256), config.concurrency),
    drainTimeoutMs: read(names.drainTimeout, durationMs(3_600_000), config.drainTimeoutMs),
    capture: read(names.capture, oneOf(captures), config.capture),
    holdApplication: read(names.holdApplication, trueOrFalse, true),
    dnsCapture: read(names.dnsCapture, trueOrFalse, asInIstio ?? config.dnsCapture),
  };
  return { options, mistakes };
}

/** Annotations of Istio's or ours that do nothing here, in a sentence each. */
export function ignoredAnnotations(annotations: Annotations): string[] {
  const known: string[] = [...Object.values(names), ...others];
  return Object.keys(annotations).flatMap((name) => {
    if (known.includes(name)) return [];
    if (name === proxyConfigAnnotation) return ignoredConfig(annotations[name] ?? '');
    if (!/^(?:traffic\.)?sidecar\.istio\.io\/|^selvage\.dev\//.test(name)) return [];
    const similar = nearest(name, known);
    const hint = similar === null ? '' : `; did you mean ${similar}?`;
    return [`the annotation ${name} is not known and changes nothing${hint}`];
  });
}

function ignoredConfig(text: string): string[] {
  const { ignored } = readProxyConfig(text);
  if (ignored.length === 0) return [];
  const what = ignored.join(', ');
  return [
    `the annotation ${proxyConfigAnnotation}: ${what} changes nothing: write the annotations of the sidecar instead`,
  ];
}

/** As Istio: where a pod says anything of resources, its word is the whole of it. */
function readResources(
  annotations: Annotations,
  config: InjectionConfig,
  read: (name: string) => string,
): Resources {
  const own = [names.cpuRequest, names.memoryRequest, names.cpuLimit, names.memoryLimit];
  const [cpuRequest, memoryRequest, cpuLimit, memoryLimit] = own.some((name) => name in annotations)
    ? own.map(read)
    : [config.cpuRequest, config.memoryRequest, config.cpuLimit, config.memoryLimit];
  const requests = present({ cpu: cpuRequest, memory: memoryRequest });
  const limits = present({ cpu: cpuLimit, memory: memoryLimit });
  return { ...(requests && { requests }), ...(limits && { limits }) };
}

function present(
  values: Readonly<Record<string, string | undefined>>,
): Record<string, string> | null {
  const given = Object.entries(values).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== '',
  );
  return given.length === 0 ? null : Object.fromEntries(given);
}

function allOr(parse: (text: string) => string): (text: string) => string {
  return (text) => (text === '*' ? text : parse(text));
}
