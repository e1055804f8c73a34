// Server names of TLS hellos: they are compared in lower case, and plaintext has none.
import type { Problem } from '#api/problem.ts';

import { type LintContext, warning } from './context.ts';

export function checkServerNames({ values }: LintContext): Problem[] {
  return values.flatMap(({ field, value, path, policy, label }) => {
    if (field !== 'serverNames' || value === value.toLowerCase()) return [];
    return warning(policy, {
      code: 'sni-upper-case',
      path,
      message: `${label}: "${value}" never matches: server names are turned to lower case first`,
      mend: `write "${value.toLowerCase()}"`,
    });
  });
}
