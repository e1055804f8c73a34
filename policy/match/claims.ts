// What policies say of a verified token: its principal, and claims by their path.
import type { TokenFacts } from '../facts.ts';
import { readPattern, type TextPattern, TextSet } from './text.ts';

export type TokenTest = (token: TokenFacts) => boolean;

/** One value of `requestPrincipals`: issuer and subject are matched apart. */
export interface RequestPrincipal {
  readonly test: TokenTest;
  /** The exact subject, or failing that the exact issuer, that every match has; null: neither is exact. */
  readonly exact: { readonly claim: 'sub' | 'iss'; readonly text: string } | null;
  /** What each claim must be. */
  readonly sides: { readonly issuer: TextPattern; readonly subject: TextPattern };
}

/** Splits at the last slash; a `*` without a slash counts for one side only, as in Istio. */
export function readRequestPrincipal(value: string): RequestPrincipal {
  const slash = value.lastIndexOf('/');
  const issuer = slash === -1 ? value : value.slice(0, slash);
  const subject = slash === -1 ? '' : value.slice(slash + 1);
  if (value === '*') return bothOf('*', '*');
  if (value.startsWith('*')) {
    return slash === -1 ? bothOf('*', value) : bothOf(issuer, exactly(subject));
  }
  if (value.endsWith('*')) {
    return slash === -1 ? bothOf(value, '*') : bothOf(exactly(issuer), subject);
  }
  return bothOf(exactly(issuer), exactly(subject));
}

/** The path of `request.auth.claims[a][b]` after its name; null when it is none. */
export function readClaimPath(brackets: string): readonly string[] | null {
  if (/^(\[[^[\]]*\])*$/.test(brackets)) return brackets.slice(1, -1).split('][');
  if (brackets.startsWith('[') && brackets.endsWith(']')) return [brackets.slice(1, -1)];
  return null;
}

/**
 * A claim: a string, or any string element of a list. Numbers, booleans, null and objects never match.
 * @param path names of nested objects; lists are not walked through
 */
export function claimTest(path: readonly string[], values: readonly string[]): TokenTest {
  const set = new TextSet(values.map(readPattern));
  const [first = ''] = path;
  const alwaysSplit = path.length === 1 && (first === 'scope' || first === 'permission');
  return (token) => {
    const claim = claimAt(token.payload, path);
    if (typeof claim === 'string') {
      const split =
        alwaysSplit || (path.length === 1 && token.spaceDelimitedClaims.includes(first));
      return split ? anyWord(claim, set) : set.matches(claim);
    }
    if (!Array.isArray(claim)) return false;
    for (const element of claim) {
      if (typeof element === 'string' && set.matches(element)) return true;
    }
    return false;
  };
}

/** The value of a claim for people; null when it is missing. */
export function showClaim(token: TokenFacts, path: readonly string[]): string | null {
  const claim = claimAt(token.payload, path);
  if (claim === undefined) return null;
  return typeof claim === 'string' ? claim : JSON.stringify(claim);
}

/** A literal text; `*` in it has no meaning. */
interface Literal {
  readonly literal: string;
}

function exactly(literal: string): Literal {
  return { literal };
}

function bothOf(issuer: string | Literal, subject: string | Literal): RequestPrincipal {
  const sides = { issuer: patternOf(issuer), subject: patternOf(subject) };
  const issuerSet = new TextSet([sides.issuer]);
  const subjectSet = new TextSet([sides.subject]);
  return {
    test: ({ payload }) =>
      typeof payload['iss'] === 'string' &&
      typeof payload['sub'] === 'string' &&
      issuerSet.matches(payload['iss']) &&
      subjectSet.matches(payload['sub']),
    exact: exactOf('sub', subject) ?? exactOf('iss', issuer),
    sides,
  };
}

function patternOf(side: string | Literal): TextPattern {
  return typeof side === 'string' ? readPattern(side) : { form: 'exact', text: side.literal };
}

function exactOf(claim: 'sub' | 'iss', side: string | Literal): RequestPrincipal['exact'] {
  return typeof side === 'string' ? null : { claim, text: side.literal };
}

/** What stands at a path of names; undefined when nothing does. */
export function claimAt(
  payload: Readonly<Record<string, unknown>>,
  path: readonly string[],
): unknown {
  let value: unknown = payload;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    if (!Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

/** Any word of a text that blanks divide; no words in an empty one. */
function anyWord(text: string, set: TextSet): boolean {
  for (const word of text.split(' ')) if (word !== '' && set.matches(word)) return true;
  return false;
}
