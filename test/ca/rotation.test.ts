// The rotation of the root: nothing that was trusted stops being trusted before it may.
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import * as fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { splitPem } from '#ca/issuer.ts';
import * as rotation from '#ca/rotation.ts';
import type { IssuerRecord, Records } from '#ca/rotation.ts';
import { VirtualClock } from '../runtime/virtual-clock.ts';
import {
  startTestCa,
  temporaryFolder,
  verifyChain,
  type StartOptions,
  type TestCa,
} from './fixture.ts';
import { createTokenMaker } from './tokens.ts';

const hourMs = 3_600_000;
const leafLifeMs = 10;
const open: TestCa[] = [];
const folders: string[] = [];

afterEach(async () => {
  for (const ca of open.splice(0)) await ca.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

async function start(options: StartOptions = {}): Promise<TestCa> {
  const ca = await startTestCa(options);
  open.push(ca);
  return ca;
}

function folder(): string {
  const made = temporaryFolder();
  folders.push(made);
  return made;
}

const good = (chain: string, bundle: string) => verifyChain(chain, bundle, 'sslserver');

test('through every phase, old and new leaves verify for whoever has an old or a new bundle', async () => {
  const ca = await start();
  const before = (await ca.sign()).body;
  const published = JSON.parse((await ca.admin('POST', '/rotate')).text) as { role: string }[];
  expect(published.map(({ role }) => role)).toEqual(['signing', 'published']);
  const during = (await ca.sign()).body;
  expect(splitPem(during.trustBundle).length).toBe(2);
  expect(good(during.chain, before.trustBundle)).toContain('OK');

  const switched = await ca.admin('POST', '/rotate?step=switch');
  expect(switched.text).toContain('retired');
  const after = (await ca.sign()).body;
  expect(good(before.chain, after.trustBundle)).toContain('OK');
  expect(good(after.chain, after.trustBundle)).toContain('OK');
  // Who slept through the rotation verifies the new leaf through the cross certificate.
  expect(good(after.chain, before.trustBundle)).toContain('OK');

  expect((await ca.admin('POST', '/rotate?step=drop')).status).toBe(409);
  expect((await ca.admin('POST', '/rotate?step=drop&force=true')).status).toBe(200);
  const last = (await ca.sign()).body;
  expect(splitPem(last.trustBundle).length).toBe(1);
  expect(splitPem(last.chain).length).toBe(1);
  expect(good(after.chain, last.trustBundle)).toContain('OK');
  expect(() => good(before.chain, last.trustBundle)).toThrow('unable to get local issuer');
});

test('time alone takes a published root to signing after the overlap, and drops it never early', async () => {
  const clock = new VirtualClock();
  const ca = await start({ clock, env: { SELVAGE_CA_ROTATION_OVERLAP_SECONDS: '7200' } });
  await ca.admin('POST', '/rotate');
  await clock.pass(1.9 * hourMs);
  expect(await roles(ca)).toEqual(['signing', 'published']);
  await passSlowly(clock, 0.2 * hourMs);
  expect(await roles(ca)).toEqual(['retired', 'signing']);
  expect((await ca.admin('POST', '/rotate?step=drop')).text).toContain('live until');
  await passSlowly(clock, 24 * hourMs);
  expect((await ca.admin('POST', '/rotate?step=drop')).status).toBe(200);
});

test('the CA itself serves with a certificate of the new root, on the same port', async () => {
  const ca = await start();
  const issuerBefore = await servingIssuer(ca);
  await ca.admin('POST', '/rotate');
  expect(await servingIssuer(ca)).toBe(issuerBefore);
  await ca.admin('POST', '/rotate?step=switch');
  expect(await servingIssuer(ca)).not.toBe(issuerBefore);
  expect((await ca.sign()).status).toBe(200);
});

test('a second rotation while one is in progress is refused, and so are steps out of order', async () => {
  const ca = await start();
  expect((await ca.admin('POST', '/rotate?step=switch')).status).toBe(409);
  expect((await ca.admin('POST', '/rotate?step=drop')).status).toBe(409);
  expect((await ca.admin('POST', '/rotate?step=turn')).status).toBe(400);
  await ca.admin('POST', '/rotate');
  expect((await ca.admin('POST', '/rotate')).text).toContain('in progress');
});

test('a restart keeps the phase, the roots and what they signed; keys are for the owner only', async () => {
  const place = folder();
  const tokens = await createTokenMaker();
  const first = await startTestCa({ folder: place, tokens });
  const before = (await first.sign()).body;
  await first.admin('POST', '/rotate');
  await first.admin('POST', '/rotate?step=switch');
  await first.close();
  const state = join(place, 'state', 'issuers.json');
  expect(statSync(state).mode & 0o777).toBe(0o600);
  const second = await start({ folder: place, tokens });
  expect(await roles(second)).toEqual(['retired', 'signing']);
  const after = (await second.sign()).body;
  expect(good(before.chain, after.trustBundle)).toContain('OK');
  expect(good(after.chain, before.trustBundle)).toContain('OK');
  // The retired root signs nothing any more: its key is gone.
  expect(readFileSync(state, 'utf8').match(/BEGIN PRIVATE KEY/g)?.length).toBe(1);
});

test('a state that others may read, or that is damaged, is refused and not replaced', async () => {
  const place = folder();
  const tokens = await createTokenMaker();
  const first = await startTestCa({ folder: place, tokens });
  await first.close();
  const state = join(place, 'state', 'issuers.json');
  const text = readFileSync(state, 'utf8');
  writeFileSync(state, text.slice(0, 300));
  await expect(startTestCa({ folder: place, tokens })).rejects.toThrow('damaged');
  expect(readFileSync(state, 'utf8')).toBe(text.slice(0, 300));
  rmSync(state);
  writeFileSync(state, text, { mode: 0o644 });
  await expect(startTestCa({ folder: place, tokens })).rejects.toThrow('chmod 600');
});

test('a root near its end is replaced by itself, in time for the overlap', async () => {
  const clock = new VirtualClock();
  const ca = await start({
    clock,
    env: {
      SELVAGE_CA_ROOT_LIFE_SECONDS: String(100 * 3600),
      SELVAGE_CA_ROTATION_OVERLAP_SECONDS: '3600',
    },
  });
  await passSlowly(clock, 79 * hourMs);
  expect(await roles(ca)).toEqual(['signing']);
  await passSlowly(clock, 1.1 * hourMs);
  expect(await roles(ca)).toEqual(['signing', 'published']);
  await passSlowly(clock, 1.1 * hourMs);
  expect(await roles(ca)).toEqual(['retired', 'signing']);
  await passSlowly(clock, 30 * hourMs);
  expect(await roles(ca)).toEqual(['signing']);
});

test('a CA that slept past the end of its root begins a new one at once', async () => {
  const place = folder();
  const tokens = await createTokenMaker();
  const env = { SELVAGE_CA_ROOT_LIFE_SECONDS: '3600' };
  const past = new VirtualClock(Date.now() - 2 * hourMs);
  await (await startTestCa({ folder: place, tokens, env, clock: past })).close();
  const ca = await start({ folder: place, tokens, env });
  const { status, body } = await ca.sign();
  expect(status).toBe(200);
  expect(good(body.chain, body.trustBundle)).toContain('OK');
});

test('a leaf never outlives its issuer', async () => {
  const ca = await start({ env: { SELVAGE_CA_ROOT_LIFE_SECONDS: '600' } });
  const { body } = await ca.sign();
  const root = new X509Certificate(body.trustBundle);
  expect(Date.parse(body.notAfter)).toBeLessThanOrEqual(root.validToDate.getTime());
});

test('whatever the steps, one issuer signs, and a root is trusted as long as its leaves may live', () => {
  const step = fc.tuple(fc.constantFrom('publish', 'switch', 'drop', 'withdraw'), fc.nat(8));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      let records: Records = [record(0, 'signing')];
      const leavesEnd = new Map<string, number>();
      let now = 0;
      for (const [index, [name, passed]] of steps.entries()) {
        now += passed;
        records = apply(records, name, index + 1, now);
        const signing = records.filter(({ role }) => role === 'signing');
        expect(signing.length).toBe(1);
        leavesEnd.set(signing[0]?.rootPem ?? '', now + leafLifeMs);
        const bundle = rotation.bundleOf(records);
        const alive = [...leavesEnd].filter(([, endMs]) => endMs > now);
        expect(alive.filter(([root]) => !bundle.includes(root))).toEqual([]);
        expect(records.filter(({ role, keyPem }) => role === 'retired' && keyPem !== '')).toEqual(
          [],
        );
      }
    }),
    { numRuns: 300, seed: 9 },
  );
});

