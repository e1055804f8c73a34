// What the commands read of a live Pod: whose it is, whether it is in the mesh, and how its containers fare.
import { proxyName, workloadAnnotation } from '#api/injection/names.ts';
import type { KubeObject } from '#runtime/kubernetes/client.ts';

export interface PodContainer {
  readonly name: string;
  readonly image: string;
}

export interface ContainerState {
  readonly name: string;
  readonly running: boolean;
  readonly ready: boolean;
  readonly restarts: number;
  /** `CrashLoopBackOff`, `Error`, …; '' while nothing is amiss. */
  readonly trouble: string;
  /** What is said of it. */
  readonly message: string;
}

export interface LivePod {
  readonly namespace: string;
  readonly name: string;
  /** The controller that made it, a ReplicaSet's Deployment where it has one; the pod itself where there is none. */
  readonly workload: { readonly kind: string; readonly name: string };
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly createdMs: number;
  /** It runs, or is to: not ended, and not on its way out. */
  readonly alive: boolean;
  readonly hostNetwork: boolean;
  readonly serviceAccount: string;
  readonly containers: readonly PodContainer[];
  readonly initContainers: readonly PodContainer[];
  readonly states: readonly ContainerState[];
  readonly ready: boolean;
}

interface RawPod {
  readonly spec?: {
    readonly hostNetwork?: boolean;
    readonly serviceAccountName?: string;
    readonly containers?: readonly { name: string; image?: string }[];
    readonly initContainers?: readonly { name: string; image?: string }[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly conditions?: readonly { type: string; status: string }[];
    readonly containerStatuses?: readonly RawState[];
    readonly initContainerStatuses?: readonly RawState[];
  };
}

interface RawState {
  readonly name: string;
  readonly ready?: boolean;
  readonly restartCount?: number;
  readonly state?: {
    readonly running?: object;
    readonly waiting?: { readonly reason?: string; readonly message?: string };
    readonly terminated?: Terminated;
  };
  readonly lastState?: { readonly terminated?: Terminated };
}

interface Terminated {
  readonly exitCode?: number;
  readonly reason?: string;
  readonly message?: string;
}

export function podOf(object: KubeObject): LivePod {
  const { metadata } = object;
  const { spec = {}, status = {} } = object as RawPod;
  const { name, namespace = '', labels = {}, annotations = {} } = metadata;
  const conditions = status.conditions ?? [];
  const states = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  return {
    namespace,
    name,
    workload: workloadOf(object),
    labels,
    annotations,
    createdMs: Date.parse(metadata.creationTimestamp ?? '') || 0,
    alive: metadata.deletionTimestamp === undefined && !ended.has(status.phase ?? ''),
    hostNetwork: spec.hostNetwork === true,
    serviceAccount: spec.serviceAccountName || 'default',
    containers: (spec.containers ?? []).map(containerOf),
    initContainers: (spec.initContainers ?? []).map(containerOf),
    states: states.map(stateOf),
    ready: conditions.some((one) => one.type === 'Ready' && one.status === 'True'),
  };
}

/** A pod is in the mesh when it has our container. */
export function sidecarOf(pod: LivePod): PodContainer | undefined {
  return [...pod.initContainers, ...pod.containers].find(({ name }) => name === proxyName);
}

/** It runs, whether it is of use or not; a pod that is being scheduled or pulled has none that does. */
export function isSidecarRunning(pod: LivePod): boolean {
  const state = pod.states.find(({ name }) => name === proxyName);
  return state === undefined ? pod.ready : state.running;
}

export function isReady(pod: LivePod): boolean {
  return pod.alive && pod.ready;
}

/** The tag of an image, which is the version of ours; its digest or '' where it has no tag. */
export function versionOf(image: string): string {
  const [, name = '', digest] = /^([^@]*)(?:@(.*))?$/.exec(image) ?? [];
  const tag = /:([^/:]+)$/.exec(name)?.[1];
  return tag ?? digest ?? '';
}

const ended: ReadonlySet<string> = new Set(['Succeeded', 'Failed']);

function containerOf({ name, image = '' }: { name: string; image?: string }): PodContainer {
  return { name, image };
}

function stateOf(raw: RawState): ContainerState {
  const { name, ready = false, restartCount: restarts = 0, state, lastState } = raw;
  const waiting = state?.waiting;
  const last = state?.terminated ?? lastState?.terminated;
  const failed = last !== undefined && (last.exitCode ?? 0) !== 0;
  const idle = waiting?.reason === undefined || quiet.has(waiting.reason);
  const trouble = idle ? '' : (waiting?.reason ?? '');
  return {
    name,
    running: state?.running !== undefined,
    ready,
    restarts,
    trouble: trouble || (failed && !ready ? (last.reason ?? 'Error') : ''),
    message: (failed ? last.message : undefined) ?? waiting?.message ?? '',
  };
}

/** Waiting for nothing but its turn. */
const quiet: ReadonlySet<string> = new Set(['PodInitializing', 'ContainerCreating']);

function workloadOf({ metadata }: KubeObject): LivePod['workload'] {
  const told = metadata.annotations?.[workloadAnnotation];
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  if (owner === undefined) return { kind: 'Pod', name: told ?? metadata.name };
  const hash = metadata.labels?.['pod-template-hash'];
  const suffix = `-${hash}`;
  const isDeployment =
    owner.kind === 'ReplicaSet' && hash !== undefined && owner.name.endsWith(suffix);
  if (!isDeployment) return { kind: owner.kind, name: told ?? owner.name };
  return { kind: 'Deployment', name: told ?? owner.name.slice(0, -suffix.length) };
}
