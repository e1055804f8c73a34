// Tokens proven by the API server: every way in which one is refused, and what is asked and kept.
import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ProvenIdentity } from '#ca/identity/authenticator.ts';
import { refuseHopeless } from '#ca/identity/claims.ts';
import { identityOf, TokenReviews, type ReviewStatus } from '#ca/identity/token-review.ts';
import { Refusal } from '#ca/refusal.ts';
import { createKubeClient, type KubeClient } from '#runtime/kubernetes/client.ts';
import { createLog } from '#runtime/log.ts';
import { FakeApi, status } from '#test/runtime/kubernetes/fake-api.ts';
import { VirtualClock } from '#test/runtime/virtual-clock.ts';

const audience = 'selvage-ca';
const good: ReviewStatus = {
  authenticated: true,
  audiences: [audience],
  user: {
    username: 'system:serviceaccount:shop:orders',
    extra: {
      'authentication.kubernetes.io/pod-name': ['orders-1'],
      'authentication.kubernetes.io/pod-uid': ['uid-1'],
    },
  },
};
const identity = {
  namespace: 'shop',
  serviceAccount: 'orders',
  pod: 'orders-1',
  podUid: 'uid-1',
};

let api: FakeApi;
let client: KubeClient;
let clock: VirtualClock;
let lines: string[];
let answer: ReviewStatus;

beforeEach(async () => {
  api = await FakeApi.start();
  client = createKubeClient(api.access(), { requestTimeoutMs: 300 });
  clock = new VirtualClock();
  lines = [];
  answer = good;
  api.intercept = () => ({ status: 201, body: { status: answer } });
});

afterEach(async () => {
  await client.close();
  await api.close();
});

