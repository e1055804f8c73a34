// The own certificate over hours of virtual time: first try, renewal, the CA away, bad replies, a new trust bundle.
import { createPublicKey } from 'node:crypto';
import { expect, test } from 'vitest';
import { parseCsr } from '#ca/csr.ts';
import { createSelfSignedIssuer, type Issuer } from '#ca/issuer.ts';
import { signLeaf } from '#ca/leaf.ts';
import { silentLog } from '#runtime/log.ts';
import { SvidSource, type SignedChain, type Svid } from '#runtime/tls/svid.ts';
import { VirtualClock } from '../virtual-clock.ts';

const identity = 'spiffe://cluster.local/ns/shop/sa/orders';
const startMs = Date.UTC(2030, 0, 1);
const hourMs = 3_600_000;
const root = await createSelfSignedIssuer('cluster.local', 10 * 365 * 24 * hourMs, startMs);
const nextRoot = await createSelfSignedIssuer('cluster.local', 10 * 365 * 24 * hourMs, startMs);

interface World {
  readonly clock: VirtualClock;
  readonly source: SvidSource;
  readonly calls: number[];
  readonly changes: Svid[];
  /** Replaces what the CA does. */
  answer: (csrPem: string) => Promise<SignedChain>;
  bundle: string;
}

function world(): World {
  const clock = new VirtualClock(startMs);
  const calls: number[] = [];
  const changes: Svid[] = [];
  const made: World = {
    clock,
    calls,
    changes,
    bundle: root.rootPem,
    answer: (csrPem) => Promise.resolve(signed(csrPem, clock.now())),
    source: new SvidSource({
      sign: (csrPem) => {
        calls.push(clock.now() - startMs);
        return made.answer(csrPem);
      },
      fetchBundle: () => Promise.resolve(made.bundle),
      log: silentLog,
      clock,
      random: () => 0.5,
    }),
  };
  made.source.onChange((svid) => changes.push(svid));
  return made;
}

function signed(csrPem: string, nowMs: number, issuer: Issuer = root, uri = identity): SignedChain {
  const notAfterMs = nowMs + 24 * hourMs;
  const { publicKeyInfo } = parseCsr(csrPem);
  const plan = {
    uri,
    dnsNames: [],
    ipAddresses: [],
    publicKeyInfo,
    notBeforeMs: nowMs,
    notAfterMs,
  };
  return {
    chain: signLeaf(issuer, plan).pem,
    trustBundle: issuer.rootPem,
    identity,
    notAfter: new Date(notAfterMs).toISOString(),
  };
}

const away = () => Promise.reject(new Error('connect ECONNREFUSED'));

test('the first certificate is there after start, and is renewed at half its life', async () => {
  const { source, clock, calls, changes } = world();
  await source.start();
  expect(source.current()).toMatchObject({ identity, notAfterMs: startMs + 24 * hourMs });
  const first = source.current();
  await clock.pass(11.9 * hourMs);
  expect(calls.length).toBe(1);
  await clock.pass(0.2 * hourMs);
  expect(calls.length).toBe(2);
  expect(source.current().keyPem).not.toBe(first.keyPem);
  expect(changes.length).toBe(2);
  expect(source.state()).toMatchObject({ renewals: 2, lastError: null, expired: false });
});

test('renewal is spread by one percent of the life, up and down', async () => {
  for (const [random, hours] of [
    [0, 24 * 0.49],
    [1, 24 * 0.51],
  ] as const) {
    const clock = new VirtualClock(startMs);
    const calls: number[] = [];
    const source = new SvidSource({
      sign: (csrPem) => {
        calls.push(clock.now() - startMs);
        return Promise.resolve(signed(csrPem, clock.now()));
      },
      log: silentLog,
      clock,
      random: () => random,
    });
    await source.start();
    await clock.pass(13 * hourMs);
    expect(calls[1]).toBeCloseTo(hours * hourMs, -5);
    source.stop();
  }
});

test('before the first certificate there is none to be had', () => {
  expect(() => world().source.current()).toThrow('start()');
});

test('start waits for a CA that is away, trying at doubling intervals up to a minute', async () => {
  const w = world();
  w.answer = away;
  const start = w.source.start();
  await w.clock.pass(10 * 60_000);
  expect(() => w.source.current()).toThrow('start()');
  const waits = w.calls.slice(1).map((at, index) => at - (w.calls[index] ?? 0));
  expect(waits.slice(0, 5)).toEqual([50, 100, 200, 400, 800]);
  expect(Math.max(...waits)).toBe(60_000);
  expect(w.source.state().lastError).toContain('ECONNREFUSED');
  w.answer = (csrPem) => Promise.resolve(signed(csrPem, w.clock.now()));
  await w.clock.pass(60_000);
  await start;
  expect(w.source.current().identity).toBe(identity);
});

