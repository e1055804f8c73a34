// DENY on an exact path: another spelling of the same page is another path, and passes.
import type { PathNormalization } from '#api/kinds/mesh-config.ts';
import type { Problem } from '#api/problem.ts';

import { readPattern } from '../match/text.ts';
import { normalizePath } from '../path.ts';
import { type LintContext, listed, warning } from './context.ts';
import { isTemplate } from './paths.ts';
import type { PolicyValue } from './values.ts';

export function checkDenials({ values, mesh, valuesIn }: LintContext): Problem[] {
  const { normalization } = mesh.meshConfig.pathNormalization;
  return values.flatMap((at) => {
    const { policy, field, value, negative, path, label } = at;
    const { action } = policy.spec;
    // "All but /admin" in an ALLOW has the same hole.
    const closes = (action === 'DENY' && !negative) || (action === 'ALLOW' && negative);
    if (field !== 'paths' || !closes || !isOnePath(value, normalization)) return [];
    const others = valuesIn(policy).filter((one) => one.field === 'paths' && isTogether(one, at));
    const open = spellings(value, normalization).filter((other) => !isCovered(other, others));
    if (open.length === 0) return [];
    const kept = negative
      ? `${label} of "${value}" still allows`
      : `a DENY on "${value}" lets pass`;
    const capital = capitalized(value);
    return warning(policy, {
      code: 'path-exact-evaded',
      path,
      message:
        `${kept} ${listed(open.map((other) => `"${other}"`))}, which many applications take for ` +
        `the same page; "${capital}" and "${value};x" are other paths as well`,
      mend: `add ${mendsOf(value, open)}; safer is an ALLOW policy that names what may be called`,
    });
  });
}

/** An exact path, or a template of a fixed number of segments, that requests can have. */
function isOnePath(value: string, normalization: PathNormalization): boolean {
  if (value.endsWith('/') || value.includes('{**}')) return false;
  const plain = value.replaceAll('{*}', 'x');
  const { form, text } = readPattern(plain);
  if (form !== 'exact' || !/^\/[^*?#]+$/.test(text)) return false;
  return normalizePath(plain, normalization) === plain;
}

/** What normalization does not turn back into the path. */
function spellings(path: string, normalization: PathNormalization): string[] {
  if (isTemplate(path)) return [`${path}/`];
  const merges = normalization === 'MERGE_SLASHES' || normalization === 'DECODE_AND_MERGE_SLASHES';
  const escapes = otherEscapes(path);
  return [`${path}/`, ...(merges ? [] : [`/${path}`]), ...(escapes === path ? [] : [escapes])];
}

/** %2f and %2F are different letters. */
function otherEscapes(path: string): string {
  return path.replaceAll(/%[0-9a-f]{2}/gi, (escape) =>
    escape === escape.toUpperCase() ? escape.toLowerCase() : escape.toUpperCase(),
  );
}

/** Values of a DENY add up; those of an ALLOW's notPaths only within one list. */
function isTogether(one: PolicyValue, at: PolicyValue): boolean {
  return one.negative === at.negative && (!at.negative || one.listPath === at.listPath);
}

/** Another value of the policy closes it too. */
function isCovered(path: string, values: readonly PolicyValue[]): boolean {
  return values.some(({ value }) => {
    if (value === path) return true;
    if (value.endsWith('/{**}')) return path.startsWith(value.slice(0, -4));
    if (isTemplate(value)) return false;
    const { form, text } = readPattern(value);
    if (form === 'any') return true;
    if (form === 'exact') return path === text;
    return form === 'prefix' ? path.startsWith(text) : path.endsWith(text);
  });
}

function mendsOf(path: string, open: readonly string[]): string {
  const mends = open.map((other) => {
    if (isTemplate(path)) return `"${path}/{**}"`;
    if (other === `${path}/`) return `"${path}/*"`;
    return other === `/${path}` ? `"/${path}*"` : `"${other}"`;
  });
  return listed(mends);
}

function capitalized(path: string): string {
  return path.replace(/[a-z]/, (letter) => letter.toUpperCase());
}
