// Paths that no request can have: requests are compared in normal form, without query and fragment.
import type { PathNormalization } from '#api/kinds/mesh-config.ts';
import type { Problem } from '#api/problem.ts';

import { readPattern } from '../match/text.ts';
import { normalizePath } from '../path.ts';
import { type LintContext, warning } from './context.ts';
import type { PolicyValue } from './values.ts';

export function checkPaths({ values, mesh }: LintContext): Problem[] {
  const { normalization } = mesh.meshConfig.pathNormalization;
  return values
    .filter(({ field }) => field === 'paths')
    .flatMap((at) => checkPath(at, normalization) ?? checkTemplate(at) ?? []);
}

function checkPath(at: PolicyValue, normalization: PathNormalization): Problem | null {
  const { value } = at;
  const template = isTemplate(value);
  const { form, text } = template ? { form: 'exact', text: value } : readPattern(value);
  if (form === 'any') return null;
  if (/[?#]/.test(text)) {
    const part = text.includes('?') ? 'the query' : 'the fragment';
    const [path = ''] = value.split(/[?#]/, 1);
    const message = `"${value}" never matches: paths are compared without ${part}`;
    const mend = `write "${path === '' ? '/' : path}"; no policy can look at ${part}`;
    return said(at, 'path-with-query', message, mend);
  }
  if (form !== 'suffix' && !text.startsWith('/')) {
    const message = `"${value}" never matches: every path begins with "/"`;
    return said(at, 'path-relative', message, `write "/${value}"`);
  }
  // Literal stars and braces are told of elsewhere, or stand for something.
  const plain = text.replaceAll(/\{\*{1,2}\}/g, 'x').replaceAll('*', 'x');
  const normal = normalOf(plain, form, normalization);
  if (normal === null) {
    const message = `"${value}" never matches: a request with %00 is refused with 400`;
    return said(at, 'path-not-normal', message, 'remove the %00');
  }
  if (normal === plain) return null;
  const message =
    `"${value}" never matches: such a path is compared in its normal form` +
    (form === 'exact' && !template ? `, "${normal}"` : '');
  const written = form === 'prefix' ? `${normal}*` : form === 'suffix' ? `*${normal}` : normal;
  const mend =
    template || plain !== text
      ? 'write the path as it is after normalization'
      : `write "${written}"`;
  return said(at, 'path-not-normal', message, mend);
}

/** The normal form of the text that was given, with a neutral letter where the path may go on. */
function normalOf(text: string, form: string, normalization: PathNormalization): string | null {
  const before = form === 'suffix' ? '/x' : '';
  const after = form === 'prefix' ? 'x' : '';
  const normal = normalizePath(before + text + after, normalization);
  if (normal === null) return null;
  if (!normal.startsWith(before) || !normal.endsWith(after)) return normal;
  return normal.slice(before.length, normal.length - after.length);
}

/** "/a/{**}" is not "/a", and "/a/{*}" is neither "/a/" nor "/a/b/". */
function checkTemplate(at: PolicyValue): Problem | null {
  const { value, list } = at;
  const base = value.replace(/\/\{\*\*\}$/, '');
  if (base === value || base === '' || list.includes(base)) return null;
  // Literal bases only: a template below a template has no one path to add.
  if (isTemplate(base)) return null;
  const message = `"${value}" matches "${base}/" and all below it, and not "${base}" itself`;
  return said(at, 'template-without-base', message, `add "${base}" if it is meant too`);
}

export function isTemplate(value: string): boolean {
  return value.includes('{*}') || value.includes('{**}');
}

function said(at: PolicyValue, code: string, message: string, mend: string): Problem {
  const { policy, path, label } = at;
  return warning(policy, { code, path, message: `${label}: ${message}`, mend });
}
