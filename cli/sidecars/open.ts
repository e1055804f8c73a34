// Finds the mesh that a command is about: one that runs on this machine, or the one of a cluster.
import { resolve } from 'node:path';

import { CallError } from '../calls/failure.ts';
import {
  type Cluster,
  clusterOptions,
  type ClusterValues,
  openCluster,
} from '../cluster/cluster.ts';
import { askControl } from '../cluster/control.ts';
import { listAll } from '../cluster/discovery.ts';
import { isSidecarRunning, podOf, sidecarOf } from '../cluster/pods.ts';
import type { Io } from '../io.ts';
import { type Announcement, announcementFolder, readAnnouncements } from './announcement.ts';
import { sidecarInPod, turnsOf } from './in-pod.ts';
import { get } from '../up/readiness.ts';
import { loopbackSidecar } from './loopback.ts';
import type { Sidecars } from './source.ts';

/** Options of every command that asks sidecars. */
export const meshOptions = { ...clusterOptions, mesh: { type: 'string' } } as const;

export interface MeshValues extends ClusterValues {
  /** Folder or pid of a mesh of this machine. */
  readonly mesh?: string;
}

/** Tests give sidecars of their own. */
export type OpenSidecars = (values: MeshValues, io: Io) => Promise<Sidecars>;

/** Commands that run in pods at the same time. */
const askedAtOnceMax = 16;

/**
 * A kubeconfig or a context that is named: that cluster. Else the one mesh that runs here, or the one that `mesh` names.
 * Else the cluster of the kubeconfig. @throws CallError that says what there is
 */
export async function openSidecars(values: MeshValues, io: Io): Promise<Sidecars> {
  const local = await findLocalMesh(values, io);
  if (local !== null) return localSidecars(local, io);
  const { kubeconfig, context } = values;
  const named = kubeconfig !== undefined || context !== undefined;
  return clusterSidecars(await (named ? openCluster(values) : openDefaultCluster(values)));
}

/** Null: a cluster is meant. @throws CallError when it is not clear which mesh is */
export async function findLocalMesh(
  { mesh, kubeconfig, context }: MeshValues,
  io: Pick<Io, 'cwd' | 'env'>,
): Promise<Announcement | null> {
  if (kubeconfig !== undefined || context !== undefined) {
    if (mesh === undefined) return null;
    throw new CallError(
      '--mesh is a mesh of this machine, --kubeconfig and --context a cluster: give one',
    );
  }
  const running = io.env === undefined ? [] : await readAnnouncements(announcementFolder(io.env));
  if (mesh !== undefined) return chosenBy(mesh, running, io.cwd);
  const [only, ...others] = running;
  if (others.length === 0) return only ?? null;
  throw new CallError(`several meshes run here: choose one by --mesh PID; ${listOf(running)}`);
}

/** Of a cluster that is open already; closes it at the end. */
export function clusterSidecars(cluster: Cluster): Sidecars {
  const turns = turnsOf(askedAtOnceMax);
  return {
    title: `the cluster at ${cluster.server}`,
    async list(namespace) {
      const inside = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
      const pods = (await listAll(cluster.client, `/api/v1${inside}/pods`)).map(podOf);
      return pods
        .filter((pod) => pod.alive && sidecarOf(pod) !== undefined && isSidecarRunning(pod))
        .map((pod) => sidecarInPod(cluster, pod, turns));
    },
    control: (path) => turns(() => askControl(cluster, path)),
    close: () => cluster.close(),
  };
}

/** What has changed of it is read anew for each list. */
export function localSidecars(
  { pid, shown, controlAdmin }: Announcement,
  { env = {} }: Pick<Io, 'env'>,
): Sidecars {
  return {
    title: `the mesh of ${shown} (pid ${pid})`,
    async list(namespace) {
      const running = await readAnnouncements(announcementFolder(env));
      const now = running.find((one) => one.pid === pid && one.controlAdmin === controlAdmin);
      if (now === undefined) throw new Error(`the mesh of ${shown} has ended`);
      return now.sidecars
        .filter((one) => namespace === undefined || one.namespace === namespace)
        .map(loopbackSidecar);
    },
    control: (path) => askLocalControl(controlAdmin, path),
    close: () => Promise.resolve(),
  };
}

async function askLocalControl(port: number, path: string): Promise<unknown> {
  const { status, body } = await get(`http://127.0.0.1:${port}${path}`);
  if (status !== 200) throw new Error(`control answers ${status}: ${body.trim()}`);
  return JSON.parse(body) as unknown;
}

function chosenBy(mesh: string, running: readonly Announcement[], cwd: string): Announcement {
  const folder = resolve(cwd, mesh);
  const found = running.filter((one) => String(one.pid) === mesh || one.folder === folder);
  const [only, ...others] = found;
  if (only !== undefined && others.length === 0) return only;
  if (only !== undefined) {
    throw new CallError(
      `several meshes are of ${mesh}: choose one by --mesh PID; ${listOf(found)}`,
    );
  }
  const known = running.length === 0 ? 'none does: selvage up DIR starts one' : listOf(running);
  throw new CallError(`no mesh of ${mesh} runs here; ${known}`);
}

function listOf(running: readonly Announcement[]): string {
  return `there are ${running.map(({ pid, shown }) => `${pid} (${shown})`).join(', ')}`;
}

async function openDefaultCluster(values: ClusterValues): Promise<Cluster> {
  try {
    return await openCluster(values);
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    throw new CallError(
      `no mesh runs here (selvage up DIR or selvage demo starts one), and ${error.message}`,
      {
        cause: error,
      },
    );
  }
}
