// Which requests need a key, with the tests that AuthorizationPolicy has for the same fields.
import type { ApiKeyMatch } from '#api/kinds/api-key-authentication.ts';

import type { Attribute } from '../conditions/condition.ts';
import { hosts, methods, paths } from '../conditions/request.ts';
import type { ConnectionFacts, RequestFacts } from '../facts.ts';

export type RequestTest = (connection: ConnectionFacts, request: RequestFacts) => boolean;

/** Null: every request. Throws for what cannot be compiled: taken as "none" it would let everyone in. */
export function compileKeyMatch(match: readonly ApiKeyMatch[] | undefined): RequestTest | null {
  if (match === undefined || match.length === 0) return null;
  const tests = match.map(compileOne);
  return (c, r) => tests.some((test) => test(c, r));
}

function compileOne(match: ApiKeyMatch): RequestTest {
  const wanted = [
    testOf(methods, match.methods),
    testOf(paths, match.paths),
    testOf(hosts, match.hosts),
  ].filter((test) => test !== null);
  const not = testOf(paths, match.notPaths);
  return (c, r) => {
    for (const test of wanted) if (!test(c, r)) return false;
    return not === null || !not(c, r);
  };
}

function testOf(attribute: Attribute, values: readonly string[] | undefined): RequestTest | null {
  if (values === undefined) return null;
  const { any, broken } = attribute.build(values);
  if (any === null || broken.length > 0) {
    throw new Error(`match of an ApiKeyAuthentication cannot be compiled: ${values.join(', ')}`);
  }
  return any;
}
