// POST /explain: what its body may say, and that it judges as the request path does.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { InForce } from '#sidecar/in-force.ts';
import { explainCall, readAskedCall, type ExplainedCall } from '#sidecar/observe/explain.ts';
import { mergeLimits } from '#sidecar/observe/limits.ts';
import { authorization, snapshotOf, spiffe, strict } from '#test/sidecar/rig.ts';

const web = spiffe('shop', 'web');
const policies =
  strict +
  authorization(
    'admit',
    'ALLOW',
    `[{ from: [{ source: { principals: ["cluster.local/ns/shop/sa/web"] } }],
        to: [{ operation: { methods: [GET], paths: ["/pay"], hosts: ["payments"] } }] },
      { when: [{ key: "request.auth.claims[role]", values: [admin] }] },
      { when: [{ key: source.ip, values: ["10.9.0.0/16"] }] }]`,
  ) +
  `
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: jwt, namespace: shop }
spec: { jwtRules: [{ issuer: people, jwks: '{"keys":[]}' }] }
`;

function explain(body: object, text = policies): Promise<ExplainedCall> {
  const inForce = new InForce();
  inForce.apply(snapshotOf({ policies: text }, 9));
  const asked = readAskedCall({ port: 8080, identities: [web], ...body });
  if (typeof asked === 'string') throw new Error(asked);
  return explainCall(inForce.current()!, asked);
}

test('each field counts as it would in a call', async () => {
  const pay = { method: 'GET', path: '/pay', authority: 'payments' };
  expect(await explain(pay)).toMatchObject({
    snapshot: 9,
    mtls: 'STRICT',
    decision: 'allow',
    status: 200,
    explanation: {
      at: expect.stringContaining('test.yaml:'),
      verdict: { policy: 'admit', rule: 0 },
    },
  });
  const decisions = {
    method: { ...pay, method: 'POST' },
    path: { ...pay, path: '/other' },
    authority: { ...pay, authority: 'orders' },
    identities: { ...pay, identities: [spiffe('shop', 'other')] },
  };
  for (const [what, body] of Object.entries(decisions)) {
    expect([what, (await explain(body)).decision]).toEqual([what, 'deny']);
  }
  expect(await explain({ sourceIp: '10.9.1.1' })).toMatchObject({ decision: 'allow' });
  expect(await explain({ token: { iss: 'people', sub: 'ann', role: 'admin' } })).toMatchObject({
    explanation: { verdict: { rule: 1 } },
  });
  expect(await explain({ token: { iss: 'strangers', role: 'admin' } })).toMatchObject({
    decision: 'unauthenticated',
    status: 401,
    explanation: { summary: expect.stringContaining('ssuer') },
  });
});

test('where no rule is asked the explanation says what came before', async () => {
  expect(await explain({ identities: [] })).toMatchObject({
    decision: 'closed',
    status: 0,
    explanation: { verdict: { allowed: false }, summary: expect.stringContaining('STRICT') },
  });
  expect(await explain({ path: '*' })).toMatchObject({
    explanation: { verdict: { allowed: false } },
  });
  const bytes = { tcp: true, port: 9 };
  expect(await explain(bytes)).toMatchObject({ decision: 'closed', status: 0 });
  expect(await explain({ ...bytes, sourceIp: '10.9.1.1' })).toMatchObject({ decision: 'allow' });
});

test('the scheme is what a proxy would have told, and a header of it wins', async () => {
  const https = authorization(
    'https',
    'ALLOW',
    '[{ when: [{ key: "request.headers[x-forwarded-proto]", values: [https] }] }]',
  );
  expect((await explain({ scheme: 'https' }, https)).decision).toBe('allow');
  expect((await explain({ scheme: 'http' }, https)).decision).toBe('deny');
  const headers = [['X-Forwarded-Proto', 'https']];
  expect((await explain({ scheme: 'http', headers }, https)).decision).toBe('allow');
});

test('a body that says something else is told what it may say', () => {
  const wrong: readonly (readonly [unknown, string])[] = [
    [null, 'no JSON object'],
    [[], 'no JSON object'],
    [{}, 'port is missing'],
    [{ port: '8080' }, 'port is a number'],
    [{ port: 1.5 }, 'port is a number'],
    [{ port: 1, colour: 1 }, 'there is no "colour"; there are port, method'],
    [{ port: 1, headers: { a: 'b' } }, 'headers is a list of [name, value]'],
    [{ port: 1, headers: [['a']] }, 'headers is a list of [name, value]'],
    [{ port: 1, identities: ['shop/web'] }, 'identities is a list of SPIFFE IDs'],
    [{ port: 1, identities: ['spiffe://a,uri:spiffe://b'] }, 'identities is a list of SPIFFE IDs'],
    [{ port: 1, sourceIp: 'home' }, 'sourceIp is an IP address'],
    [{ port: 1, token: 'eyJ' }, 'token is an object of claims'],
    [{ port: 1, scheme: 'ftp' }, 'scheme is "http" or "https"'],
  ];
  for (const [body, message] of wrong) expect(readAskedCall(body)).toContain(message);
});

test('whatever the body, it is refused or judged, and nothing is thrown', async () => {
  const text = fc.string({ unit: 'binary', maxLength: 40 });
  const body = fc.record(
    {
      port: fc.oneof(fc.constantFrom(8080, 1), fc.anything()),
      method: fc.oneof(fc.constantFrom('GET', 'CONNECT'), text),
      path: fc.oneof(fc.webPath(), text),
      authority: text,
      scheme: fc.constantFrom('http', 'https', 'x'),
      headers: fc.array(
        fc.tuple(fc.oneof(fc.constantFrom('connection', 'authorization'), text), text),
      ),
      identities: fc.constantFrom([], [web], ['spiffe://x']),
      sourceIp: fc.oneof(fc.ipV4(), fc.ipV6()),
      token: fc.oneof(fc.constant(null), fc.dictionary(fc.string(), fc.jsonValue())),
      tcp: fc.boolean(),
    },
    { requiredKeys: [] },
  );
  const inForce = new InForce();
  inForce.apply(snapshotOf({ policies }));
  await fc.assert(
    fc.asyncProperty(fc.oneof(body, fc.anything()), async (value) => {
      const asked = readAskedCall(value);
      if (typeof asked === 'string') return;
      const { explanation, decision } = await explainCall(inForce.current()!, asked);
      expect(explanation.summary).not.toBe('');
      expect(explanation.verdict.allowed).toBe(decision === 'allow');
    }),
    { numRuns: 500 },
  );
});

test('limits of several workers are one: their requests are summed, their keys are the same', () => {
  const usage = {
    name: 'all',
    algorithm: 'quota',
    scope: 'local',
    keys: 3,
    allowed: 2,
    limited: 1,
    errors: 0,
  } as const;
  const shared = { ...usage, scope: 'shared', keys: null, errors: 5 } as const;
  const one = [
    { ...usage, limit: 'a/b[0]' },
    { ...shared, limit: 'a/b[1]' },
  ];
  expect(mergeLimits([one, [{ ...usage, limit: 'a/b[0]', keys: 4 }]])).toEqual([
    { ...usage, limit: 'a/b[0]', keys: 4, allowed: 4, limited: 2 },
    { ...shared, limit: 'a/b[1]' },
  ]);
});
