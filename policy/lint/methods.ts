// Methods that no request has: the codec refuses all but the known ones, in capitals.
import { nearest } from '#api/spelling.ts';
import type { Problem } from '#api/problem.ts';

import { readPattern } from '../match/text.ts';
import { KNOWN_METHODS } from '../request.ts';
import { type LintContext, warning } from './context.ts';

export function checkMethods({ values }: LintContext): Problem[] {
  const known = [...KNOWN_METHODS];
  return values.flatMap(({ field, value, path, policy, label }) => {
    if (field !== 'methods' || value === '*') return [];
    const { form, text } = readPattern(value);
    // Told of by the check of wildcards.
    if (text.includes('*')) return [];
    const met = known.some((method) => {
      if (form === 'exact') return method === text;
      return form === 'prefix' ? method.startsWith(text) : method.endsWith(text);
    });
    if (met) return [];
    const upper = value.toUpperCase();
    const lower = KNOWN_METHODS.has(upper);
    const similar = lower ? upper : nearest(value, known);
    const why = lower ? 'methods are compared in capitals' : 'no request has this method';
    return warning(policy, {
      code: lower ? 'method-lower-case' : 'method-unknown',
      path,
      message: `${label}: "${value}" never matches: ${why}`,
      mend: similar === null ? `use one of ${known.slice(0, 9).join(', ')}` : `write "${similar}"`,
    });
  });
}
