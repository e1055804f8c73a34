// The sidecar's certificate from a real CA: kept over a restart without it, and only for its own account.
import { readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';

import { createLog } from '#runtime/log.ts';
import type { SvidSource } from '#runtime/tls/svid.ts';
import { createCaIdentity } from '#sidecar/identity/from-ca.ts';
import { startTestCa, temporaryFolder } from '#test/ca/fixture.ts';

const folders: string[] = [];
const sources: SvidSource[] = [];

afterEach(() => {
  for (const source of sources.splice(0)) source.stop();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

interface Pod {
  readonly folder: string;
  readonly port: number;
}

async function pod(ca: Awaited<ReturnType<typeof startTestCa>>): Promise<Pod> {
  const folder = temporaryFolder();
  folders.push(folder);
  writeFileSync(join(folder, 'token'), await ca.tokens.make());
  writeFileSync(join(folder, 'roots.pem'), await ca.bundle());
  return { folder, port: ca.ca.port };
}

function open({ folder, port }: Pod, serviceAccount = 'orders', lines: string[] = []): SvidSource {
  const source = createCaIdentity({
    url: new URL(`https://localhost:${port}`),
    tokenFile: join(folder, 'token'),
    trustBundleFile: join(folder, 'roots.pem'),
    namespace: 'shop',
    serviceAccount,
    stateFolder: join(folder, 'state'),
    log: createLog('test', 'info', { write: (line) => lines.push(line) }),
  });
  sources.push(source);
  return source;
}

/** Starts once with the CA there, and leaves the certificate on disk and the CA gone. */
async function stored(): Promise<{ place: Pod; serial: string }> {
  const ca = await startTestCa();
  const place = await pod(ca);
  const source = open(place);
  await source.start();
  while (!hasFile(place)) await sleep(5);
  source.stop();
  await ca.close();
  return { place, serial: source.state().serial };
}

function hasFile({ folder }: Pod): boolean {
  try {
    return readdirSync(join(folder, 'state')).join() === 'shop.orders.identity';
  } catch {
    return false;
  }
}

test('a sidecar that restarts while the CA is down goes on with its certificate', async () => {
  const { place, serial } = await stored();
  expect(statSync(join(place.folder, 'state', 'shop.orders.identity')).mode & 0o777).toBe(0o600);
  const again = open(place);
  await again.start();
  expect(again.state()).toMatchObject({
    identity: 'spiffe://cluster.local/ns/shop/sa/orders',
    serial,
    renewals: 0,
  });
});

test('the certificate of another account in its folder is not used, and the log says whose it is', async () => {
  const { place } = await stored();
  const other = join(place.folder, 'state');
  renameSync(join(other, 'shop.orders.identity'), join(other, 'shop.billing.identity'));
  const lines: string[] = [];
  const source = open(place, 'billing', lines);
  const started = source.start();
  while (!lines.some((line) => line.includes('the stored certificate is not used'))) await sleep(5);
  expect(lines.join('')).toContain('it is that of spiffe://cluster.local/ns/shop/sa/orders');
  expect(() => source.current()).toThrow('no certificate yet');
  source.stop();
  await expect(started).rejects.toThrow('stopped before');
});
