// Writes what is made from code: of manifests/ CRDs, the base and the Helm chart that renders the same; of docs/ the reference.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { generatedManifests } from './cli/install/files.ts';
import { referencePages } from './cli/reference/pages.ts';
import packageJson from './package.json' with { type: 'json' };

const manifests = join(import.meta.dirname, 'manifests');
const reference = join(import.meta.dirname, 'docs/reference');

for (const folder of ['crds', 'base', 'helm']) {
  await rm(join(manifests, folder), { recursive: true, force: true });
}
await rm(reference, { recursive: true, force: true });
await write(manifests, generatedManifests(packageJson.version));
await write(reference, referencePages());

async function write(folder: string, files: ReadonlyMap<string, string>): Promise<void> {
  for (const [file, text] of files) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), text);
  }
}
