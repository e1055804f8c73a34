// The points of Istio's semantics that a plain reading of its API gets wrong, and what a decision costs.
import { expect, test } from 'vitest';

import type { Rule } from '#api/kinds/authorization-policy.ts';
import { decide } from '#policy/decide.ts';

import { compileMixed, mixedCalls } from '../bench/mixed-policies.ts';
import { authorization, compile, connection, request, token } from './making.ts';

const call = request({ path: '/a' });
const paths = (...values: string[]): Rule => ({ to: [{ operation: { paths: values } }] });

function allows(...policies: Parameters<typeof compile>[0]): boolean {
  return decide(compile(policies).http, connection(), call).allowed;
}

test('without policies everything is allowed', () => {
  expect(allows()).toBe(true);
});

test('an ALLOW policy without rules allows nothing, one with an empty rule everything', () => {
  expect(allows(authorization('p', {}))).toBe(false);
  expect(allows(authorization('p', { rules: [] }))).toBe(false);
  expect(allows(authorization('p', { rules: [{}] }))).toBe(true);
  expect(allows(authorization('p', { rules: [{ from: [], to: [{}] }] }))).toBe(true);
});

test('one ALLOW rule of any policy suffices, one DENY rule beats them all', () => {
  const allow = authorization('allow', { rules: [paths('/a')] });
  expect(allows(authorization('other', { rules: [paths('/b')] }), allow)).toBe(true);
  expect(allows(allow, authorization('deny', { action: 'DENY', rules: [paths('/*')] }))).toBe(
    false,
  );
});

test('AUDIT and dry-run policies do not count as ALLOW', () => {
  expect(allows(authorization('log', { action: 'AUDIT', rules: [paths('/b')] }))).toBe(true);
  const annotations = { 'istio.io/dry-run': 'true' };
  expect(allows(authorization('trial', { rules: [] }, { annotations }))).toBe(true);
});

test('of several rules that match, the first by name decides: rule[10] comes before rule[2]', () => {
  const rules = Array.from({ length: 11 }, (_, i) => paths(i === 2 || i === 10 ? '/a' : '/x'));
  const root = authorization(
    'a',
    { action: 'DENY', rules: [paths('/a')] },
    { namespace: 'the-root' },
  );
  const own = authorization('p', { action: 'DENY', rules });
  const { http } = compile([root, own], { rootNamespace: 'the-root' });
  expect(decide(http, connection(), call)).toMatchObject({ policy: 'p', rule: 10 });
});

test.each([
  [{ notPrincipals: ['*'] }, true],
  [{ notNamespaces: ['x'] }, true],
  [{ notRequestPrincipals: ['*'] }, true],
  [{ principals: ['*'] }, false],
])('for a caller without identity and token, %j is %j', (source, holds) => {
  const { http } = compile([authorization('p', { rules: [{ from: [{ source }] }] })]);
  expect(decide(http, connection(null), call).allowed).toBe(holds);
});

test('each line of a repeated header is matched by itself', () => {
  const rules = [{ when: [{ key: 'request.headers[X-Foo]', values: ['bar'] }] }];
  const { http } = compile([authorization('p', { rules })]);
  const sent = (...lines: string[]): boolean =>
    decide(http, connection(), request({ headers: { 'x-foo': lines } })).allowed;
  expect(sent('baz', 'bar')).toBe(true);
  expect(sent('bar,baz')).toBe(false);
  expect(sent()).toBe(false);
});

test('claims and audiences are of the token, and there are none without one', () => {
  const rules = [{ when: [{ key: 'request.auth.audiences', values: ['shop'] }] }];
  const { http } = compile([authorization('p', { rules })]);
  const bearer = token({ iss: 'i', sub: 's', aud: ['x', 'shop'] });
  expect(decide(http, connection(), request({ token: bearer })).allowed).toBe(true);
  expect(decide(http, connection(), request()).allowed).toBe(false);
});

function allowsTcp(action: 'ALLOW' | 'DENY', ...operations: object[]): boolean {
  const rules = [{ to: operations.map((operation) => ({ operation })) }];
  return decide(compile([authorization('p', { action, rules })]).tcp, connection(), null).allowed;
}

test('on TCP a DENY rule gets wider by its HTTP fields, an ALLOW rule disappears', () => {
  expect(allowsTcp('DENY', { paths: ['/b'] })).toBe(false);
  expect(allowsTcp('DENY', { paths: ['/b'], ports: ['1'] })).toBe(true);
  expect(allowsTcp('DENY', { paths: ['/b'], ports: ['8080'] })).toBe(false);
  expect(allowsTcp('ALLOW', { ports: ['8080'] })).toBe(true);
  expect(allowsTcp('ALLOW', { paths: ['/b'], ports: ['8080'] })).toBe(false);
  expect(allowsTcp('ALLOW', { ports: ['8080'] }, { paths: ['/b'] })).toBe(false);
});

test('an unknown key drops the rule, in DENY too', () => {
  const rules = [{ when: [{ key: 'request.nope', values: ['a'] }] }];
  expect(allows(authorization('p', { action: 'DENY', rules }))).toBe(true);
  expect(allows(authorization('p', { rules }))).toBe(false);
});

test('an identity with more segments than Istio gives is found all the same', () => {
  const rules = [{ from: [{ source: { serviceAccounts: ['web'] } }] }];
  const { http } = compile([authorization('p', { rules })]);
  const from = (identity: string): boolean => decide(http, connection(identity), call).allowed;
  expect(from('cluster.local/ns/shop/sa/web')).toBe(true);
  expect(from('cluster.local/ns/shop/x/sa/web/extra')).toBe(true);
  expect(from('cluster.local/ns/shop/sa/webx')).toBe(false);
});

test('a decision among a thousand policies leaves nothing on the heap once the code is warm', () => {
  const { http } = compileMixed(1000);
  const calls = mixedCalls(1000, 500);
  let least = Infinity;
  for (let round = 0; round < 30 && least > 1; round++) {
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 20; i++) {
      for (const { connection: c, request: r } of calls) decide(http, c, r);
    }
    const bytes = (process.memoryUsage().heapUsed - before) / (20 * calls.length);
    // Less than nothing: the collector ran.
    if (bytes >= 0) least = Math.min(least, bytes);
  }
  expect(least).toBeLessThan(4);
});

test('a decision grows with the rules that may match, not with all', () => {
  const seen = [100, 3000].map((count) => {
    const { http } = compileMixed(count);
    let candidates = 0;
    for (const { connection: c, request: r } of mixedCalls(count, 200)) {
      for (const group of [http.deny, http.allow]) {
        group?.index.search(c, r, { visit: (list) => void (candidates += list.length) });
      }
    }
    return candidates / 200;
  });
  expect(Math.max(...seen)).toBeLessThan(12);
});
