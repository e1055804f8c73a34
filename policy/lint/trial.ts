// Policies on trial (istio.io/dry-run): they are reported and never enforced.
import { joinKey } from '#api/origin.ts';
import type { Problem } from '#api/problem.ts';

import { isDryRun } from '../attach.ts';
import { type LintContext, warning } from './context.ts';

export function checkTrial({ mesh }: LintContext): Problem[] {
  return mesh.authorizationPolicies.filter(isDryRun).map((policy) => {
    const alone = policy.spec.action === 'ALLOW' ? ', nor does it make the default a refusal' : '';
    return warning(policy, {
      code: 'dry-run',
      path: joinKey('metadata.annotations', 'istio.io/dry-run'),
      message: `this policy is on trial: it refuses nothing and allows nothing${alone}`,
      mend: 'remove the annotation istio.io/dry-run to enforce it',
    });
  });
}
