// Recorded calls under other policies: what changes, and what cannot be known.
import { expect, test } from 'vitest';

import type { CallRecord } from '#api/call-record.ts';
import { replay } from '#cli/replay.ts';

import { folderOf, meshOf, policyOf } from '../yaml-folder.ts';
import { recorded, recordingOf } from './calls.ts';

async function replayed(now: string, calls: readonly CallRecord[], ...args: string[]) {
  const folder = await folderOf({ 'new.yaml': now, 'calls.ndjson': recordingOf(...calls) });
  const io = folder.io();
  const status = await replay(['calls.ndjson', '--policies', 'new.yaml', ...args], io);
  return { status, out: io.out(), err: io.err() };
}

const allow = (paths: string): string =>
  policyOf('p', 'ALLOW', `[{ to: [{ operation: { paths: [${paths}] } }] }]`);
const denied = {
  verdict: 'deny',
  policy: null,
  rule: null,
  place: null,
  why: 'denied: no rule',
} as const;
const tokens = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: jwt, namespace: shop }
spec: { jwtRules: [{ issuer: iss, jwks: '{"keys":[]}' }] }`;

test('nothing changes: status 0', async () => {
  const { status, out } = await replayed(meshOf(allow('"/api/*"')), [recorded(), recorded()]);
  expect(out).toBe('2 calls: 0 would be denied, 0 would be allowed, 2 as before\n');
  expect(status).toBe(0);
});

test('calls that change are told together by caller, method and class of path', async () => {
  const orders = ['11', '12', '13'].map((id) => recorded({ path: `/api/orders/${id}?q=…` }));
  const { status, out } = await replayed(meshOf(allow('"/api/items"')), [...orders, recorded()]);
  expect(status).toBe(1);
  expect(out).toMatch(
    'now DENIED  GET /api/orders/{*} from shop/web-sa to port 8080: 3 calls, for example /api/orders/11',
  );
  expect(out).toMatch('old: allowed by shop/wide rule 0 (old.yaml:9)');
  expect(out).toMatch('4 calls: 3 would be denied, 0 would be allowed, 1 as before');
});

test('a call that was denied may be allowed now', async () => {
  const { status, out } = await replayed(meshOf(), [recorded(denied)]);
  expect(status).toBe(1);
  expect(out).toMatch('now ALLOWED  GET /api/items from shop/web-sa');
});

test('policies of a folder without workloads go by the labels of the recording', async () => {
  const { status } = await replayed(allow('"/none"'), [recorded()]);
  expect(status).toBe(1);
});

test('--old compares with other policies than those that were in force', async () => {
  const folder = await folderOf({
    'old.yaml': meshOf(allow('"/none"')),
    'new.yaml': meshOf(allow('"/nothing"')),
    'calls.ndjson': recordingOf(recorded()),
  });
  const io = folder.io();
  expect(await replay(['calls.ndjson', '--policies', 'new.yaml', '--old', 'old.yaml'], io)).toBe(0);
});

test('a token counts by its claims, however old it is', async () => {
  const payload = { iss: 'iss', sub: 'ada', exp: 1_000 };
  const token = { issuer: 'iss', subject: 'ada', payload, spaceDelimitedClaims: [] };
  const rule = policyOf(
    'p',
    'ALLOW',
    '[{ from: [{ source: { requestPrincipals: ["iss/ada"] } }] }]',
  );
  const { status, out } = await replayed(meshOf(tokens, rule), [recorded({ facts: { token } })]);
  expect(out).toMatch('1 as before');
  expect(status).toBe(0);
});

const secret = { headers: [['authorization', '(redacted)']] } as const;
test.each([
  [
    'a header that may hold a credential',
    policyOf('p', 'DENY', '[{ when: [{ key: "request.headers[Authorization]", values: ["x"] }] }]'),
    recorded({ facts: secret }),
    'its header authorization was not recorded, as it may hold a credential',
  ],
  [
    'a token that nobody looked at then',
    tokens,
    recorded({ facts: secret }),
    'where a token may be',
  ],
  [
    'a token in the query',
    tokens,
    recorded({ path: '/?access_token=…' }),
    'its parameter access_token was not recorded',
  ],
  [
    'a credential that was refused',
    tokens,
    recorded({ ...denied, details: 'jwt_authn_access_denied{Jwt_is_expired}' }),
    'the credential that it was refused for was not recorded',
  ],
  ['a call without facts', '', recorded({ facts: null }), 'recorded without the facts'],
  [
    'a path that was cut',
    '',
    recorded({ path: `/${'a'.repeat(511)}...` }),
    'longer than a recording',
  ],
  [
    'an unknown workload',
    '',
    recorded({ destination: { namespace: 'a', workload: 'b', principal: 'unknown' } }),
    'has the workload a/b',
  ],
])('%s is said, not guessed: status 3', async (_, policy, call, message) => {
  const { status, out } = await replayed(meshOf(policy), [call]);
  expect(out).toMatch(/^cannot be judged: 1 call: /);
  expect(out).toMatch(message);
  expect(status).toBe(3);
});

test('what an authorizer would answer is not known, but where it makes no difference', async () => {
  const mesh = `apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data: { mesh: 'extensionProviders: [{ name: ask, envoyExtAuthzGrpc: { service: ask.shop.svc.cluster.local, port: 1 } }]' }`;
  const custom = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: c, namespace: shop }
spec: { action: CUSTOM, provider: { name: ask }, rules: [{ to: [{ operation: { paths: ["/api/*"] } }] }] }`;
  const one = await replayed(meshOf(mesh, custom), [recorded(), recorded({ path: '/other' })]);
  expect(one.out).toMatch('what the authorizer ask would answer was not recorded');
  expect(one.out).toMatch('1 as before');
  const closed = await replayed(meshOf(mesh, custom, policyOf('d', 'DENY', '[{}]')), [recorded()]);
  expect(closed.status).toBe(1);
});

test('calls that no policy was asked about are left out', async () => {
  const { status, out } = await replayed(meshOf(), [
    recorded({ verdict: null }),
    recorded({ reporter: 'outbound' }),
  ]);
  expect(out).toMatch('2 calls left out, as no policy was asked about them');
  expect(status).toBe(0);
});
