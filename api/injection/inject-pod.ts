// A pod becomes one with a sidecar: the whole of it in one pure function, for the webhook and for `selvage inject`.
import { injectionMarks, isInjected, type Marked, type NamespaceStance } from '../injection.ts';
import { adapt, withProbes } from './adapt.ts';
import type { Capture, InjectionConfig } from './config.ts';
import { allContainers, conflictsOf, unsuitable } from './conflicts.ts';
import { initContainer, proxyContainer, sidecarVolumes } from './containers.ts';
import { inboundMappings, localPorts } from './explicit.ts';
import { type ContainerManifest, type PodManifest, readPod } from './manifest.ts';
import {
  isProtected,
  localPortsAnnotation,
  proxyName,
  statusAnnotation,
  volumes,
  workloadAnnotation,
} from './names.ts';
import { ignoredAnnotations, readOptions, type SidecarOptions } from './options.ts';
import { scrapeOf } from './scrape.ts';
import { canonicalLabels, workloadOf } from './workload-name.ts';

export interface InjectionContext {
  /** A pod does not name its own until it is stored. */
  readonly namespace: string;
  readonly stance: NamespaceStance;
  /** Where the pod is a template still; else it is read from the pod's owner. */
  readonly workload?: string;
}

export type Injection =
  | {
      /** `left`: the same pod, with `reason`. */
      readonly outcome: 'injected' | 'left';
      readonly pod: unknown;
      readonly warnings: readonly string[];
      readonly reason: string;
    }
  | { readonly outcome: 'refused'; readonly refusal: string };

/** Never throws, and changes nothing of what it is given. @param value a Pod, or a template of one */
export function injectPod(
  value: unknown,
  context: InjectionContext,
  config: InjectionConfig,
): Injection {
  const pod = readPod(value);
  if (typeof pod === 'string') return refuse(`it cannot be read: ${pod}`);
  const annotations = pod.metadata?.annotations ?? {};
  const marks = pod.metadata ?? {};
  const why = reasonToLeave(pod, context);
  if (why !== null) return left(value, why, strayMarks(pod.metadata ?? {}));
  const { options, mistakes } = readOptions(annotations, config);
  if (isSidecarThere(pod)) return reinject(pod, options);
  const reason = unsuitable(pod);
  if (reason !== null) {
    // A namespace opts in for whoever can be; who asks itself must hear that it cannot.
    if (!isInjected(marks)) return left(value, reason, [`no sidecar: ${reason}`]);
    return refuse(`${reason}, or write inject: "false"`);
  }
  const conflicts = [...conflictsOf(pod, options), ...mistakes];
  if (conflicts.length > 0) return refuse(conflicts.join('; '));
  return inject(pod, context, config, options);
}

function reasonToLeave(pod: PodManifest, { namespace, stance }: InjectionContext): string | null {
  const marks = injectionMarks(pod.metadata ?? {});
  if (isProtected(namespace)) return protectedReason(namespace);
  if (marks.includes('false')) return 'it says inject: "false"';
  if (stance === 'kept-out') return `the namespace ${namespace} is kept out by its label`;
  if (stance === 'opted-in' || marks.includes('true')) return null;
  return 'neither it nor its namespace asks for a sidecar';
}

/** Marks that are none. */
export function strayMarks(marked: Marked): string[] {
  const stray = injectionMarks(marked).find((mark) => mark !== 'true' && mark !== 'false');
  if (stray === undefined) return [];
  return [`inject: "${stray}" is neither "true" nor "false", and adds no sidecar`];
}

/** Both, since people copy annotations from running pods. */
function isSidecarThere(pod: PodManifest): boolean {
  const status = pod.metadata?.annotations?.[statusAnnotation];
  return status !== undefined && allContainers(pod).some(({ name }) => name === proxyName);
}

