// The sources that the settings name: folders, a cluster, or both.
import { join } from 'node:path';

import { podAccess } from '#runtime/kubernetes/access.ts';
import { createKubeClient, type KubeClient } from '#runtime/kubernetes/client.ts';
import type { Log } from '#runtime/log.ts';

import { FolderSource } from './folder.ts';
import { KubernetesSource } from './kubernetes.ts';
import { joinSources, type ResourceSource } from './source.ts';

export interface SourceSettings {
  readonly resources: readonly string[];
  readonly stateFolder: string;
  /** Null: no cluster. */
  readonly kubernetes: URL | null;
  /** Token, CA and namespace of the account that asks it. */
  readonly kubernetesFolder: string;
}

export interface Sources {
  readonly source: ResourceSource;
  /** Of the cluster; null without one. */
  readonly client: KubeClient | null;
}

/** Not started. Rejects when the account for the cluster cannot be read. */
export async function createSources(
  settings: SourceSettings,
  onChange: (noticedAtMs: number) => void,
  log: Log,
): Promise<Sources> {
  const { resources, stateFolder, kubernetes, kubernetesFolder } = settings;
  const sources: ResourceSource[] = [];
  if (resources.length > 0) {
    const memoryFolder = stateFolder === '' ? '' : join(stateFolder, 'last-good');
    sources.push(new FolderSource({ folders: resources, memoryFolder, onChange, log }));
  }
  if (kubernetes === null) return { source: joinSources(sources), client: null };
  const access = await podAccess(kubernetes.href, kubernetesFolder);
  const client = createKubeClient(access, { userAgent: 'selvage-control' });
  const { namespace } = access;
  // Last, so that what the cluster says counts over a file of the same name.
  sources.push(new KubernetesSource({ client, namespace, onChange, log }));
  return { source: joinSources(sources), client };
}
