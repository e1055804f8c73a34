// A certificate that outlives its process: what is used again, what is not, and that the CA is not waited for.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { parseCsr } from '#ca/csr.ts';
import { createSelfSignedIssuer, type Issuer } from '#ca/issuer.ts';
import { signLeaf } from '#ca/leaf.ts';
import { createLog, silentLog } from '#runtime/log.ts';
import { createKeyAndCsr } from '#runtime/tls/csr.ts';
import { parseStored, SvidDisk } from '#runtime/tls/svid-disk.ts';
import { SvidSource, type SignedChain } from '#runtime/tls/svid.ts';
import { VirtualClock } from '../virtual-clock.ts';

const identity = 'spiffe://cluster.local/ns/shop/sa/orders';
const hourMs = 3_600_000;
const startMs = Date.now();
const root = await createSelfSignedIssuer('cluster.local', 1000 * hourMs, startMs);
const other = await createSelfSignedIssuer('cluster.local', 1000 * hourMs, startMs);
const folders: string[] = [];
const sources: SvidSource[] = [];
const disks: SvidDisk[] = [];

afterEach(async () => {
  for (const source of sources.splice(0)) source.stop();
  // What is being written would stand in the way of the folder's end.
  await Promise.all(disks.splice(0).map((disk) => disk.settled()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

const isOurs = (id: string): boolean => id === identity;

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'selvage-svid-'));
  folders.push(made);
  return made;
}

function signed(csrPem: string, nowMs: number, issuer: Issuer = root, uri = identity): SignedChain {
  const { publicKeyInfo } = parseCsr(csrPem);
  const notAfterMs = nowMs + 24 * hourMs;
  const names = { uri, dnsNames: [], ipAddresses: [] };
  const leaf = signLeaf(issuer, { ...names, publicKeyInfo, notBeforeMs: nowMs, notAfterMs });
  return { chain: leaf.pem, trustBundle: issuer.rootPem, identity: uri, notAfter: '' };
}

const away = () => Promise.reject(new Error('connect ECONNREFUSED'));

interface Start {
  readonly sign?: (csrPem: string) => Promise<SignedChain>;
  readonly clock?: VirtualClock;
  readonly lines?: string[];
  readonly bundleFile?: string;
  readonly fetchBundle?: () => Promise<string>;
}

function open(place: string, options: Start = {}): { source: SvidSource; disk: SvidDisk } {
  const { clock = new VirtualClock(startMs), lines = [] } = options;
  const log = createLog('test', 'info', { write: (line) => lines.push(line) });
  const disk = new SvidDisk({ folder: place, name: 'identity', fits: isOurs, log });
  const { bundleFile, fetchBundle, sign = async (csr) => signed(csr, clock.now()) } = options;
  const source = new SvidSource({ sign, fetchBundle, bundleFile, disk, log, clock });
  sources.push(source);
  disks.push(disk);
  return { source, disk };
}

async function stored(place: string): Promise<string> {
  const { source, disk } = open(place);
  await source.start();
  await disk.settled();
  return source.current().chainPem;
}

test('after a restart without the CA the stored certificate serves, until the CA answers again', async () => {
  const place = folder();
  const chain = await stored(place);
  expect(statSync(join(place, 'identity')).mode & 0o777).toBe(0o600);
  const clock = new VirtualClock(startMs + hourMs);
  let sign: (csr: string) => Promise<SignedChain> = away;
  const { source } = open(place, { clock, sign: (csr) => sign(csr) });
  await source.start();
  expect(source.current().chainPem).toBe(chain);
  expect(source.state()).toMatchObject({ identity, renewals: 0, expired: false });
  sign = async (csr) => signed(csr, clock.now());
  await clock.pass(1000);
  expect(source.state().renewals).toBe(1);
  expect(source.current().chainPem).not.toBe(chain);
});

test('a new certificate takes the place of the stored one on disk, also when only the roots changed', async () => {
  const place = folder();
  await stored(place);
  const clock = new VirtualClock(startMs);
  const both = root.rootPem + other.rootPem;
  const { source, disk } = open(place, { clock, fetchBundle: () => Promise.resolve(both) });
  await source.start();
  await clock.pass(100_000);
  await disk.settled();
  const kept = parseStored(readFileSync(join(place, 'identity'), 'utf8'), () => true, startMs);
  expect(kept.svid).toEqual(source.current());
  expect(kept.svid.trustBundlePem).toBe(both);
});

const broken: readonly (readonly [string, (text: string) => string])[] = [
  ['is cut off', (text) => text.slice(0, text.length / 2)],
  ['is empty', () => ''],
  ['has the key of another', (text) => changed(text, { keyPem: createKeyAndCsr().keyPem })],
  ['says another identity', (text) => changed(text, { identity: `${identity}x` })],
  ['has no roots', (text) => changed(text, { trustBundlePem: '' })],
  ['has another version', (text) => changed(text, { version: 2 })],
];

test.each(broken)(
  'a stored file that %s is left alone, with a line that says why',
  async (_, to) => {
    const place = folder();
    await stored(place);
    const path = join(place, 'identity');
    writeFileSync(path, to(readFileSync(path, 'utf8')));
    const lines: string[] = [];
    const clock = new VirtualClock(startMs);
    let sign: (csr: string) => Promise<SignedChain> = away;
    const { source } = open(place, { lines, clock, sign: (csr) => sign(csr) });
    const started = source.start();
    while (!lines.some((line) => line.includes('the stored certificate is not used'))) {
      await clock.pass(10);
    }
    expect(() => source.current()).toThrow('no certificate yet');
    expect(lines.join('')).not.toContain('PRIVATE KEY');
    sign = async (csr) => signed(csr, clock.now());
    await clock.pass(60_000);
    await started;
    expect(source.state().renewals).toBe(1);
  },
);

test('a certificate of another account, or one whose time is over or has not come, is not used', async () => {
  const place = folder();
  await stored(place);
  const text = readFileSync(join(place, 'identity'), 'utf8');
  expect(parseStored(text, isOurs, startMs).svid.identity).toBe(identity);
  expect(() => parseStored(text, () => false, startMs)).toThrow('it is that of spiffe://');
  expect(() => parseStored(text, isOurs, startMs + 25 * hourMs)).toThrow('ended at');
  expect(() => parseStored(text, isOurs, startMs - hourMs)).toThrow('not valid yet');
});

test('any text as a stored certificate is an error, and never one that quotes it', () => {
  const parts = fc.record(
    {
      version: fc.constantFrom<unknown>(1, 2),
      identity: fc.constantFrom<unknown>(identity, 7),
      keyPem: fc.string(),
      chainPem: fc.string(),
      trustBundlePem: fc.constantFrom(root.rootPem, ''),
    },
    { requiredKeys: [] },
  );
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    parts.map((value) => JSON.stringify(value)),
  );
  fc.assert(
    fc.property(text, (given) => {
      expect(() => parseStored(given, () => true, startMs)).toThrow(Error);
    }),
    { numRuns: 300, seed: 4 },
  );
});

