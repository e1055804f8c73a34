// `selvage demo`: the shop example with real traffic, good and bad.
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

import type { Io } from './io.ts';
import { exampleFolder, isInstalled } from './programs.ts';
import { runMesh } from './up.ts';
import { defaultFirstPort } from './up/ports.ts';

const known = ['--once', '--no-dashboard'];

/** `--once` ends after the table. Nothing else differs from `selvage up manifests/examples/shop --send`. */
export async function demo(args: string[], io: Io): Promise<number> {
  const unknown = args.find((arg) => !known.includes(arg));
  if (unknown !== undefined) {
    io.stderr.write(`selvage demo: there is no argument ${unknown}, only ${known.join(' and ')}\n`);
    return 2;
  }
  const copy = isInstalled ? await mkdtemp(join(tmpdir(), 'selvage-demo-')) : null;
  try {
    const shop = copy === null ? exampleFolder : await copyExample(copy);
    io.stdout.write('Starting a mesh of three services: web -> billing -> payments\n');
    return await runMesh(
      {
        folder: copy === null ? relative(io.cwd, shop) || '.' : shop,
        send: true,
        once: args.includes('--once'),
        otlpEndpoint: '',
        firstPort: defaultFirstPort,
        dashboard: !args.includes('--no-dashboard'),
      },
      io,
    );
  } finally {
    if (copy !== null) await rm(copy, { recursive: true, force: true });
  }
}

/** The shop's programs are TypeScript, which Node does not run where a package is installed; and a copy may be edited. */
async function copyExample(folder: string): Promise<string> {
  const shop = join(folder, 'shop');
  await cp(exampleFolder, shop, { recursive: true });
  await writeFile(join(folder, 'package.json'), '{"type":"module"}\n');
  return shop;
}
