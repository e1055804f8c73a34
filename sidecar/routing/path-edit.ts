// Rewrites of a path, compiled for the match that they belong to: prefix, whole segments, regular expression, all of it.
import type { PathRewrite, RouteMatch } from '#api/traffic/route.ts';

import { pathEnd } from '#policy/conditions/request.ts';
import type { RegexFactory } from './regex.ts';
import { withoutFinalSlash } from './text-matcher.ts';

/** Makes the new path, with its query, of the whole old one. */
export type PathEdit = (path: string) => string;

export function compilePathEdit(
  rewrite: PathRewrite,
  match: RouteMatch | null,
  regexes: RegexFactory,
): PathEdit {
  switch (rewrite.kind) {
    case 'full':
      return fullEdit(rewrite.value);
    case 'prefix':
      return prefixEdit(rewrite.value, metLength(match));
    case 'segments':
      return segmentsEdit(rewrite.value, metSegments(match));
    default: {
      const replace = regexes.replacer(rewrite.match, rewrite.value);
      return (path) => {
        const end = pathEnd(path);
        return originForm(replace(path.slice(0, end)) + path.slice(end));
      };
    }
  }
}

/** A value that brings a query replaces the request's own. */
function fullEdit(value: string): PathEdit {
  const whole = originForm(value);
  return value.includes('?') ? () => whole : (path) => whole + path.slice(pathEnd(path));
}

/** As Envoy: characters, not segments, so that `/` for `/v1` makes `//x` of `/v1/x`. */
function prefixEdit(value: string, met: number): PathEdit {
  return (path) => originForm(value + path.slice(Math.min(met, pathEnd(path))));
}

function segmentsEdit(value: string, met: number): PathEdit {
  const stem = withoutFinalSlash(value);
  return (path) => {
    const end = pathEnd(path);
    const made = stem + path.slice(Math.min(met, end), end);
    return originForm((made === '' ? '/' : made) + path.slice(end));
  };
}

/** How many characters a match's prefix met; Infinity: the whole path. */
function metLength(match: RouteMatch | null): number {
  const path = match?.path;
  // Istio writes a match without a path as the prefix `/`.
  if (path === undefined) return 1;
  if (path.kind === 'segments') return withoutFinalSlash(path.value).length;
  return path.kind === 'prefix' ? path.value.length : Infinity;
}

function metSegments(match: RouteMatch | null): number {
  const path = match?.path;
  if (path === undefined) return 0;
  const byPrefix = path.kind === 'prefix' || path.kind === 'segments';
  return byPrefix ? withoutFinalSlash(path.value).length : Infinity;
}

/** A target that did not begin with a slash would be read as another form of it, naming a host perhaps. */
function originForm(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}
