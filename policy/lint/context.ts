// What the checks look at: the mesh, its workloads, and every value of every policy with its place.
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import { type MeshResources, type MeshWorkload, workloadsOf } from '#api/mesh.ts';
import { type Finding, problemAt, type Written } from '#api/origin.ts';
import type { Problem } from '#api/problem.ts';

import { appliesTo } from '../attach.ts';
import { type PolicyValue, valuesOf } from './values.ts';

export interface LintContext {
  readonly mesh: MeshResources;
  readonly workloads: readonly MeshWorkload[];
  readonly values: readonly PolicyValue[];
  /** Namespaces that exist, by a Namespace or by what lies in them. */
  readonly namespaces: ReadonlySet<string>;
  /** `namespace/account`: of ServiceAccounts, and of what workloads run as. */
  readonly accounts: ReadonlySet<string>;
  /** The trust domain, then its aliases. */
  readonly domains: readonly string[];
  /** The input is more than policies: what it does not name is likely not there. */
  readonly complete: boolean;
  /** Workloads that a policy applies to, whether they have a sidecar or not. */
  readonly workloadsUnder: (policy: AuthorizationPolicy) => readonly MeshWorkload[];
  /** The other way round: policies that apply to a workload, the oldest first. */
  readonly policiesOn: (workload: MeshWorkload) => readonly AuthorizationPolicy[];
  readonly valuesIn: (policy: AuthorizationPolicy) => readonly PolicyValue[];
}

export type Check = (context: LintContext) => Problem[];

/** Looks everything up once. */
export function makeContext(mesh: MeshResources): LintContext {
  const workloads = workloadsOf(mesh);
  const { trustDomain, trustDomainAliases, rootNamespace } = mesh.meshConfig;
  const under = new Map<AuthorizationPolicy, readonly MeshWorkload[]>();
  const on = new Map<MeshWorkload, AuthorizationPolicy[]>(workloads.map((one) => [one, []]));
  const values = new Map<AuthorizationPolicy, readonly PolicyValue[]>();
  for (const policy of mesh.authorizationPolicies) {
    const chosen = workloads.filter((workload) => appliesTo(policy, workload, rootNamespace));
    under.set(policy, chosen);
    for (const workload of chosen) on.get(workload)?.push(policy);
    values.set(policy, valuesOf(policy));
  }
  const namespaces = new Set([
    rootNamespace,
    ...mesh.namespaces.map(({ metadata }) => metadata.name),
    ...[...mesh.serviceAccounts, ...mesh.services].map(({ metadata }) => metadata.namespace),
    ...workloads.map(({ namespace }) => namespace),
  ]);
  const accounts = new Set([
    ...mesh.serviceAccounts.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`),
    ...workloads.map(({ namespace, serviceAccount }) => `${namespace}/${serviceAccount}`),
    // Kubernetes makes one in every namespace.
    ...[...namespaces].map((namespace) => `${namespace}/default`),
  ]);
  return {
    mesh,
    workloads,
    values: [...values.values()].flat(),
    namespaces,
    accounts,
    domains: [trustDomain, ...trustDomainAliases],
    complete: workloads.length + mesh.serviceAccounts.length + mesh.namespaces.length > 0,
    workloadsUnder: (policy) => under.get(policy) ?? [],
    policiesOn: (workload) => on.get(workload) ?? [],
    valuesIn: (policy) => values.get(policy) ?? [],
  };
}

/** A warning about one node: the resource is valid, and does not do what it seems to. */
export function warning(resource: Written, finding: Omit<Finding, 'severity'>): Problem {
  return problemAt(resource, { severity: 'warning', ...finding });
}

/** `foo/a, foo/b and 3 more`. */
export function listed(names: readonly string[], shownMax = 3): string {
  const unique = [...new Set(names)];
  const shown = unique.slice(0, shownMax);
  const rest = unique.length - shown.length;
  if (rest > 0) return `${shown.join(', ')} and ${rest} more`;
  if (shown.length < 2) return shown.join('');
  return `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}

export function namesOf(workloads: readonly MeshWorkload[]): string {
  return listed(workloads.map(({ namespace, name }) => `${namespace}/${name}`));
}
