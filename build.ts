// Bundles each process into dist/: what images run, since a bundle starts in a fifth of the time of its sources.
// `node build.ts package` adds what the npm package has besides: the CLI, and the library with its types.
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

import { build } from 'esbuild';

const root = import.meta.dirname;
const dist = join(root, 'dist');
const forPackage = process.argv[2] === 'package';

await rm(dist, { recursive: true, force: true });
const entries = {
  ca: ['main.ts'],
  control: ['main.ts'],
  injector: ['main.ts'],
  // Workers are loaded by their name beside main.
  sidecar: ['main.ts', 'workers/worker.ts', 'filter/runner.ts', 'capture/capture-init.ts'],
  ...(forPackage ? { cli: ['main.ts', 'library.ts'] } : {}),
};
for (const [name, files] of Object.entries(entries)) {
  await build({
    entryPoints: files.map((file) => join(root, name, file)),
    entryNames: '[name]',
    outdir: join(dist, name),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node26',
    // What is imported lazily stays in files of its own, and out of memory until it is wanted.
    splitting: true,
    sourcemap: 'external',
    legalComments: 'linked',
    // Packages written for CommonJS call require() for built-in modules.
    banner: {
      js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
}
if (forPackage) await writeTypes(join(dist, 'types'), 'cli/library.d.ts');

/** The declarations that `entry` needs, with relative imports: `#api/` means nothing where the package is used. */
async function writeTypes(folder: string, entry: string): Promise<void> {
  const all = join(dist, 'all-types');
  const project = join(dist, 'tsconfig.json');
  const options = { noEmit: false, declaration: true, emitDeclarationOnly: true };
  await writeFile(
    project,
    JSON.stringify({
      extends: join(root, 'tsconfig.json'),
      compilerOptions: { ...options, rootDir: root, outDir: all },
      include: [join(root, entry.replace('.d.ts', '.ts'))],
    }),
  );
  execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', project], { stdio: 'inherit' });
  await rm(project);
  const wanted = new Set([entry]);
  // A set goes on to what is added while it is gone through.
  for (const file of wanted) {
    const text = await readFile(join(all, file), 'utf8');
    const portable = text.replaceAll(
      /(['"])(#|\.\.?\/)([^'"]+)\.ts\1/g,
      (_, quote, start, rest) => {
        const target = start === '#' ? `${rest}` : join(dirname(file), `${start}${rest}`);
        wanted.add(`${target}.d.ts`);
        const path = relative(dirname(file), target);
        return `${quote}${path.startsWith('.') ? path : `./${path}`}.js${quote}`;
      },
    );
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), portable);
  }
  await rm(all, { recursive: true });
}
