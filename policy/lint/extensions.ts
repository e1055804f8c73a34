// Kinds of our own: Services that are not there, and workloads that nobody has or that have no sidecar.
import type { ExtensionResource } from '#api/kinds/extension.ts';
import type { MeshWorkload } from '#api/mesh.ts';
import { selects } from '#api/workload-ports.ts';
import { joinIndex } from '#api/origin.ts';
import type { Problem } from '#api/problem.ts';

import { type LintContext, namesOf, warning } from './context.ts';
import { labelsOf } from './services.ts';

export function checkExtensions(context: LintContext): Problem[] {
  return context.mesh.extensions.flatMap((resource) => checkOne(resource, context));
}

function checkOne(resource: ExtensionResource, context: LintContext): Problem[] {
  const { workloads } = context;
  if (workloads.length === 0) return [];
  const { targetRefs = [] } = resource.spec;
  return targetRefs.length === 0
    ? checkSelector(resource, context)
    : targetRefs.flatMap((_, i) => checkTarget(resource, i, context));
}

function checkSelector(resource: ExtensionResource, { mesh, workloads }: LintContext): Problem[] {
  const { metadata, spec, kind } = resource;
  const { namespace } = metadata;
  const isRoot = namespace === mesh.meshConfig.rootNamespace;
  const labels = spec.selector?.matchLabels ?? {};
  const chosen = workloads.filter(
    (workload) => (isRoot || workload.namespace === namespace) && selects(labels, workload.labels),
  );
  const path = spec.selector === undefined ? 'metadata.namespace' : 'spec.selector.matchLabels';
  if (chosen.length > 0) return withoutSidecar(resource, path, chosen);
  const where = isRoot ? 'the mesh' : namespace;
  const message =
    spec.selector === undefined
      ? `there is no workload in ${where}: this ${kind} does nothing`
      : `no workload in ${where} has the labels ${labelsOf(labels)}: this ${kind} does nothing`;
  const code =
    spec.selector === undefined ? 'namespace-without-workloads' : 'selector-matches-nothing';
  const mend = 'compare them with the labels and the namespace of the pod template';
  return [warning(resource, { code, path, message, mend })];
}

function checkTarget(
  resource: ExtensionResource,
  index: number,
  { mesh, workloads }: LintContext,
): Problem[] {
  const { namespace } = resource.metadata;
  const name = resource.spec.targetRefs?.[index]?.name ?? '';
  const path = joinIndex('spec.targetRefs', index);
  const service = mesh.services.find(
    ({ metadata }) => metadata.namespace === namespace && metadata.name === name,
  );
  if (service === undefined) {
    const message = `there is no Service ${name} in ${namespace}: this ${resource.kind} does nothing`;
    const mend = 'name a Service of the same namespace, or use a selector';
    return [warning(resource, { code: 'target-unknown', path, message, mend })];
  }
  const { selector = {} } = service.spec;
  if (Object.keys(selector).length === 0) return [];
  return withoutSidecar(
    resource,
    path,
    workloads.filter(
      (workload) => workload.namespace === namespace && selects(selector, workload.labels),
    ),
  );
}

function withoutSidecar(
  resource: ExtensionResource,
  path: string,
  chosen: readonly MeshWorkload[],
): Problem[] {
  if (chosen.length === 0 || chosen.some(({ injected }) => injected)) return [];
  return [
    warning(resource, {
      code: 'sidecar-missing',
      path,
      message: `${namesOf(chosen)} has no sidecar: this ${resource.kind} does nothing`,
      mend: 'add the annotation inject: "true" to the workload',
    }),
  ];
}
