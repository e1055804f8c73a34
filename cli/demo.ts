// `selvage demo`: the shop example with real traffic, good and bad.
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Io } from './io.ts';
import { runMesh } from './up.ts';
import { defaultFirstPort } from './up/ports.ts';

const shop = fileURLToPath(new URL('../manifests/examples/shop', import.meta.url));

/** `--once` ends after the table. Nothing else differs from `selvage up manifests/examples/shop --send`. */
export async function demo(args: string[], io: Io): Promise<number> {
  const unknown = args.find((arg) => arg !== '--once');
  if (unknown !== undefined) {
    io.stderr.write(`selvage demo: there is no argument ${unknown}, only --once\n`);
    return 2;
  }
  io.stdout.write('Starting a mesh of three services: web -> billing -> payments\n');
  return runMesh(
    {
      folder: relative(io.cwd, shop) || '.',
      send: true,
      once: args.includes('--once'),
      otlpEndpoint: '',
      firstPort: defaultFirstPort,
    },
    io,
  );
}
