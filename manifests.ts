// Writes what of manifests/ is made from code: CRDs, the base, and the Helm chart that renders the same.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { generatedManifests } from './cli/install/files.ts';
import packageJson from './package.json' with { type: 'json' };

const root = join(import.meta.dirname, 'manifests');

for (const folder of ['crds', 'base', 'helm']) {
  await rm(join(root, folder), { recursive: true, force: true });
}
for (const [file, text] of generatedManifests(packageJson.version)) {
  await mkdir(dirname(join(root, file)), { recursive: true });
  await writeFile(join(root, file), text);
}