function apply(records: Records, name: string, id: number, now: number): Records {
  try {
    if (name === 'publish') return rotation.publish(records, record(id, 'published'));
    if (name === 'switch') return rotation.switchSigning(records, now);
    if (name === 'withdraw') return rotation.withdraw(records);
    return rotation.drop(records, now, false);
  } catch (error) {
    if (error instanceof rotation.RotationError) return records;
    throw error;
  }
}

test('a shorter limit does not make one forget the leaves of a longer one', async () => {
  const place = folder();
  const tokens = await createTokenMaker();
  await (await startTestCa({ folder: place, tokens })).close();
  const ca = await start({ folder: place, tokens, env: { SELVAGE_CERT_LIFE_SECONDS: '60' } });
  await ca.admin('POST', '/rotate');
  const { text } = await ca.admin('POST', '/rotate?step=switch');
  const retired = (JSON.parse(text) as { leavesEnd: string }[])[0];
  expect(Date.parse(retired?.leavesEnd ?? '') - Date.now()).toBeGreaterThan(23 * hourMs);
});

test("the CA's own certificate is renewed at half its life, in place", async () => {
  const clock = new VirtualClock();
  const ca = await start({ clock, env: { SELVAGE_CERT_LIFE_SECONDS: '7200' } });
  const expiry = async () =>
    Number(
      /serving_certificate_expiry_timestamp_seconds (\d+)/.exec(
        (await ca.admin('GET', '/stats/prometheus')).text,
      )?.[1],
    );
  const before = await expiry();
  await passSlowly(clock, 0.9 * hourMs);
  expect(await expiry()).toBe(before);
  await passSlowly(clock, 0.2 * hourMs);
  expect(await expiry()).toBeGreaterThan(before + 3000);
});

