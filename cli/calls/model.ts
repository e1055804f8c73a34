// A mesh as its YAML describes it, ready to judge calls.
import { type AnyResource, loadFiles } from '#api/load.ts';
import type { ExtensionResource } from '#api/kinds/extension.ts';
import type { Sidecar } from '#api/kinds/sidecar.ts';
import { collectMesh, type MeshResources, type MeshWorkload, workloadsOf } from '#api/mesh.ts';
import type { PolicyTestDocument } from '#api/kinds/policy-test.ts';
import type { Problem } from '#api/problem.ts';
import type { Workload } from '#api/workload.ts';
import { withIngress } from '#control/traffic/inbound.ts';
import { Scopes } from '#control/traffic/scopes.ts';
import { ApiKeyResolver } from '#control/api-keys.ts';
import { Extensions } from '#control/extensions.ts';
import { type ApiKeys, compileApiKeys } from '#policy/api-keys/compile.ts';
import { type CompiledPolicies, compilePolicies, type PolicyInput } from '#policy/compile.ts';

import { readPaths } from '../paths.ts';
import { withPods } from './callable.ts';
import { CallError } from './failure.ts';

export interface MeshModel {
  readonly resources: MeshResources;
  readonly workloads: readonly MeshWorkload[];
  readonly tests: readonly PolicyTestDocument[];
  /** Resources with errors are not in the mesh, as a cluster would refuse them. */
  readonly problems: readonly Problem[];
  /** The resources with all that is behind Services, so far as it is known: for what callers reach. */
  callable(): MeshResources;
  /** What the workload's sidecar enforces; compiled once. */
  policiesOf(workload: Workload): CompiledPolicies;
  /** Those of our own kinds that its sidecar has, with keys of Secrets. */
  extensionsOf(workload: Workload): readonly ExtensionResource[];
  /** Null: it asks for no key. */
  apiKeysOf(workload: Workload): ApiKeys | null;
  /** The Sidecar that counts for it. */
  sidecarOf(workload: Workload): Sidecar | null;
}

/** Loads files and folders. @throws CallError when they cannot be read or hold no resource */
export async function loadModel(paths: readonly string[], cwd: string): Promise<MeshModel> {
  const read = await readPaths(paths, cwd);
  if (read.problems.length > 0) {
    throw new CallError(read.problems.map(({ file, message }) => `${file}: ${message}`).join('\n'));
  }
  const { resources, problems } = loadFiles(read.files);
  if (resources.length === 0 && problems.length === 0) {
    throw new CallError(`no resources in ${paths.join(', ')}`);
  }
  return modelOf(resources, problems);
}

/**
 * A model of resources that are loaded already.
 * @param whole of a cluster: with its pods and EndpointSlices, each of them
 */
export function modelOf(
  resources: readonly AnyResource[],
  problems: readonly Problem[],
  whole?: readonly AnyResource[],
): MeshModel {
  const mesh = collectMesh(resources);
  const scopes = new Scopes(mesh);
  const sidecarOf = (workload: Workload): Sidecar | null => scopes.of(workload).sidecar;
  const workloads = workloadsOf(mesh).map((one) =>
    withIngress(one, sidecarOf(one)?.spec.ingress ?? []),
  );
  const compiled = new Map<Workload, CompiledPolicies>();
  const keyed = new ApiKeyResolver().resolve(mesh.extensions, mesh.secrets);
  const extensions = new Extensions({ ...mesh, extensions: keyed.extensions });
  return {
    resources: mesh,
    workloads,
    tests: resources.filter((resource) => resource.kind === 'PolicyTest'),
    problems,
    extensionsOf: (workload) => extensions.of(workload),
    sidecarOf,
    apiKeysOf: (workload) => compileApiKeys(extensions.of(workload)),
    callable: () => (whole === undefined ? withPods(mesh, workloads) : collectMesh(whole)),
    policiesOf: (workload) => {
      let policies = compiled.get(workload);
      if (policies === undefined) {
        policies = compilePolicies(policyInputOf(mesh, workload));
        compiled.set(workload, policies);
      }
      return policies;
    },
  };
}

/** What its sidecar would be given. */
export function policyInputOf(mesh: MeshResources, workload: Workload): PolicyInput {
  const { authorizationPolicies, requestAuthentications, peerAuthentications } = mesh;
  const policies = [...authorizationPolicies, ...requestAuthentications, ...peerAuthentications];
  return { mesh: mesh.meshConfig, workload, policies };
}
