// The verdict on a resource of the mesh: what `selvage check` refuses is refused, in its words.
import type { AdmissionRequest, Verdict } from '#api/admission-review.ts';
import { equalJson } from '#api/injection/json-patch.ts';
import type { Problem } from '#api/problem.ts';
import { problemText } from '#api/problem-text.ts';
import { validateResource } from '#api/read-resource.ts';

/** Pure. What needs other resources is not looked at: they may come later. */
export function judgeResource(request: AdmissionRequest): Verdict {
  const { operation, object, oldObject } = request;
  if (operation !== 'CREATE' && operation !== 'UPDATE') return { allowed: true };
  // Else a resource that was stored before its check could not even be freed of its finalizers.
  if (operation === 'UPDATE' && equalJson(specOf(object), specOf(oldObject))) {
    return { allowed: true };
  }
  const problems = validateResource({ value: object });
  const errors = textsOf(problems, 'error');
  const warnings = textsOf(problems, 'warning');
  if (errors.length === 0) return { allowed: true, warnings };
  return { allowed: false, message: errors.join('\n'), warnings };
}

function textsOf(problems: readonly Problem[], severity: Problem['severity']): string[] {
  return problems.filter((problem) => problem.severity === severity).map(problemText);
}

function specOf(object: unknown): unknown {
  return typeof object === 'object' && object !== null && 'spec' in object ? object.spec : null;
}
