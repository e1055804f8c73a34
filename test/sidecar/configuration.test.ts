import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { silentLog } from '#runtime/log.ts';
import { createConfiguration } from '#sidecar/configuration.ts';
import { InForce } from '#sidecar/in-force.ts';
import { readSidecarSettings } from '#sidecar/settings.ts';
import { snapshotOf } from '#test/sidecar/rig.ts';

function svid(): never {
  throw new Error('a file needs no certificate');
}

test('a snapshot file of 1970, as an image may have it, is read', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'selvage-snapshot-'));
  const file = join(folder, 'snapshot.json');
  await writeFile(file, JSON.stringify(snapshotOf({}, 7)));
  await utimes(file, 0, 0);
  const settings = readSidecarSettings(
    {
      SELVAGE_NAMESPACE: 'shop',
      SELVAGE_WORKLOAD: 'payments',
      SELVAGE_TRUST_BUNDLE_FILE: '/roots.pem',
      SELVAGE_CERT_FILE: '/cert.pem',
      SELVAGE_KEY_FILE: '/key.pem',
      SELVAGE_SNAPSHOT_FILE: file,
    },
    [],
  );
  const inForce = new InForce();
  const configuration = createConfiguration({ settings, inForce, svid, log: silentLog });
  await configuration.start();
  expect(inForce.current()?.snapshot.version).toBe(7);
  await configuration.stop();
  await rm(folder, { recursive: true });
});
