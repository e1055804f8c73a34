// Where the mesh's own programs lie, and the example: sources in the repository, bundles in the package.
import { join, sep } from 'node:path';

export type Program = 'ca' | 'control' | 'sidecar';

// All files of the bundled CLI lie in dist/cli, whatever folder their sources were in.
const bundled = !import.meta.filename.endsWith('.ts');
const root = join(import.meta.dirname, bundled ? '../..' : '..');

/** What Node is started with. */
export function programFile(name: Program): string {
  return bundled ? join(root, 'dist', name, 'main.js') : join(root, name, 'main.ts');
}

export const exampleFolder = join(root, 'manifests/examples/shop');

/** Node runs no TypeScript below a folder of this name. */
export const isInstalled = root.split(sep).includes('node_modules');
