// Ports: policies mean the workload's own port, not the Service's.
import { selects } from '#api/workload-ports.ts';
import type { Problem } from '#api/problem.ts';

import { type LintContext, namesOf, warning } from './context.ts';

export function checkPorts(context: LintContext): Problem[] {
  return context.values.flatMap(({ field, value, path, policy, label }) => {
    if (field !== 'ports') return [];
    const workloads = context.workloadsUnder(policy);
    const target = targetInstead(Number(value), workloads, context);
    if (target === null) return [];
    return warning(policy, {
      code: 'port-of-service',
      path,
      message:
        `${label}: ${value} is the Service's port; ${namesOf(workloads)} listens on ` +
        `${target}, which is what policies mean`,
      mend: `write "${target}"`,
    });
  });
}

/** The port that a Service's port leads to, where no workload has the port itself; else null. */
export function targetInstead(
  port: number,
  workloads: LintContext['workloads'],
  { mesh }: LintContext,
): number | string | null {
  if (workloads.some(({ ports }) => ports.some((own) => own.port === port))) return null;
  for (const workload of workloads) {
    for (const { metadata, spec } of mesh.services) {
      const { selector = {} } = spec;
      if (metadata.namespace !== workload.namespace || Object.keys(selector).length === 0) continue;
      if (!selects(selector, workload.labels)) continue;
      const found = spec.ports.find((one) => one.port === port);
      if (found?.targetPort !== undefined && found.targetPort !== port) return found.targetPort;
    }
  }
  return null;
}
