// Sidecars: workloads that policies are meant for and that have none, and marks that do not mark.
import type { MeshWorkload } from '#api/mesh.ts';
import { joinKey } from '#api/origin.ts';
import type { Problem } from '#api/problem.ts';

import { appliesTo } from '../attach.ts';
import { type LintContext, warning } from './context.ts';

export function checkInjection(context: LintContext): Problem[] {
  return context.workloads.flatMap((workload) => [
    ...badMarks(workload),
    ...missingSidecar(workload, context),
  ]);
}

function badMarks({ resource, marks }: MeshWorkload): Problem[] {
  const bad = marks.find((value) => value !== 'true' && value !== 'false');
  if (bad === undefined) return [];
  return [
    warning(resource, {
      code: 'inject-invalid',
      path: joinKey('metadata.annotations', 'inject'),
      message: `inject: "${bad}" is neither "true" nor "false", so it adds no sidecar`,
      mend: 'write inject: "true"',
    }),
  ];
}

function missingSidecar(workload: MeshWorkload, context: LintContext): Problem[] {
  const { namespace, name, marks, injected, resource } = workload;
  // "false" is a decision; nothing at all is perhaps an oversight.
  if (marks.length > 0 || injected) return [];
  const { mesh } = context;
  const { rootNamespace } = mesh.meshConfig;
  const policies = [...mesh.authorizationPolicies, ...mesh.requestAuthentications].filter(
    (policy) => appliesTo(policy, workload, rootNamespace),
  );
  const [first] = policies;
  if (first === undefined) return [];
  const why = `${first.kind} ${first.metadata.namespace}/${first.metadata.name} is not enforced there`;
  return [
    warning(resource, {
      code: 'inject-missing',
      path: 'metadata',
      message: `${namespace}/${name} has no sidecar: ${why}`,
      mend: 'add the annotation inject: "true" to the workload, or "false" if that is meant',
    }),
  ];
}
