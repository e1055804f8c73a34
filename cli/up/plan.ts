// What a folder of YAML becomes on one machine: its pods, their ports, their programs. Pure but for the ports it asks for.
import { dirname, resolve } from 'node:path';

import type { Container, EnvironmentVariable } from '#api/kinds/pod.ts';

export interface LocalPort {
  /** The container's port: what policies and Services call it. */
  readonly port: number;
  /** As the container names it, for a Service's `targetPort`; else as the Service does; '' without. */
  readonly name: string;
  /** What it is called anywhere: $PORT_HTTP for `http`. */
  readonly names: readonly string[];
  /** Where the program must listen; it learns this from $PORT. */
  readonly app: number;
  /** Where the pod's sidecar listens in its stead; the program's own port without a sidecar. */
  readonly listen: number;
}

/** A port of a Service that carries bytes: a program calls it without a proxy, as it would in Kubernetes. */
export interface BytesPort {
  readonly service: string;
  /** `mysql.shop`. */
  readonly host: string;
  readonly port: number;
  /** The port's name; '' without. */
  readonly name: string;
}

export interface LocalProgram {
  readonly container: string;
  /** Empty: the manifest names only an image, so the user starts it. */
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly variables: readonly EnvironmentVariable[];
}

export interface LocalPod {
  readonly namespace: string;
  readonly workload: string;
  /** `payments-0`. */
  readonly name: string;
  /** What people read: its name, with the namespace before it where another has the same. */
  readonly title: string;
  readonly serviceAccount: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly LocalPort[];
  /** null: not annotated, so it is outside the mesh. */
  readonly sidecar: { readonly outbound: number; readonly admin: number } | null;
  /** Where the pod's sidecar listens for each. */
  readonly bytesPorts: readonly (BytesPort & { readonly listen: number })[];
  readonly programs: readonly LocalProgram[];
}

/** A Deployment, StatefulSet or Pod, as far as a local mesh can run it. */
export interface LocalWorkload {
  readonly namespace: string;
  readonly name: string;
  readonly replicas: number;
  readonly injected: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  /** Absolute path of its YAML file: relative commands start in its folder. */
  readonly file: string;
  readonly containers: readonly Container[];
  readonly ports: readonly {
    readonly port: number;
    readonly name: string;
    readonly names: readonly string[];
  }[];
  /** Those of its namespace: of others Kubernetes tells a program nothing. */
  readonly bytesPorts: readonly BytesPort[];
}

/**
 * Lays the workloads out, in order, on ports from `takePort`.
 * @param before the pods as they run now: what stays of them keeps its ports, so that URLs stay true
 */
export async function planPods(
  workloads: readonly LocalWorkload[],
  takePort: () => Promise<number>,
  before: readonly LocalPod[] = [],
): Promise<LocalPod[]> {
  const old = new Map(before.map((pod) => [podKey(pod), pod]));
  const pods: LocalPod[] = [];
  for (const workload of workloads) {
    const twin = workloads.some((other) => other !== workload && other.name === workload.name);
    for (let replica = 0; replica < workload.replicas; replica += 1) {
      const name = `${workload.name}-${replica}`;
      const title = twin ? `${workload.namespace}/${name}` : name;
      const was = old.get(podKey({ namespace: workload.namespace, name }));
      pods.push(await planPod(workload, { name, title }, takePort, was));
    }
  }
  return pods;
}

/** `payments/payments-0`: one of its kind in the mesh. */
export function podKey({ namespace, name }: Pick<LocalPod, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`;
}

async function planPod(
  workload: LocalWorkload,
  { name, title }: Pick<LocalPod, 'name' | 'title'>,
  takePort: () => Promise<number>,
  before: LocalPod | undefined,
): Promise<LocalPod> {
  const { injected } = workload;
  // With a sidecar or without, a port is laid out differently.
  const was = (before?.sidecar != null) === injected ? before : undefined;
  const ports: LocalPort[] = [];
  for (const { port, ...names } of workload.ports) {
    const old = was?.ports.find((one) => one.port === port);
    const app = old?.app ?? (await takePort());
    const listen = injected ? (old?.listen ?? (await takePort())) : app;
    ports.push({ port, ...names, app, listen });
  }
  const sidecar = injected
    ? (was?.sidecar ?? { outbound: await takePort(), admin: await takePort() })
    : null;
  const bytesPorts: LocalPod['bytesPorts'][number][] = [];
  for (const called of injected ? workload.bytesPorts : []) {
    const old = was?.bytesPorts.find((one) => one.host === called.host && one.port === called.port);
    bytesPorts.push({ ...called, listen: old?.listen ?? (await takePort()) });
  }
  return {
    namespace: workload.namespace,
    workload: workload.name,
    name,
    title,
    serviceAccount: workload.serviceAccount,
    labels: workload.labels,
    ports,
    sidecar,
    bytesPorts,
    programs: workload.containers.map((container) => ({
      container: container.name,
      argv: [...container.command, ...container.args],
      cwd:
        container.workingDir === ''
          ? dirname(workload.file)
          : resolve(dirname(workload.file), container.workingDir),
      variables: container.env,
    })),
  };
}
