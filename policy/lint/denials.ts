// DENY on an exact path: another spelling of the same page is another path, and passes.
import type { PathNormalization } from '#api/kinds/mesh-config.ts';
import type { Problem } from '#api/problem.ts';

import { readPattern } from '../match/text.ts';
import { normalizePath } from '../path.ts';
import { type LintContext, listed, warning } from './context.ts';
import { isTemplate } from './paths.ts';
import type { PolicyValue } from './values.ts';

export function checkDenials({ values, mesh }: LintContext): Problem[] {
  const { normalization } = mesh.meshConfig.pathNormalization;
  return values.flatMap((at) => {
    const { policy, field, value, negative, path, label } = at;
    const { action } = policy.spec;
    // "All but /admin" in an ALLOW has the same hole.
    const closes = (action === 'DENY' && !negative) || (action === 'ALLOW' && negative);
    if (field !== 'paths' || !closes || !isPlain(value, normalization)) return [];
    const open = spellings(value, normalization).filter((other) => !isCovered(other, at, values));
    if (open.length === 0) return [];
    const kept = negative
      ? `${label} of "${value}" still allows`
      : `a DENY on "${value}" lets pass`;
    return warning(policy, {
      code: 'path-exact-evaded',
      path,
      message:
        `${kept} ${listed(open.map((other) => `"${other}"`))}, which many applications take for ` +
        `the same page; "${capitalized(value)}" and "${value};x" are other paths as well`,
      mend: `add ${mendsOf(value, open)}; safer is an ALLOW policy that names what may be called`,
    });
  });
}

/** An exact path that requests can have. */
function isPlain(value: string, normalization: PathNormalization): boolean {
  const { form, text } = readPattern(value);
  if (normalizePath(value, normalization) !== value) return false;
  return form === 'exact' && !isTemplate(value) && /^\/[^*?#]*[^/*?#]$/.test(text);
}

/** What normalization does not turn back into the path. */
function spellings(path: string, normalization: PathNormalization): string[] {
  const merges = normalization === 'MERGE_SLASHES' || normalization === 'DECODE_AND_MERGE_SLASHES';
  return merges ? [`${path}/`] : [`${path}/`, `/${path}`];
}

/** Another value of the policy closes it too. */
function isCovered(path: string, at: PolicyValue, values: readonly PolicyValue[]): boolean {
  return values.some((one) => {
    if (one.policy !== at.policy || one.field !== 'paths' || one.negative !== at.negative)
      return false;
    // What is alternative in a DENY must be in one list of an ALLOW's notPaths.
    if (at.negative && one.listPath !== at.listPath) return false;
    if (one.value.endsWith('/{**}')) return path.startsWith(one.value.slice(0, -4));
    const { form, text } = readPattern(one.value);
    if (form === 'any') return true;
    if (form === 'exact') return path === text;
    return form === 'prefix' ? path.startsWith(text) : path.endsWith(text);
  });
}

function mendsOf(path: string, open: readonly string[]): string {
  const mends = open.map((other) => (other.endsWith('/') ? `"${path}/*"` : `"/${path}*"`));
  return listed(mends);
}

function capitalized(path: string): string {
  return path.replace(/[a-z]/, (letter) => letter.toUpperCase());
}
