// Regular expressions of routes, in RE2's syntax and in time linear in the text: the one file that knows re2js.
import type { RE2JS } from 're2js';

import type { Snapshot } from '#api/snapshot.ts';
import type { PathRewrite, RouteGroup, RouteMatch, TextMatch } from '#api/traffic/route.ts';

import { telemetryNeedsRegexes } from '../cel/needs-regexes.ts';
import { transformsNeedRegexes } from '../transform/needs-regexes.ts';

/** Whether the whole of a text matches. */
export interface Regex {
  matches(text: string): boolean;
}

/** All throw when the pattern is not RE2's, or was not prepared. */
export interface RegexFactory {
  whole(pattern: string): Regex;
  /** Whether a part of a text matches. */
  within(pattern: string): Regex;
  /**
   * Replaces every match, as RE2's GlobalReplace.
   * @param substitution `\0` is the match, `\1` to `\9` its groups, `\\` a backslash
   */
  replacer(pattern: string, substitution: string): (text: string) => string;
}

/** For snapshots without a regular expression. */
export const noRegexes: RegexFactory = {
  whole: notLoaded,
  within: notLoaded,
  replacer: notLoaded,
};

let loaded: RegexFactory | null = null;

/** Loads the library when a route, a transformation or telemetry needs it; a promise until it is there. */
export function prepareRegexes({
  routes = [],
  extensions,
  telemetry,
}: Pick<Snapshot, 'routes' | 'extensions' | 'telemetry'>): RegexFactory | Promise<RegexFactory> {
  const needed =
    routes.some(hasRegex) || transformsNeedRegexes(extensions) || telemetryNeedsRegexes(telemetry);
  if (!needed) return noRegexes;
  return loaded ?? import('re2js').then(({ RE2JS }) => (loaded ??= factoryOf(RE2JS)));
}

/** For what is compiled after its snapshot was prepared. */
export function loadedRegexes(): RegexFactory {
  return loaded ?? noRegexes;
}

/** Whether a group has a regular expression anywhere. */
export function hasRegex(group: RouteGroup): boolean {
  return group.http.some(
    ({ matches, rewrite, action, cors }) =>
      matches.some(matchHasRegex) ||
      isRegexRewrite(rewrite?.path) ||
      (action.kind === 'redirect' && isRegexRewrite(action.path)) ||
      cors?.allowOrigins.some(isRegex) === true,
  );
}

function matchHasRegex(match: RouteMatch): boolean {
  const { path, scheme, method, authority, headers = [], query = [] } = match;
  return (
    path?.kind === 'regex' ||
    isRegex(scheme) ||
    isRegex(method) ||
    isRegex(authority) ||
    headers.some((named) => isRegex(named.match)) ||
    query.some((named) => isRegex(named.match))
  );
}

function isRegex(match: TextMatch | null | undefined): boolean {
  return match?.kind === 'regex';
}

function isRegexRewrite(rewrite: PathRewrite | undefined): boolean {
  return rewrite?.kind === 'regex';
}

function factoryOf(library: typeof RE2JS): RegexFactory {
  const compile = (pattern: string): RE2JS => compileRegex(library, pattern);
  return {
    whole(pattern) {
      const regex = compile(pattern);
      return { matches: (text) => regex.testExact(text) };
    },
    within(pattern) {
      const regex = compile(pattern);
      return { matches: (text) => regex.test(text) };
    },
    replacer(pattern, substitution) {
      const regex = compile(pattern);
      const parts = readSubstitution(pattern, substitution, regex.groupCount());
      return (text) => replaceAll(regex.matcher(text), text, parts);
    },
  };
}

/**
 * What a character of a text may cost grows with the instructions of a program: at 1,000 it is 0.1 ms
 * at worst. Everyday patterns have 20 to 150.
 */
const instructionsMax = 1000;

function compileRegex(library: typeof RE2JS, pattern: string): RE2JS {
  let regex: RE2JS;
  try {
    regex = library.compile(pattern);
  } catch (error) {
    return refuse(pattern, error instanceof Error ? error.message : String(error));
  }
  const size = regex.programSize();
  if (size <= instructionsMax) return regex;
  return refuse(pattern, `it has ${size} instructions, more than ${instructionsMax}`);
}

/** A text, or the number of a group. */
type Part = string | number;

function readSubstitution(pattern: string, substitution: string, groups: number): Part[] {
  const parts: Part[] = [];
  for (const [token] of substitution.matchAll(/\\.?|[^\\]+/gs)) {
    if (!token.startsWith('\\')) parts.push(token);
    else if (token === '\\\\') parts.push('\\');
    else {
      const group = /^\\\d$/.test(token) ? Number(token.slice(1)) : Infinity;
      if (group > groups) refuse(pattern, `its substitution has ${token}, which is no group of it`);
      parts.push(group);
    }
  }
  return parts;
}

interface Matcher {
  find(): boolean;
  start(): number;
  end(): number;
  group(group: number): string | null;
}

function replaceAll(matcher: Matcher, text: string, parts: readonly Part[]): string {
  let result = '';
  let from = 0;
  let lastEnd = -1;
  while (matcher.find()) {
    const start = matcher.start();
    const end = matcher.end();
    // RE2 takes no empty match right behind another one.
    if (start === end && start === lastEnd) continue;
    result += text.slice(from, start);
    for (const part of parts) {
      result += typeof part === 'string' ? part : (matcher.group(part) ?? '');
    }
    from = end;
    lastEnd = end;
  }
  return from === 0 && lastEnd === -1 ? text : result + text.slice(from);
}

function notLoaded(pattern: string): never {
  return refuse(pattern, 'the library of regular expressions is not loaded');
}

function refuse(pattern: string, why: string): never {
  throw new Error(`regular expression ${JSON.stringify(pattern)}: ${why}`);
}
