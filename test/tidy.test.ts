// Holds the tree to its own rules: layers, headers, names, sizes, and a page of architecture that is true.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const folders = ['api', 'policy', 'runtime', 'ca', 'control', 'injector', 'sidecar', 'cli', 'test'];
const foundations = ['api', 'policy', 'runtime'];
const mayImport: Readonly<Record<string, readonly string[]>> = {
  api: [],
  runtime: [],
  policy: ['api'],
  ca: foundations,
  control: foundations,
  injector: foundations,
  sidecar: foundations,
  cli: folders.filter((folder) => folder !== 'test'),
  test: folders,
};
/** The one file (or few) that knows each awkward dependency. */
const keepers: Readonly<Record<string, RegExp>> = {
  '@peculiar/x509': /^ca\/x509\.ts$/,
  'node-forge': /^ca\/forge\.ts$/,
  'prom-client': /^(ca|control|injector)\/metrics\.ts$/,
  '@opentelemetry/': /^sidecar\/telemetry\/otlp\/encode\.ts$/,
  undici:
    /^runtime\/kubernetes\/(transport|exec)\.ts$|^control\/jwks\/fetch\.ts$|^sidecar\/upstream\/http-client\.ts$/,
  pino: /^runtime\/log\.ts$/,
  zod: /^api\//,
  yaml: /^api\/yaml(-\w+)?\.ts$|^cli\/up\/pods\.ts$/,
  re2js: /^(api\/validate|sidecar\/routing)\/regex\.ts$/,
  '@redis/client': /^sidecar\/limit\/redis\.ts$/,
  'node:ffi': /^sidecar\/capture\/original-destination\.ts$/,
};

const sources = folders.flatMap((folder) => filesOf(join(root, folder)));
const shipped = sources.filter((file) => !file.startsWith('test/'));

test('there is a tree to look at', () => {
  expect(shipped.length).toBeGreaterThan(50);
});

test('a folder imports only the folders below it', () => {
  const wrong = sources.flatMap((file) =>
    importsOf(file)
      .map((target) => /^#(\w+)\//.exec(target)?.[1])
      .filter((target) => target !== undefined)
      .filter((target) => {
        const own = file.split('/')[0] ?? '';
        return target !== own && !(mayImport[own] ?? []).includes(target);
      })
      .map((target) => `${file} imports ${target}`),
  );
  expect(wrong).toEqual([]);
});

test('a relative import never leaves its top folder', () => {
  const wrong = sources.flatMap((file) =>
    importsOf(file)
      .filter((target) => target.startsWith('.'))
      .filter((target) => relativeTop(file, target) !== file.split('/')[0])
      .filter((target) => !target.endsWith('package.json'))
      .map((target) => `${file} imports ${target}`),
  );
  expect(wrong).toEqual([]);
});

test('zod and yaml are not loaded by the sidecar or by the policy engine, re2js only when a route needs it', () => {
  const entries = ['sidecar/main.ts', 'policy/compile.ts', 'policy/judge.ts'];
  const loaded = entries.flatMap((entry) =>
    [...reachable(entry)].map((name) => `${entry}: ${name}`),
  );
  expect(loaded.filter((line) => /: (zod|yaml|re2js)$/.test(line))).toEqual([]);
});

test('each awkward dependency is known to one file', () => {
  const wrong = shipped.flatMap((file) =>
    importsOf(file).flatMap((target) =>
      Object.entries(keepers)
        .filter(([name, keeper]) => isPackage(target, name) && !keeper.test(file))
        .map(([name]) => `${file} imports ${name}`),
    ),
  );
  expect(wrong).toEqual([]);
});

test('only settings files read the environment', () => {
  const wrong = shipped
    .filter((file) => /process\.env/.test(textOf(file)))
    .filter((file) => !/\/settings\.ts$|^cli\//.test(file));
  expect(wrong).toEqual([]);
});

test('every file begins with a sentence that says what it is for; tests say it in their names', () => {
  const told = sources.filter((file) => !file.endsWith('.test.ts'));
  const wrong = told.filter((file) => !/^(#!.*\n)?\/\/ \S.*/.test(textOf(file)));
  expect(wrong).toEqual([]);
});

test('file names are kebab-case nouns, none of them a drawer for leftovers', () => {
  const wrong = sources.filter((file) => {
    const name = file.split('/').at(-1) ?? '';
    return (
      !/^[a-z0-9-]+(\.[a-z0-9-]+)*\.ts$/.test(name) ||
      /^(utils?|common|helpers?|manager|misc|index)\./.test(name)
    );
  });
  expect(wrong).toEqual([]);
});

test('nothing is left unfinished or switched off', () => {
  const marks =
    /\b(TODO|FIXME|XXX|HACK)\b|\b(?:test|it|describe)\.(?:skip|only|todo)\(|@ts-ignore|@ts-expect-error|: any\b|\bas any\b/;
  const wrong = sources
    .filter((file) => file !== 'test/tidy.test.ts')
    .flatMap((file) =>
      textOf(file)
        .split('\n')
        .flatMap((line, i) => (marks.test(line) ? [`${file}:${i + 1}: ${line.trim()}`] : [])),
    );
  expect(wrong).toEqual([]);
});

test('ARCHITECTURE.md names every folder, and no folder that is not there', () => {
  const page = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
  const named = [...page.matchAll(/^ {2}([a-z0-9-]+)\/ {2,}\S/gm)].map((match) => match[1]);
  const present = readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map((entry) => entry.name)
    .filter((name) => !['node_modules', 'dist', 'coverage'].includes(name));
  expect(new Set(named)).toEqual(new Set(present));
});

function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

function textOf(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

/** What a file loads at run time and for types. */
function importsOf(file: string): string[] {
  return [...textOf(file).matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(
    (match) => match[1] ?? '',
  );
}

/** What a file loads at run time, statically: types are erased, dynamic imports come later or never. */
function loadsOf(file: string): string[] {
  return [...textOf(file).matchAll(/^(?:import|export) (?!type\b)[^;]*?from '([^']+)';/gm)].map(
    (match) => match[1] ?? '',
  );
}

function reachable(entry: string): Set<string> {
  const packages = new Set<string>();
  const seen = new Set<string>();
  const queue = [entry];
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    for (const target of loadsOf(file)) {
      if (target.startsWith('#')) queue.push(target.slice(1));
      else if (target.startsWith('.')) queue.push(relative(root, join(root, file, '..', target)));
      else packages.add(target);
    }
  }
  return packages;
}

function relativeTop(file: string, target: string): string {
  return relative(root, join(root, file, '..', target)).split('/')[0] ?? '';
}

function isPackage(target: string, name: string): boolean {
  return target === name || target.startsWith(name.endsWith('/') ? name : `${name}/`);
}
