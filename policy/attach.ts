// Which policies apply to a workload.
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import type { ExtensionResource } from '#api/kinds/extension.ts';
import type { RequestAuthentication } from '#api/kinds/request-authentication.ts';
import type { ServiceResource } from '#api/kinds/service.ts';
import { selectsSome } from '#api/workload-ports.ts';
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

/**
 * Whether a resource of our own kinds applies: by its selector, as policies do, or where a Service of its namespace that
 * it names selects the workload.
 * @param services by `namespace/name`
 */
export function extensionApplies(
  { metadata: { namespace }, spec }: ExtensionResource,
  workload: Workload,
  services: ReadonlyMap<string, ServiceResource>,
  rootNamespace: string,
): boolean {
  const isNear = workload.namespace === namespace;
  const { selector, targetRefs = [] } = spec;
  if (targetRefs.length === 0) {
    const isInReach = isNear || namespace === rootNamespace;
    return isInReach && selectsLabels(selector?.matchLabels ?? {}, workload.labels);
  }
  return (
    isNear &&
    targetRefs.some(
      ({ kind, name }) =>
        kind === 'Service' &&
        selectsSome(services.get(`${namespace}/${name}`)?.spec.selector ?? {}, workload.labels),
    )
  );
}

/** Services by `namespace/name`. */
export function servicesByName(services: readonly ServiceResource[]): Map<string, ServiceResource> {
  return new Map(services.map((one) => [`${one.metadata.namespace}/${one.metadata.name}`, one]));
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
