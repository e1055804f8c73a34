// Whether a request meets a match: path, method, scheme, authority, headers and query, all that are given.
import type { NamedMatch, RouteMatch, TextMatch } from '#api/traffic/route.ts';

import type { RequestFacts } from '#policy/facts.ts';
import { headerText, queryValue } from './query.ts';
import type { RegexFactory } from './regex.ts';
import { compileText, type TextMatcher } from './text-matcher.ts';

export interface RequestMatcher {
  /** @param pathEnd where the path's query begins */
  matches(request: RequestFacts, pathEnd: number): boolean;
}

/**
 * Null: every request meets it.
 * @param pathKnown the path is proven elsewhere and not looked at
 */
export function compileMatch(
  match: RouteMatch,
  regexes: RegexFactory,
  pathKnown: boolean,
): RequestMatcher | null {
  const { path, method, scheme, authority, headers = [], query = [] } = match;
  const checks: Check[] = [];
  if (path !== undefined && !pathKnown) checks.push(new PathCheck(compileText(path, regexes)));
  const text = (given: TextMatch | undefined, read: (request: RequestFacts) => string): void => {
    if (given !== undefined) checks.push(new FieldCheck(compileText(given, regexes), read));
  };
  text(method, (request) => request.method);
  text(scheme, (request) => request.scheme);
  text(authority, (request) => request.authority);
  // Istio has absent headers of `withoutHeaders` read as empty ones, so `.*` holds for them.
  for (const one of headers) checks.push(new NamedCheck(one, regexes, headerText, true));
  for (const one of query) checks.push(new NamedCheck(one, regexes, parameter, false));
  const [first] = checks;
  if (first === undefined) return null;
  return checks.length === 1 ? first : new AllChecks(checks);
}

type Check = RequestMatcher;

class AllChecks implements Check {
  private readonly checks: readonly Check[];

  constructor(checks: readonly Check[]) {
    this.checks = checks;
  }

  matches(request: RequestFacts, pathEnd: number): boolean {
    for (const check of this.checks) if (!check.matches(request, pathEnd)) return false;
    return true;
  }
}

class PathCheck implements Check {
  private readonly matcher: TextMatcher;

  constructor(matcher: TextMatcher) {
    this.matcher = matcher;
  }

  matches(request: RequestFacts, pathEnd: number): boolean {
    return this.matcher.matches(request.path, pathEnd);
  }
}

class FieldCheck implements Check {
  private readonly matcher: TextMatcher;
  private readonly read: (request: RequestFacts) => string;

  constructor(matcher: TextMatcher, read: (request: RequestFacts) => string) {
    this.matcher = matcher;
    this.read = read;
  }

  matches(request: RequestFacts): boolean {
    const text = this.read(request);
    return this.matcher.matches(text, text.length);
  }
}

/** A header, or a parameter of the query. */
class NamedCheck implements Check {
  private readonly name: string;
  private readonly not: boolean;
  private readonly matcher: TextMatcher | null;
  private readonly read: (request: RequestFacts, name: string) => string | null;
  private readonly absentIsEmpty: boolean;

  /** @param absentIsEmpty what is not there is matched as an empty text where it must not match */
  constructor(
    { name, match, not = false }: NamedMatch,
    regexes: RegexFactory,
    read: (request: RequestFacts, name: string) => string | null,
    absentIsEmpty: boolean,
  ) {
    this.name = name;
    this.not = not;
    this.matcher = match === null ? null : compileText(match, regexes);
    this.read = read;
    this.absentIsEmpty = absentIsEmpty;
  }

  matches(request: RequestFacts): boolean {
    const value = this.read(request, this.name);
    if (value === null) {
      return this.not && !(this.absentIsEmpty && this.matcher?.matches('', 0) === true);
    }
    return (this.matcher === null || this.matcher.matches(value, value.length)) !== this.not;
  }
}

const parameter = (request: RequestFacts, name: string) => queryValue(request.path, name);
