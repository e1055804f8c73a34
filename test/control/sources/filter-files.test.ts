import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import type { FilterSpec } from '#api/kinds/filter.ts';
import { loadText, type AnyResource, type Loaded } from '#api/load.ts';
import { areUnchanged, withFilterSources } from '#control/sources/filter-files.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvage-filters-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function load(): Loaded {
  const text = `apiVersion: selvage.dev/v1alpha1
kind: Filter
metadata: { name: own, namespace: shop }
spec: { file: own.ts }
---
apiVersion: v1
kind: Namespace
metadata: { name: shop }
`;
  return loadText(text, join(folder, 'own.yaml'));
}

function sourcesOf(resources: readonly AnyResource[]): (string | undefined)[] {
  return resources
    .filter((one) => one.kind === 'Filter')
    .map((one) => (one.spec as FilterSpec).source);
}

test('a filter gets the text of its file, and one that is gone keeps what it had', async () => {
  const file = join(folder, 'own.ts');
  await writeFile(file, 'export const onRequest = 1;');
  const first = await withFilterSources(load());
  expect(first.problems).toEqual([]);
  expect(sourcesOf(first.resources)).toEqual(['export const onRequest = 1;']);
  expect(await areUnchanged(first.sources)).toBe(true);
  await writeFile(file, 'export const onRequest = 23;');
  expect(await areUnchanged(first.sources)).toBe(false);
  await rm(file);
  const kept = await withFilterSources(first);
  expect(sourcesOf(kept.resources)).toEqual(['export const onRequest = 1;']);
  expect(kept.problems).toMatchObject([{ severity: 'error', code: 'filter-unreadable', line: 4 }]);
});

test('a filter whose file was never there is left out, and the rest stays', async () => {
  const { resources, problems, sources } = await withFilterSources(load());
  expect(resources.map(({ kind }) => kind)).toEqual(['Namespace']);
  expect(problems[0]?.message).toContain(join(folder, 'own.ts'));
  expect(await areUnchanged(sources)).toBe(true);
  await writeFile(join(folder, 'own.ts'), 'x'.repeat(300_000));
  expect(await areUnchanged(sources)).toBe(false);
  expect((await withFilterSources(load())).problems).toHaveLength(1);
});
