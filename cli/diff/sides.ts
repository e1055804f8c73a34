// Two meshes as their YAML describes them, workload by workload: where a call's verdict differs, and what was not proven.
import type { MeshWorkload } from '#api/mesh.ts';
import { type CallDifference, compareWorkload } from '#policy/compare/compare.ts';
import type { Preferred } from '#policy/compare/space.ts';

import { serviceAccountsOf, usualHost } from '../calls/call.ts';
import { type MeshModel, policyInputOf } from '../calls/model.ts';

export interface WorkloadDifferences {
  /** `namespace/workload`. */
  readonly workload: string;
  /** Null: both sides have it. */
  readonly onlyIn: 'old' | 'new' | null;
  readonly differences: readonly CallDifference[];
  /** Empty: there are no others. */
  readonly unproven: readonly string[];
  readonly combinations: number;
}

/**
 * Compares what the sidecars of each workload say. A workload that only one side has is judged under the policies of
 * both. @param only `namespace/workload`; left out: all
 */
export async function compareSides(
  old: MeshModel,
  now: MeshModel,
  only?: string,
): Promise<WorkloadDifferences[]> {
  const [before, after] = [byName(old), byName(now)];
  const names = [...new Set([...before.keys(), ...after.keys()])].toSorted();
  const compared: WorkloadDifferences[] = [];
  for (const workload of names) {
    if (only !== undefined && workload !== only) continue;
    const [was, is] = [before.get(workload), after.get(workload)];
    const own = is ?? was;
    if (own === undefined) continue;
    const preferred = preferredOf(is === undefined ? old : now, own, old, now);
    const found = await compareWorkload(
      policyInputOf(old.resources, was ?? own),
      policyInputOf(now.resources, own),
      { preferred },
    );
    const keys = keyProblems(old, was ?? own, now, own);
    compared.push({
      ...found,
      workload,
      onlyIn: is === undefined ? 'old' : was === undefined ? 'new' : null,
      unproven: [...found.unproven, ...keys],
    });
  }
  return compared;
}

export function byName(model: MeshModel): Map<string, MeshWorkload> {
  return new Map(model.workloads.map((one) => [`${one.namespace}/${one.name}`, one]));
}

function preferredOf(
  model: MeshModel,
  workload: MeshWorkload,
  ...models: readonly MeshModel[]
): Preferred {
  const { trustDomain } = model.resources.meshConfig;
  const identities = models
    .flatMap(serviceAccountsOf)
    .map((account) => `spiffe://${trustDomain}/ns/${account.replace('/', '/sa/')}`);
  const port = workload.ports[0]?.port ?? 80;
  return {
    identities,
    identity: identities[0] ?? `spiffe://${trustDomain}/ns/default/sa/default`,
    host: usualHost(model, workload, port),
  };
}

/** Keys are asked for before policies are: the same on both sides, a good one is taken for granted. */
function keyProblems(
  old: MeshModel,
  was: MeshWorkload,
  now: MeshModel,
  is: MeshWorkload,
): string[] {
  const [before, after] = [keysOf(old, was), keysOf(now, is)];
  return before === after ? [] : ['ApiKeyAuthentications differ, and keys are not compared'];
}

function keysOf(model: MeshModel, workload: MeshWorkload): string {
  const asking = model.extensionsOf(workload).filter(({ kind }) => kind === 'ApiKeyAuthentication');
  return JSON.stringify(
    asking.map(({ metadata, spec }) => [metadata.namespace, metadata.name, spec]),
  );
}
