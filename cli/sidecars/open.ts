// Finds the mesh that a command is about: one that runs on this machine, or the one of a cluster.
import { resolve } from 'node:path';

import { CallError } from '../calls/failure.ts';
import {
  type Cluster,
  clusterOptions,
  type ClusterValues,
  openCluster,
} from '../cluster/cluster.ts';
import { listAll } from '../cluster/discovery.ts';
import { isSidecarRunning, podOf, sidecarOf } from '../cluster/pods.ts';
import type { Io } from '../io.ts';
import { type Announcement, announcementFolder, readAnnouncements } from './announcement.ts';
import { sidecarInPod, turnsOf } from './in-pod.ts';
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
const askedAtOnceMax = 8;

/**
 * A kubeconfig or a context that is named: that cluster. Else the one mesh that runs here, or the one that `mesh` names.
 * Else the cluster of the kubeconfig. @throws CallError that says what there is
 */
export async function openSidecars(values: MeshValues, io: Io): Promise<Sidecars> {
  const { mesh, kubeconfig, context } = values;
  const named = kubeconfig !== undefined || context !== undefined;
  if (named && mesh !== undefined) {
    throw new CallError(
      '--mesh is a mesh of this machine, --kubeconfig and --context a cluster: give one',
    );
  }
  if (named) return clusterSidecars(await openCluster(values));
  const folder = announcementFolder(io.env ?? {});
  const running = await readAnnouncements(folder);
  if (mesh !== undefined) return localSidecars(folder, chosenBy(mesh, running, io.cwd));
  const [only, ...others] = running;
  if (only === undefined) return clusterSidecars(await openDefaultCluster(values));
  if (others.length === 0) return localSidecars(folder, only);
  throw new CallError(`several meshes run here: choose one by --mesh PID, ${listOf(running)}`);
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
    close: () => cluster.close(),
  };
}

/** @param folder where the mesh says anew what has changed of it */
function localSidecars(folder: string, { pid, shown, controlAdmin }: Announcement): Sidecars {
  return {
    title: `the mesh of ${shown} (pid ${pid})`,
    async list(namespace) {
      const running = await readAnnouncements(folder);
      const now = running.find((one) => one.pid === pid && one.controlAdmin === controlAdmin);
      if (now === undefined) throw new Error(`the mesh of ${shown} has ended`);
      return now.sidecars
        .filter((one) => namespace === undefined || one.namespace === namespace)
        .map(loopbackSidecar);
    },
    close: () => Promise.resolve(),
  };
}

function chosenBy(mesh: string, running: readonly Announcement[], cwd: string): Announcement {
  const folder = resolve(cwd, mesh);
  const found = running.filter((one) => String(one.pid) === mesh || one.folder === folder);
  const [only, ...others] = found;
  if (only !== undefined && others.length === 0) return only;
  if (only !== undefined) {
    throw new CallError(
      `several meshes are of ${mesh}: choose one by --mesh PID, ${listOf(found)}`,
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
