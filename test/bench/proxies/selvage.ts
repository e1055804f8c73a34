// Selvage under test: the real process with a snapshot file and certificate files, all its defaults on.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { snapshotOf, workloadPort, type World } from '../world.ts';
import { type ProxyKind, start } from './proxy.ts';

const root = join(import.meta.dirname, '../../..');

/** @param bundled runs dist/, as images do; else the sources */
export function selvage(bundled: boolean): ProxyKind {
  const main = join(root, bundled ? 'dist/sidecar/main.js' : 'sidecar/main.ts');
  const run = (
    world: World,
    role: 'client' | 'server',
    env: Record<string, string>,
    server: number,
  ) =>
    start(process.execPath, [main], {
      SELVAGE_NAMESPACE: 'bench',
      SELVAGE_WORKLOAD: role,
      SELVAGE_SERVICE_ACCOUNT: role,
      SELVAGE_SNAPSHOT_FILE: world.write(
        `snapshot-${role}-${server}.json`,
        JSON.stringify(snapshotOf(role, server)),
      ),
      SELVAGE_CERT_FILE: role === 'client' ? world.files.clientCert : world.files.serverCert,
      SELVAGE_KEY_FILE: role === 'client' ? world.files.clientKey : world.files.serverKey,
      SELVAGE_TRUST_BUNDLE_FILE: world.files.ca,
      SELVAGE_ADMIN: '127.0.0.1:0',
      SELVAGE_ACCESS_LOG: '/dev/null',
      SELVAGE_LOG_LEVEL: 'warn',
      ...env,
    });
  return {
    name: bundled ? 'selvage' : 'selvage (sources)',
    absoluteForm: true,
    missing: () => (existsSync(main) ? null : `${main} is not there; run npm run build`),
    inbound: (world, port, application) =>
      run(
        world,
        'server',
        {
          SELVAGE_INBOUND: `127.0.0.1:${port}=${workloadPort}>127.0.0.1:${application}`,
          SELVAGE_OUTBOUND: '127.0.0.1:0',
        },
        0,
      ),
    outbound: (world, port, server) =>
      run(
        world,
        'client',
        {
          SELVAGE_INBOUND: `127.0.0.1:0=${workloadPort}>127.0.0.1:1`,
          SELVAGE_OUTBOUND: `127.0.0.1:${port}`,
        },
        server,
      ),
  };
}
