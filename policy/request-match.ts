// Which requests a rule of our own kinds is for, with the tests that AuthorizationPolicy has for the same fields.
import { expandPrincipal } from './aliases.ts';
import type { Attribute } from './conditions/condition.ts';
import { namespaces, principals } from './conditions/peer.ts';
import { headers, hosts, methods, paths } from './conditions/request.ts';
import type { ConnectionFacts, RequestFacts } from './facts.ts';

export type RequestTest = (connection: ConnectionFacts, request: RequestFacts) => boolean;

/** What is there must hold, all of it. Kinds have the fields of these that mean something to them. */
export interface RequestMatchFields {
  readonly paths?: readonly string[] | undefined;
  readonly notPaths?: readonly string[] | undefined;
  readonly methods?: readonly string[] | undefined;
  readonly hosts?: readonly string[] | undefined;
  readonly headers?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly principals?: readonly string[] | undefined;
  readonly namespaces?: readonly string[] | undefined;
}

export interface RequestMatchOptions {
  /** The mesh's own, then its aliases. */
  readonly trustDomains?: readonly string[];
  /** What cannot be compiled meets nothing; or throws, where meeting nothing would let everyone in. */
  readonly broken?: 'never' | 'throw';
}

/** Null: every request. */
export function compileRequestMatch(
  match: readonly RequestMatchFields[] | undefined,
  options: RequestMatchOptions = {},
): RequestTest | null {
  if (match === undefined || match.length === 0) return null;
  const tests = match.map((one) => compileOne(one, options));
  const [only] = tests;
  if (tests.length === 1 && only !== undefined) return only;
  return (c, r) => {
    for (const test of tests) if (test(c, r)) return true;
    return false;
  };
}

function compileOne(match: RequestMatchFields, options: RequestMatchOptions): RequestTest {
  const { trustDomains = [], broken = 'never' } = options;
  const testOf = (attribute: Attribute, values: readonly string[] | undefined) =>
    values === undefined ? null : compileValues(attribute, values, broken);
  const tests = [
    testOf(methods, match.methods),
    testOf(
      principals((value) => expandPrincipal(value, trustDomains)),
      match.principals,
    ),
    testOf(namespaces, match.namespaces),
    testOf(paths, match.paths),
    testOf(hosts, match.hosts),
    ...Object.entries(match.headers ?? {}).map(([name, values]) => testOf(headers(name), values)),
  ].filter((test) => test !== null);
  const not = testOf(paths, match.notPaths);
  return (c, r) => {
    for (const test of tests) if (!test(c, r)) return false;
    return not === null || !not(c, r);
  };
}

function compileValues(
  attribute: Attribute,
  values: readonly string[],
  broken: 'never' | 'throw',
): RequestTest {
  const built = attribute.build(values);
  if (broken === 'throw' && (built.any === null || built.broken.length > 0)) {
    throw new Error(`a match cannot be compiled: ${values.join(', ')}`);
  }
  return built.any ?? never;
}

/** None of the values can be met. */
function never(): boolean {
  return false;
}
