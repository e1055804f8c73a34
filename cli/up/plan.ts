// What a folder of YAML becomes on one machine: its pods, their ports, their programs. Pure but for the ports it asks for.
import { dirname } from 'node:path';

import type { Container, EnvironmentVariable } from '#api/kinds/pod.ts';

export interface LocalPort {
  /** The container's port: what policies and Services call it. */
  readonly port: number;
  readonly name: string;
  /** Where the program must listen; it learns this from $PORT. */
  readonly app: number;
  /** Where the pod's sidecar listens in its stead; the program's own port without a sidecar. */
  readonly listen: number;
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
  readonly serviceAccount: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly LocalPort[];
  /** null: not annotated, so it is outside the mesh. */
  readonly sidecar: { readonly outbound: number; readonly admin: number } | null;
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
  readonly ports: readonly { readonly port: number; readonly name: string }[];
}

/** Lays the workloads out, in order, on ports from `takePort`. */
export async function planPods(
  workloads: readonly LocalWorkload[],
  takePort: () => Promise<number>,
): Promise<LocalPod[]> {
  const pods: LocalPod[] = [];
  for (const workload of workloads) {
    for (let replica = 0; replica < workload.replicas; replica += 1) {
      pods.push(await planPod(workload, replica, takePort));
    }
  }
  return pods;
}

async function planPod(
  workload: LocalWorkload,
  replica: number,
  takePort: () => Promise<number>,
): Promise<LocalPod> {
  const { injected } = workload;
  const ports: LocalPort[] = [];
  for (const { port, name } of workload.ports) {
    const app = await takePort();
    ports.push({ port, name, app, listen: injected ? await takePort() : app });
  }
  return {
    namespace: workload.namespace,
    workload: workload.name,
    name: `${workload.name}-${replica}`,
    serviceAccount: workload.serviceAccount,
    labels: workload.labels,
    ports,
    sidecar: injected ? { outbound: await takePort(), admin: await takePort() } : null,
    programs: workload.containers.map((container) => ({
      container: container.name,
      argv: [...container.command, ...container.args],
      cwd: container.workingDir === '' ? dirname(workload.file) : container.workingDir,
      variables: container.env,
    })),
  };
}