function inject(
  pod: PodManifest,
  context: InjectionContext,
  config: InjectionConfig,
  asked: SidecarOptions,
): Injection {
  const { metadata, spec } = pod;
  const labels = metadata?.labels ?? {};
  const annotations = metadata?.annotations ?? {};
  const options = withinGrace(asked, spec.terminationGracePeriodSeconds);
  const explicit = options.capture === 'explicit';
  const application = adapt(pod, options);
  const workload = context.workload ?? workloadOf(metadata ?? {});
  const scrape = scrapeOf(annotations, spec.containers);
  const mapped = localPorts(explicit ? allContainers(pod) : []);
  const parts = {
    config,
    options,
    workload,
    probes: application.probes,
    applicationMetrics: scrape.application,
    inboundMappings: inboundMappings(mapped),
  };
  const own = explicit ? [proxyContainer(parts)] : [initContainer(parts), proxyContainer(parts)];
  const injected: PodManifest = {
    ...pod,
    metadata: {
      ...metadata,
      labels: withMissing(labels, {
        'security.istio.io/tlsMode': 'istio',
        ...canonicalLabels(labels, workload),
      }),
      annotations: {
        ...annotations,
        ...scrape.annotations,
        ...(mapped.size > 0 && {
          [localPortsAnnotation]: JSON.stringify(Object.fromEntries(mapped)),
        }),
        [workloadAnnotation]: workload,
        [statusAnnotation]: statusOf(config, own),
      },
    },
    spec: {
      ...spec,
      initContainers: [...own, ...application.initContainers],
      containers: application.containers,
      volumes: [...(spec.volumes ?? []), ...sidecarVolumes()],
    },
  };
  const warnings = [
    ...application.warnings,
    ...ignoredAnnotations(annotations),
    ...openPorts(mapped),
    ...uncapturedNames(options),
  ];
  return { outcome: 'injected', pod: injected, warnings, reason: '' };
}

/**
 * A sidecar is there, of this version or another: it stays as it is. Only what other webhooks have added since is
 * adapted to it.
 */
function reinject(pod: PodManifest, options: SidecarOptions): Injection {
  const capture = captureOf(pod);
  const { containers, initContainers, probes, warnings } = adapt(pod, { ...options, capture });
  const changed: PodManifest = {
    ...pod,
    spec: {
      ...pod.spec,
      ...(pod.spec.initContainers && { initContainers: withProbes(initContainers, probes) }),
      containers: withProbes(containers, probes),
    },
  };
  return { outcome: 'left', pod: changed, warnings, reason: 'it has a sidecar' };
}

/** How the sidecar that is there captures; the cluster may do it otherwise by now. */
function captureOf(pod: PodManifest): Capture {
  const proxy = allContainers(pod).find(({ name }) => name === proxyName);
  const said = proxy?.env?.find(({ name }) => name === 'SELVAGE_CAPTURE')?.value;
  return said === 'explicit' ? 'explicit' : 'transparent';
}

function withMissing(
  labels: Readonly<Record<string, string>>,
  more: Readonly<Record<string, string>>,
): Record<string, string> {
  return { ...labels, ...more, ...labels };
}

/** Whoever drains for longer than the pod may take is killed in the middle. */
function withinGrace(
  options: SidecarOptions,
  graceSeconds: number | null | undefined,
): SidecarOptions {
  const graceMs = Math.max((graceSeconds ?? 30) * 1000, 0);
  return options.drainTimeoutMs <= graceMs ? options : { ...options, drainTimeoutMs: graceMs };
}

function statusOf({ version }: InjectionConfig, own: readonly ContainerManifest[]): string {
  const containers = own.map(({ name }) => name);
  return JSON.stringify({ version, containers, volumes: Object.values(volumes) });
}

function openPorts(mapped: ReadonlyMap<number, number>): string[] {
  if (mapped.size === 0) return [];
  const ports = [...mapped.keys()].join(', ');
  return [
    `capture is explicit: policy holds for callers of the mesh; let the application listen on 127.0.0.1 so that nobody else reaches port ${ports}`,
  ];
}

function uncapturedNames({ capture, dnsCapture }: SidecarOptions): string[] {
  if (!dnsCapture || capture === 'transparent') return [];
  return [
    'DNS capture changes nothing where capture is explicit: the HTTP proxy is told names, and nobody looks them up',
  ];
}

/** In a namespace where nothing is injected. */
export function leftAlone(value: unknown, namespace: string): Injection {
  return left(value, protectedReason(namespace));
}

function protectedReason(namespace: string): string {
  return `nothing in ${namespace} gets a sidecar`;
}

function left(pod: unknown, reason: string, warnings: readonly string[] = []): Injection {
  return { outcome: 'left', pod, warnings, reason };
}

function refuse(refusal: string): Injection {
  return { outcome: 'refused', refusal };
}
