import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { customResourceDefinitions } from '#api/crd/definition.ts';
import { loadText } from '#api/load.ts';

function load(spec: string): ReturnType<typeof loadText> {
  const text = `apiVersion: selvage.dev/v1alpha1
kind: Filter
metadata: { name: own, namespace: shop }
spec: ${spec}
`;
  return loadText(text, 'own.yaml');
}

test('what is left out has its defaults', () => {
  const { resources, problems } = load('{ file: own.ts }');
  expect(problems).toEqual([]);
  expect(resources[0]).toMatchObject({
    spec: {
      requestBody: false,
      responses: false,
      timeout: '100ms',
      memoryMiB: 32,
      onFailure: 'refuse',
    },
  });
});

test.each([
  ['neither file nor source', '{}', 'one of file and source'],
  ['both', '{ file: a.ts, source: "export const onRequest = 1" }', 'one of file and source'],
  ['a file elsewhere', '{ file: ../a.ts }', 'no .ts file in or below'],
  ['an absolute file', '{ file: /etc/a.ts }', 'no .ts file in or below'],
  ['a file of another kind', '{ file: passwd }', 'no .ts file in or below'],
  ['a source without an export', '{ source: "const a = 1" }', 'it exports nothing'],
  ['a time that is none', '{ file: a.ts, timeout: soon }', '"soon" is no duration'],
  ['an empty match', '{ file: a.ts, match: [{}] }', 'would mean everything'],
])('%s is refused', (_, spec, words) => {
  const { problems, resources } = load(spec);
  expect(resources).toEqual([]);
  expect(problems.map(({ message }) => message).join('\n')).toContain(words);
});

test('whatever is written, it is taken or refused with a place, and nothing is thrown', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), fc.string(), (value, text) => {
      for (const spec of [value, { file: text }, { source: text, timeout: value }]) {
        const { resources, problems } = load(JSON.stringify(spec));
        expect(resources.length === 1 || problems.some((p) => p.severity === 'error')).toBe(true);
      }
    }),
  );
});

test('the CRD wants the text, since a cluster knows no files', () => {
  const crd = customResourceDefinitions().find(
    ({ metadata }) => metadata.name === 'filters.selvage.dev',
  );
  expect(JSON.stringify(crd)).toContain('a cluster knows no files');
});
