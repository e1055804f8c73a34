#!/usr/bin/env node
// Starts the CLI under the Node that the package brings, whatever Node the machine has.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

// The package has no sources, the repository may have bundles of yesterday.
const here = dirname(fileURLToPath(import.meta.url));
const source = join(here, 'main.ts');
const main = existsSync(source) ? source : join(here, '../dist/cli/main.js');

if (Number(process.versions.node.split('.')[0]) >= 26) {
  await import(main);
} else {
  const node = ownNode();
  if (node === null) {
    console.error(
      `selvage: it needs Node 26, this is ${process.versions.node}, and the package node, which brings it, is not ` +
        'whole: its install script did not run. Try: npm rebuild node --ignore-scripts=false --foreground-scripts',
    );
    process.exit(1);
  }
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
  // The terminal sends Ctrl-C to both; only the child decides how to end.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => child.kill(signal));
  }
  child.on('error', (error) => {
    console.error(`selvage: cannot start ${node}: ${error.message}; install the package again`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 143);
  });
}

/** Null where the package `node` was installed without its install script, which fetches the program. */
function ownNode() {
  const require = createRequire(import.meta.url);
  const node = join(dirname(require.resolve('node/package.json')), 'bin', 'node');
  return existsSync(node) ? node : null;
}
