// Services: selectors that find nothing, and target ports that no container has.
import type { MeshWorkload } from '#api/mesh.ts';
import { selects } from '#api/workload-ports.ts';
import { joinIndex } from '#api/origin.ts';
import type { Problem } from '#api/problem.ts';

import { type LintContext, namesOf, warning } from './context.ts';

export function checkServices({ mesh, workloads }: LintContext): Problem[] {
  // A folder of Services without workloads says nothing about what they select.
  if (workloads.length === 0) return [];
  return mesh.services.flatMap((service) => {
    const { selector = {}, ports } = service.spec;
    const { namespace } = service.metadata;
    if (Object.keys(selector).length === 0) return [];
    const chosen = workloads.filter(
      (workload) => workload.namespace === namespace && selects(selector, workload.labels),
    );
    if (chosen.length === 0) {
      return warning(service, {
        code: 'service-selects-nothing',
        path: 'spec.selector',
        message: `no workload in ${namespace} has the labels ${labelsOf(selector)}`,
        mend: 'compare them with the labels of the pod template, not of the Deployment',
      });
    }
    return ports.flatMap(({ targetPort }, i) => {
      if (typeof targetPort !== 'string') return [];
      const without = chosen.filter((one) => !hasPortNamed(one, targetPort));
      if (without.length === 0) return [];
      return warning(service, {
        code: 'target-port-unknown',
        path: `${joinIndex('spec.ports', i)}.targetPort`,
        message: `no container of ${namesOf(without)} has a port named "${targetPort}"`,
        mend: 'correct the name, or name the container port so',
      });
    });
  });
}

export function labelsOf(selector: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(selector).map(([key, value]) => `${key}: ${value}`);
  return `{${pairs.join(', ')}}`;
}

function hasPortNamed({ containers }: MeshWorkload, wanted: string): boolean {
  return containers.some(({ ports }) => ports.some(({ name }) => name === wanted));
}
