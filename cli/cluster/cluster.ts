// A cluster as the operator's commands see it: its API, and commands in its pods.
import type { KubeClient } from '#runtime/kubernetes/client.ts';
import type { ExecResult } from '#runtime/kubernetes/exec-channels.ts';
import type { ExecLimits, ExecTarget } from '#runtime/kubernetes/exec.ts';
import { KubeError } from '#runtime/kubernetes/kube-error.ts';

import { CallError } from '../calls/failure.ts';
import type { Io } from '../io.ts';
import { readKubeconfig } from './kubeconfig.ts';

export interface Cluster {
  readonly client: KubeClient;
  /** URL of the API server. */
  readonly server: string;
  /** Of the context: what a command means when it is told none. */
  readonly namespace: string;
  exec(target: ExecTarget, limits?: ExecLimits): Promise<ExecResult>;
  /** What a command that goes on writes, as it comes; null: the signal ended it. */
  follow(
    target: ExecTarget,
    onStdout: (text: string) => void,
    signal: AbortSignal,
  ): Promise<ExecResult | null>;
  close(): Promise<void>;
}

/** Options that every command of a cluster takes. */
export const clusterOptions = {
  kubeconfig: { type: 'string' },
  context: { type: 'string' },
} as const;

export interface ClusterValues {
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** Tests give a cluster of their own. */
export type OpenCluster = (values: ClusterValues) => Promise<Cluster>;

/** @throws CallError when the kubeconfig does not say how */
export async function openCluster({ kubeconfig, context }: ClusterValues): Promise<Cluster> {
  const access = await readKubeconfig({ kubeconfig, context, env: process.env });
  // Loaded late: `check` and `explain` of files start without undici.
  const [{ createKubeClient }, { execInPod, followInPod }] = await Promise.all([
    import('#runtime/kubernetes/client.ts'),
    import('#runtime/kubernetes/exec.ts'),
  ]);
  const client = createKubeClient(access, { userAgent: 'selvage-cli' });
  return {
    client,
    server: access.server,
    namespace: access.namespace,
    exec: (target, limits) => execInPod(access, target, limits),
    follow: (target, onStdout, signal) => followInPod(access, target, onStdout, signal),
    close: () => client.close(),
  };
}

/** What runs and where it says so. */
export interface ClusterCommand {
  /** For messages. */
  readonly name: string;
  readonly io: Pick<Io, 'stderr'>;
  readonly open: OpenCluster;
}

/**
 * Runs the body of a command, and says in one line why it could not be done.
 * @param read the arguments, once; throws CallError for what is wrong with them
 */
export async function runInCluster<Options extends ClusterValues>(
  { name, io, open }: ClusterCommand,
  read: () => Options,
  body: (cluster: Cluster, options: Options) => Promise<number>,
): Promise<number> {
  let cluster: Cluster | null = null;
  try {
    const options = read();
    cluster = await open(options);
    return await body(cluster, options);
  } catch (error) {
    if (!(error instanceof Error) || isDefect(error)) throw error;
    io.stderr.write(`selvage ${name}: ${describeFailure(error)}\n`);
    return 2;
  } finally {
    await cluster?.close();
  }
}

/** In one line, with what to do where that is known. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof CallError || !(error instanceof KubeError)) return error.message;
  if (error.status === 401) return `${error.message}; the credentials are not valid (any more)`;
  return error.message;
}

/** A mistake in this program is no failure of the cluster's. */
export function isDefect(error: Error): boolean {
  return error instanceof TypeError || error instanceof ReferenceError;
}