function reviews(): TokenReviews {
  const log = createLog('test', 'info', { write: (line) => lines.push(line) });
  return new TokenReviews({ client, audience, clock, log });
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function token(claims: Record<string, unknown> = {}): string {
  const exp = Math.floor(clock.now() / 1000) + 600;
  const body = { aud: [audience], exp, ...claims };
  return `${encode({ alg: 'RS256' })}.${encode(body)}.c2lnbmF0dXJl`;
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'none';
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
}

test('a token of a running pod proves its account, and tells the pod', async () => {
  const bearer = token();
  expect(await reviews().authenticate(bearer)).toEqual(identity);
  expect(api.seen).toMatchObject([
    {
      method: 'POST',
      path: '/apis/authentication.k8s.io/v1/tokenreviews',
      body: { kind: 'TokenReview', spec: { token: bearer, audiences: [audience] } },
    },
  ]);
});

const user = good.user ?? {};
const refusals: readonly (readonly [string, string, ReviewStatus])[] = [
  ['that is not authenticated', 'token-refused', { authenticated: false, error: 'expired' }],
  ['about which nothing is said', 'token-refused', {}],
  ['that was checked for no audience', 'token-audience', { ...good, audiences: undefined }],
  ['of another audience', 'token-audience', { ...good, audiences: ['https://kubernetes'] }],
  [
    'of a person',
    'token-subject',
    { ...good, user: { ...user, username: 'system:serviceaccount:shop' } },
  ],
  ['of nobody', 'token-subject', { ...good, user: undefined }],
  [
    'whose account would be another path',
    'token-subject',
    { ...good, user: { ...user, username: 'system:serviceaccount:shop:a/sa/b' } },
  ],
  ['that is bound to no pod', 'token-unbound', { ...good, user: { ...user, extra: {} } }],
  [
    'that is bound to a node only',
    'token-unbound',
    {
      ...good,
      user: { ...user, extra: { 'authentication.kubernetes.io/node-name': ['node-1'] } },
    },
  ],
  [
    'with the name of a pod and no uid',
    'token-unbound',
    { ...good, user: { ...user, extra: { 'authentication.kubernetes.io/pod-name': ['x'] } } },
  ],
];

test.each(refusals)('a token %s is refused as %s, and asked about anew', async (_, code, said) => {
  const authenticator = reviews();
  answer = said;
  const bearer = token();
  expect(await codeOf(authenticator.authenticate(bearer))).toBe(code);
  answer = good;
  expect(await authenticator.authenticate(bearer)).toEqual(identity);
  expect(api.seen.length).toBe(2);
});

test('what cannot be good is refused without asking the API server', async () => {
  const authenticator = reviews();
  const nowSeconds = Math.floor(clock.now() / 1000);
  const hopeless: readonly (readonly [string, string])[] = [
    ['token-malformed', 'x'],
    ['token-malformed', 'a.b.c'],
    ['token-malformed', `${token()}.x`],
    ['token-malformed', `${'a'.repeat(20_000)}.b.c`],
    ['token-malformed', token({ exp: undefined })],
    ['token-audience', token({ aud: undefined })],
    ['token-audience', token({ aud: 'https://kubernetes.default.svc' })],
    ['token-audience', token({ aud: ['a', 'b'] })],
    ['token-expired', token({ exp: nowSeconds - 60 })],
  ];
  for (const [code, bearer] of hopeless) {
    expect(await codeOf(authenticator.authenticate(bearer))).toBe(code);
  }
  expect(api.seen).toEqual([]);
});

test('any text as a token is refused with a code, and never a crash', () => {
  const text = fc.oneof(
    fc.string(),
    fc.json().map((json) => `e30.${Buffer.from(json).toString('base64url')}.eA`),
  );
  fc.assert(
    fc.property(text, (given) => {
      expect(() => refuseHopeless(given, audience, clock.now())).toThrow(Refusal);
    }),
    { numRuns: 500, seed: 3 },
  );
});

test('any status is an identity of a bound pod or a refusal', () => {
  const extra = fc.dictionary(
    fc.constantFrom(
      'authentication.kubernetes.io/pod-name',
      'authentication.kubernetes.io/pod-uid',
    ),
    fc.array(fc.string(), { maxLength: 2 }),
  );
  const said = fc.record(
    {
      authenticated: fc.boolean(),
      audiences: fc.array(fc.constantFrom(audience, 'other')),
      error: fc.string(),
      user: fc.record(
        { username: fc.constantFrom('system:serviceaccount:a:b', 'admin', ''), extra },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(said, (given) => {
      const proven = provenOrRefused(given);
      const whole = proven === null || (proven.pod !== '' && proven.podUid !== '');
      expect(whole).toBe(true);
      expect(proven === null || given.authenticated === true).toBe(true);
    }),
    { numRuns: 500, seed: 5 },
  );
});

/** Null: refused; anything else that is thrown is a fault. */
function provenOrRefused(said: ReviewStatus): ProvenIdentity | null {
  try {
    return identityOf(said, audience);
  } catch (error) {
    if (error instanceof Refusal) return null;
    throw error;
  }
}

test('what was proven is kept for ten seconds and no longer; calls that come together ask once', async () => {
  const authenticator = reviews();
  const bearer = token();
  await Promise.all([1, 2, 3].map(() => authenticator.authenticate(bearer)));
  await authenticator.authenticate(bearer);
  expect(api.seen.length).toBe(1);
  answer = { authenticated: false };
  clock.jump(9000);
  expect(await codeOf(authenticator.authenticate(bearer))).toBe('none');
  clock.jump(1500);
  expect(await codeOf(authenticator.authenticate(bearer))).toBe('token-refused');
  expect(api.seen.length).toBe(2);
});

test('while the API server is away callers are told to come back, and the log says so once', async () => {
  const authenticator = reviews();
  api.intercept = () => status(500, 'InternalError', 'etcd is away');
  expect(await codeOf(authenticator.authenticate(token()))).toBe('keys-unavailable');
  expect(await codeOf(authenticator.authenticate(token()))).toBe('keys-unavailable');
  expect(lines.filter((line) => line.includes('no token can be checked')).length).toBe(1);
  api.intercept = () => ({ status: 201, body: { status: good } });
  expect(await authenticator.authenticate(token())).toEqual(identity);
  expect(lines.join('')).toContain('checks tokens again');
});

test('an API server that does not answer is given up in time', async () => {
  api.intercept = () => new Promise(() => undefined);
  expect(await codeOf(reviews().authenticate(token()))).toBe('keys-unavailable');
});

test('a missing right is told with the rule that mends it, and never the token', async () => {
  api.intercept = () => status(403, 'Forbidden', 'cannot create tokenreviews');
  const bearer = token();
  expect(await codeOf(reviews().authenticate(bearer))).toBe('keys-unavailable');
  expect(lines.join('')).toContain('tokenreviews');
  expect(lines.join('')).toContain('ClusterRole');
  expect(lines.join('')).not.toContain(bearer);
});
