// The resources of a cluster, read as those of files are: for `check --live` and `explain --live`.
import { type KindEntry, kinds } from '#api/kinds/table.ts';
import type { AnyResource, Loaded } from '#api/load.ts';
import { clusterOrigin } from '#api/origin.ts';
import type { Problem } from '#api/problem.ts';
import { readResource } from '#api/read-resource.ts';
import type { KubeClient, KubeObject } from '#runtime/kubernetes/client.ts';

import { getOrNull, listAll, pathOf, servedKinds } from './discovery.ts';

/** Nobody's business here. */
const leftOut: ReadonlySet<string> = new Set(['Secret']);
/** What means nothing to a check of policies, but says what callers reach. */
const ofEndpoints: ReadonlySet<string> = new Set(['EndpointSlice']);

export interface LoadedCluster extends Loaded {
  /** All, with what was left out of `resources`: pods that a workload made, EndpointSlices. */
  readonly whole: readonly AnyResource[];
}

/** Where the mesh's configuration is, the first that is there. */
const configMaps = ['selvage-system', 'istio-system'].map(
  (namespace) => `/api/v1/namespaces/${namespace}/configmaps/istio`,
);

/** Lists every kind that means something. Rejects with KubeError when one may not be listed. */
export async function readCluster(client: KubeClient): Promise<LoadedCluster> {
  const entries = [...kinds.values()].filter(
    ({ kind }) => !ofEndpoints.has(kind) && !leftOut.has(kind),
  );
  const behind = [...kinds.values()].filter(({ kind }) => ofEndpoints.has(kind));
  const [config, endpoints, ...lists] = await Promise.all([
    meshConfigOf(client),
    // Not everybody may list them; what callers reach is then what Services select.
    listAllOf(client, behind).catch(() => []),
    listAllOf(client, entries),
  ]);
  const objects = [...config, ...lists.flat()];
  const kept = withoutOwned(objects);
  const { resources, problems } = readAll(kept);
  const known = new Set(kept);
  const left = readAll([...objects.filter((object) => !known.has(object)), ...endpoints]);
  return { resources, problems, whole: [...resources, ...left.resources] };
}

async function listAllOf(client: KubeClient, entries: readonly KindEntry[]): Promise<KubeObject[]> {
  const groups = [...new Set(entries.map(({ group }) => group))];
  const lists = await Promise.all(groups.map((group) => listGroup(client, group, entries)));
  return lists.flat();
}

function readAll(objects: readonly KubeObject[]): Loaded {
  const resources: AnyResource[] = [];
  const problems: Problem[] = [];
  for (const object of objects) {
    const { kind = '', metadata } = object;
    const { name, namespace = '' } = metadata;
    const origin = clusterOrigin({ kind, metadata: { name, namespace } });
    const read = readResource({ value: object, origin });
    problems.push(...read.problems);
    if (read.resource !== null) resources.push(read.resource);
  }
  return { resources, problems };
}

async function listGroup(
  client: KubeClient,
  group: string,
  entries: readonly KindEntry[],
): Promise<KubeObject[]> {
  const served = await servedKinds(client, group);
  const wanted = entries.filter((entry) => entry.group === group);
  const lists = await Promise.all(
    wanted.map(async ({ kind, versions }) => {
      const found = served.find((one) => one.kind === kind);
      if (found === undefined) return [];
      // Newer versions than are known here would be refused; the server converts.
      const version = versions.includes(found.version) ? found.version : (versions[0] ?? '');
      const objects = await listAll(client, pathOf({ ...found, version }));
      const apiVersion = group === '' ? version : `${group}/${version}`;
      // Items of a list do not say what they are.
      return objects.map((object): KubeObject => ({ ...object, apiVersion, kind }));
    }),
  );
  return lists.flat();
}

async function meshConfigOf(client: KubeClient): Promise<KubeObject[]> {
  for (const path of configMaps) {
    const found = await getOrNull(client, path);
    if (found !== null) return [{ ...found, apiVersion: 'v1', kind: 'ConfigMap' }];
  }
  return [];
}

/** A pod that a workload of the list made says nothing that the workload does not. */
function withoutOwned(objects: readonly KubeObject[]): KubeObject[] {
  const listed = new Set(objects.map(({ metadata }) => metadata.uid ?? ''));
  const made = new Set<string>();
  return objects.filter(({ kind, metadata }) => {
    if (kind !== 'Pod') return true;
    const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
    if (owner === undefined) return true;
    if (owner.kind === 'ReplicaSet' && metadata.labels?.['pod-template-hash'] !== undefined) {
      return false;
    }
    // One pod stands for all of a Job or a bare ReplicaSet.
    const first = !made.has(owner.uid);
    made.add(owner.uid);
    return first && !listed.has(owner.uid);
  });
}
