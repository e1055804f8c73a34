// Which policies apply to a workload.
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import type { RequestAuthentication } from '#api/kinds/request-authentication.ts';
import type { Workload } from '#api/workload.ts';

type Attachable = AuthorizationPolicy | RequestAuthentication;

/**
 * Whether an AuthorizationPolicy or a RequestAuthentication applies: it is of the workload's namespace or of the
 * root namespace, and its selector, if it has one, names labels that the workload has.
 * A policy with target references is for gateways: on a sidecar it is ignored, never widened.
 */
export function appliesTo(policy: Attachable, workload: Workload, rootNamespace: string): boolean {
  const { namespace } = policy.metadata;
  if (namespace !== workload.namespace && namespace !== rootNamespace) return false;
  const { targetRef, targetRefs, selector } = policy.spec;
  if (targetRef !== undefined || (targetRefs ?? []).length > 0) return false;
  return selectsLabels(selector?.matchLabels ?? {}, workload.labels);
}

/** Whether all labels are there and equal; no labels select everything. */
export function selectsLabels(
  wanted: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(wanted).every(
    ([name, value]) => Object.hasOwn(labels, name) && labels[name] === value,
  );
}

const trueSpellings = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);

/** A policy under trial, which counts for nothing (annotation istio.io/dry-run; spellings of Go's ParseBool). */
export function isDryRun(policy: AuthorizationPolicy): boolean {
  return trueSpellings.has(policy.metadata.annotations['istio.io/dry-run'] ?? '');
}
