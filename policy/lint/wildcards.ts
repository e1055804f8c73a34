// A * counts only at one end of a value; anywhere else it is a letter like any other.
import type { Problem } from '#api/problem.ts';

import { readPattern } from '../match/text.ts';
import { type LintContext, warning } from './context.ts';
import type { Field, PolicyValue } from './values.ts';

/** Fields whose values are matched so; namespaces take a * anywhere, and addresses take none. */
const fields: ReadonlySet<Field> = new Set([
  'principals',
  'requestPrincipals',
  'hosts',
  'methods',
  'paths',
  'headers',
  'claims',
  'audiences',
  'presenters',
  'serverNames',
]);

export function checkWildcards({ values }: LintContext): Problem[] {
  return values.filter(hasLiteralStar).map((at) => {
    const { value, policy, path, label } = at;
    return warning(policy, {
      code: 'wildcard-literal',
      path,
      message: `${label}: "${value}" is taken as ${meaning(value)}: a * counts only at one end`,
      mend: mendOf(at),
    });
  });
}

function hasLiteralStar({ field, value }: PolicyValue): boolean {
  if (!fields.has(field)) return false;
  if (field === 'paths' && /\{\*{1,2}\}/.test(value)) return false;
  return readPattern(value).text.includes('*');
}

function meaning(value: string): string {
  const { form, text } = readPattern(value);
  if (form === 'suffix') return `"anything that ends in ${text}"`;
  if (form === 'prefix') return `"anything that begins with ${text}"`;
  return `the very text "${text}"`;
}

function mendOf({ field, value }: PolicyValue): string {
  if (field === 'paths') return 'use {*} for one segment and {**} for the rest: "/a/{*}/b"';
  if (field === 'principals' && value.startsWith('*/ns/')) {
    const namespace = value.split('/')[2] ?? '';
    return `use namespaces: ["${namespace}"]`;
  }
  return 'write a prefix "a*" or a suffix "*a", several if need be';
}