test('while the CA is away the old certificate stays to its end and after, and is then told expired', async () => {
  const w = world();
  await w.source.start();
  const first = w.source.current();
  w.answer = away;
  await w.clock.pass(23 * hourMs);
  expect(w.source.current()).toBe(first);
  expect(w.source.state()).toMatchObject({ expired: false, renewals: 1 });
  await w.clock.pass(2 * hourMs);
  expect(w.source.current()).toBe(first);
  expect(w.source.state().expired).toBe(true);
  w.answer = (csrPem) => Promise.resolve(signed(csrPem, w.clock.now()));
  await w.clock.pass(61_000);
  expect(w.source.state()).toMatchObject({ expired: false, renewals: 2, lastError: null });
});

test('after a laptop slept over the half life the certificate is renewed within a minute', async () => {
  const w = world();
  await w.source.start();
  await w.clock.pass(10_000);
  w.clock.jump(20 * hourMs);
  await w.clock.pass(60_000);
  expect(w.calls.length).toBe(2);
});

test.each<[string, (csrPem: string, nowMs: number) => SignedChain, string]>([
  ['that is no certificate', (csr, now) => ({ ...signed(csr, now), chain: 'x' }), ''],
  [
    'that has ended already',
    (csr, now) => signed(csr, now - 48 * hourMs),
    'compare the two clocks',
  ],
  [
    'for another identity than it says',
    (csr, now) => signed(csr, now, root, 'spiffe://cluster.local/ns/x/sa/y'),
    'ns/x/sa/y',
  ],
  ['without roots', (csr, now) => ({ ...signed(csr, now), trustBundle: '' }), ''],
  [
    'whose roots are leaves',
    (csr, now) => ({ ...signed(csr, now), trustBundle: signed(csr, now).chain }),
    'no CA',
  ],
])('a reply %s replaces nothing', async (_what, answer, message) => {
  const w = world();
  await w.source.start();
  const first = w.source.current();
  w.answer = async (csrPem) => answer(csrPem, w.clock.now());
  await w.clock.pass(13 * hourMs);
  expect(w.source.current()).toBe(first);
  expect(w.source.state().lastError).toContain(message);
  expect(w.calls.length).toBeGreaterThan(2);
});

test('a certificate for another key is refused', async () => {
  const w = world();
  let firstCsr = '';
  w.answer = async (csrPem) => {
    firstCsr ||= csrPem;
    return signed(firstCsr, w.clock.now());
  };
  await w.source.start();
  await w.clock.pass(13 * hourMs);
  expect(w.source.state()).toMatchObject({
    renewals: 1,
    lastError: expect.stringContaining('key'),
  });
});

test('a new root in the trust bundle arrives without a new certificate', async () => {
  const w = world();
  await w.source.start();
  const first = w.source.current();
  w.bundle = root.rootPem + nextRoot.rootPem;
  await w.clock.pass(70_000);
  expect(w.source.current()).toEqual({ ...first, trustBundlePem: w.bundle });
  expect(w.changes.length).toBe(2);
  w.bundle = 'broken';
  await w.clock.pass(10 * 60_000);
  expect(w.source.current().trustBundlePem).toBe(root.rootPem + nextRoot.rootPem);
});

test('a user that throws on a change hurts neither the renewal nor the other users', async () => {
  const w = world();
  const source = w.source;
  const seen: string[] = [];
  source.onChange(() => {
    throw new Error('no');
  });
  source.onChange((svid) => seen.push(svid.identity));
  await source.start();
  await w.clock.pass(13 * hourMs);
  expect(seen.length).toBe(2);
});

test('after stop nothing is asked for and no timer is left', async () => {
  const w = world();
  await w.source.start();
  w.source.stop();
  await w.clock.pass(48 * hourMs);
  expect(w.calls.length).toBe(1);
  expect(w.clock.timers).toBe(0);
});

test('stop before the first certificate ends the start', async () => {
  const w = world();
  w.answer = away;
  const start = w.source.start();
  await w.clock.pass(1000);
  w.source.stop();
  await expect(start).rejects.toThrow('stopped');
});

test('the key in force is the one that was certified', async () => {
  const w = world();
  await w.source.start();
  const { keyPem, chainPem } = w.source.current();
  const spki = { type: 'spki', format: 'pem' } as const;
  expect(createPublicKey(keyPem).export(spki)).toBe(createPublicKey(chainPem).export(spki));
});