test('the stored roots and those of the file are both trusted until the CA tells which there are', async () => {
  const place = folder();
  await stored(place);
  const bundleFile = join(place, 'root-cert.pem');
  writeFileSync(bundleFile, other.rootPem);
  const { source } = open(place, { sign: away, bundleFile });
  await source.start();
  expect(source.current().trustBundlePem).toContain(root.rootPem.trim());
  expect(source.current().trustBundlePem).toContain(other.rootPem.trim());
});

test('a root that comes into the file counts at once, and the CA is asked for the whole truth', async () => {
  const place = folder();
  const bundleFile = join(place, 'root-cert.pem');
  writeFileSync(bundleFile, root.rootPem);
  const clock = new VirtualClock(startMs);
  const answer = Promise.withResolvers<string>();
  const { source } = open(place, { clock, bundleFile, fetchBundle: () => answer.promise });
  await source.start();
  await until(
    clock,
    () => source.current().trustBundlePem.includes(other.rootPem.trim()),
    () => writeFileSync(bundleFile, root.rootPem + other.rootPem),
  );
  answer.resolve(other.rootPem);
  await until(clock, () => !source.current().trustBundlePem.includes(root.rootPem.trim()));
  expect(source.current().trustBundlePem).toBe(other.rootPem);
});

test('a file that breaks changes nothing', async () => {
  const place = folder();
  const bundleFile = join(place, 'root-cert.pem');
  writeFileSync(bundleFile, root.rootPem);
  const clock = new VirtualClock(startMs);
  const lines: string[] = [];
  const { source } = open(place, { clock, bundleFile, lines });
  await source.start();
  const before = source.current().trustBundlePem;
  await until(
    clock,
    () => lines.some((line) => line.includes('cannot be used')),
    () => writeFileSync(bundleFile, 'nothing of use'),
  );
  expect(source.current().trustBundlePem).toBe(before);
});

test('a folder that cannot be written costs a line, not the certificate', async () => {
  const place = folder();
  const path = join(place, 'file');
  writeFileSync(path, '');
  const lines: string[] = [];
  const { source, disk } = open(join(path, 'below'), { lines });
  await source.start();
  await disk.settled();
  expect(lines.join('')).toContain('could not be stored');
  expect(source.state().renewals).toBe(1);
});

test('without a disk nothing changes', async () => {
  const source = new SvidSource({ sign: async (csr) => signed(csr, Date.now()), log: silentLog });
  sources.push(source);
  await source.start();
  expect(source.current().identity).toBe(identity);
});

function changed(text: string, fields: Record<string, unknown>): string {
  return JSON.stringify({ ...(JSON.parse(text) as object), ...fields });
}

/**
 * Files are read between the ticks, which virtual time alone does not wait for. What is done `meanwhile` is done again and
 * again: nobody knows when the first look at a file was over.
 */
async function until(
  clock: VirtualClock,
  holds: () => boolean,
  meanwhile: () => void = () => undefined,
): Promise<void> {
  for (let i = 0; i < 300 && !holds(); i += 1) {
    meanwhile();
    await clock.pass(1000);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(holds()).toBe(true);
}
