// Which requests a rule of our own kinds is for, with the tests that AuthorizationPolicy has for the same fields.
import type { RequestMatch } from '#api/kinds/request-match.ts';
import type { Attribute } from '#policy/conditions/condition.ts';
import { headers, hosts, methods, paths } from '#policy/conditions/request.ts';
import type { ConnectionFacts, RequestFacts } from '#policy/facts.ts';

export type RequestTest = (connection: ConnectionFacts, request: RequestFacts) => boolean;

/** Null: every request. */
export function compileRequestMatch(
  match: readonly RequestMatch[] | undefined,
): RequestTest | null {
  if (match === undefined || match.length === 0) return null;
  const tests = match.map(compileOne);
  const [only] = tests;
  if (tests.length === 1 && only !== undefined) return only;
  return (c, r) => {
    for (const test of tests) if (test(c, r)) return true;
    return false;
  };
}

function compileOne(match: RequestMatch): RequestTest {
  const tests = [
    testOf(methods, match.methods),
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

function testOf(attribute: Attribute, values: readonly string[] | undefined): RequestTest | null {
  if (values === undefined) return null;
  return attribute.build(values).any ?? never;
}

/** None of the values can be met. */
function never(): boolean {
  return false;
}
