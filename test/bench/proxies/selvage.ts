// Selvage under test: the real process with a snapshot file and certificate files, all its defaults on.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import type { Snapshot } from '#api/snapshot.ts';
import { sidecarNodeFlags } from '#api/node-flags.ts';
import { sidecarFields } from '#sidecar/settings.ts';

import { snapshotOf } from '../snapshot.ts';
import { workloadPort, type World } from '../world.ts';
import { type ProxyKind, type Role, start } from './proxy.ts';

const root = join(import.meta.dirname, '../../..');
const concurrency = 'SELVAGE_CONCURRENCY';

/** Where sidecars get their snapshots in place of a file. */
export interface SnapshotSource {
  /** Settings of a sidecar that listens to it. */
  readonly env: Readonly<Record<string, string>>;
  /** Called before the sidecar starts. */
  take(snapshot: Snapshot): void;
}

/** The same with something else about it, to be compared with. */
export interface Variant {
  readonly name: string;
  /** Left out: as others. */
  readonly env?: Readonly<Record<string, string>>;
  /** Another build: the folder that is `dist` here. */
  readonly dist?: string;
}

/**
 * @param bundled runs dist/, as images do; else the sources
 * @param source null: a file
 */
export function selvage(
  bundled: boolean,
  source: SnapshotSource | null = null,
  variant: Variant = { name: bundled ? 'selvage' : 'selvage (sources)' },
): ProxyKind {
  const dist = variant.dist ?? join(root, 'dist');
  const main = bundled ? join(dist, 'sidecar/main.js') : join(root, 'sidecar/main.ts');
  const hasWorkers = sidecarFields.some((field: { env: string }) => field.env === concurrency);
  const run = (
    world: World,
    name: 'client' | 'server',
    role: Role,
    own: Record<string, string>,
  ) => {
    const snapshot = snapshotOf(name, name === 'client' ? role.next : 0, role.carries);
    source?.take(snapshot);
    return start(process.execPath, [...sidecarNodeFlags, main], {
      SELVAGE_NAMESPACE: 'bench',
      SELVAGE_WORKLOAD: name,
      SELVAGE_SERVICE_ACCOUNT: name,
      SELVAGE_SNAPSHOT_FILE: world.write(`snapshot-${role.port}.json`, JSON.stringify(snapshot)),
      SELVAGE_CERT_FILE: name === 'client' ? world.files.clientCert : world.files.serverCert,
      SELVAGE_KEY_FILE: name === 'client' ? world.files.clientKey : world.files.serverKey,
      SELVAGE_TRUST_BUNDLE_FILE: world.files.ca,
      SELVAGE_ADMIN: '127.0.0.1:0',
      SELVAGE_ACCESS_LOG: '/dev/null',
      SELVAGE_LOG_LEVEL: 'warn',
      ...(role.workers > 1 && { [concurrency]: String(role.workers) }),
      ...own,
      ...source?.env,
      ...variant.env,
    });
  };
  return {
    name: variant.name,
    isForwardProxy: true,
    missing: () => (existsSync(main) ? null : `${main} is not there; run npm run build`),
    can: (_setup, _carries, workers) => workers === 1 || hasWorkers,
    inbound: (world, role) =>
      run(world, 'server', role, {
        SELVAGE_INBOUND: `127.0.0.1:${role.port}=${workloadPort}>127.0.0.1:${role.next}`,
        SELVAGE_OUTBOUND: '127.0.0.1:0',
      }),
    outbound: (world, role) =>
      run(world, 'client', role, {
        SELVAGE_INBOUND: `127.0.0.1:0=${workloadPort}>127.0.0.1:1`,
        SELVAGE_OUTBOUND: `127.0.0.1:${role.port}`,
      }),
  };
}