test('what a crash left of a state is removed, unless it is being written right now', async () => {
  const place = folder();
  const tokens = await createTokenMaker();
  await (await startTestCa({ folder: place, tokens })).close();
  const state = join(place, 'state');
  writeFileSync(join(state, '.issuers.json.old'), 'key');
  utimesSync(join(state, '.issuers.json.old'), 1, 1);
  writeFileSync(join(state, '.issuers.json.new'), 'key');
  await start({ folder: place, tokens });
  expect(readdirSync(state).toSorted()).toEqual([
    '.issuers.json.new',
    'issuers.json',
    'trust-bundle.pem',
  ]);
});

function record(id: number, role: IssuerRecord['role']): IssuerRecord {
  return {
    id: String(id),
    origin: 'self-signed',
    role,
    certificatePem: '',
    intermediatesPem: '',
    rootPem: `<root ${id}>`,
    keyPem: 'key',
    crossPem: '',
    publishedAtMs: 0,
    signingAtMs: 0,
    rootNotAfterMs: 1e15,
    leafLifeMs,
    leavesEndMs: 0,
  };
}

async function roles(ca: TestCa): Promise<string[]> {
  const { text } = await ca.admin('GET', '/roots');
  return (JSON.parse(text) as { role: string }[]).map(({ role }) => role);
}

/** Files are written between the ticks, which virtual time alone does not wait for. */
async function passSlowly(clock: VirtualClock, ms: number): Promise<void> {
  clock.jump(ms);
  for (let i = 0; i < 3; i += 1) {
    await clock.pass(31_000);
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
}

async function servingIssuer(ca: TestCa): Promise<string> {
  const bundle = await ca.bundle();
  return new Promise((resolve, reject) => {
    const socket = connect({ port: ca.ca.port, host: '127.0.0.1', ca: bundle });
    socket.on('secureConnect', () => {
      resolve(socket.getPeerX509Certificate()?.issuer ?? '');
      socket.destroy();
    });
    socket.on('error', reject);
  });
}
