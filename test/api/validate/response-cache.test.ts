import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { customResourceDefinitions } from '#api/crd/definition.ts';
import { loadText } from '#api/load.ts';

function load(spec: string): ReturnType<typeof loadText> {
  const text = `apiVersion: selvage.dev/v1alpha1
kind: ResponseCache
metadata: { name: answers, namespace: shop }
spec: ${spec}
`;
  return loadText(text, 'answers.yaml');
}

test('what is left out has its defaults', () => {
  const { resources, problems } = load('{ rules: [{}] }');
  expect(problems).toEqual([]);
  expect(resources[0]).toMatchObject({
    spec: {
      rules: [{ identity: false, defaultTtl: '0s' }],
      maxBytes: 16_777_216,
      maxBodyBytes: 1_048_576,
    },
  });
});

test.each([
  ['no rule', '{ rules: [] }', 'rules'],
  ['an empty match', '{ rules: [{ match: [{}] }] }', 'would mean everything'],
  ['a time that is none', '{ rules: [{ defaultTtl: soon }] }', '"soon" is no duration'],
  ['bodies that have no room', '{ rules: [{}], maxBytes: 2048, maxBodyBytes: 4096 }', 'no room'],
  [
    'selector and target',
    '{ rules: [{}], selector: { matchLabels: { a: b } }, targetRefs: [{ kind: Service, name: x }] }',
    'only one of selector and targetRefs',
  ],
])('%s is refused', (_, spec, words) => {
  const { problems, resources } = load(spec);
  expect(resources).toEqual([]);
  expect(problems.map(({ message, path }) => `${path} ${message}`).join('\n')).toContain(words);
});

test('whatever is written, it is taken or refused with a place, and nothing is thrown', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      for (const spec of [value, { rules: [value] }, { rules: [{}], maxBytes: value }]) {
        const { resources, problems } = load(JSON.stringify(spec));
        expect(resources.length === 1 || problems.some((p) => p.severity === 'error')).toBe(true);
      }
    }),
  );
});

test('there is a CRD of it', () => {
  const names = customResourceDefinitions().map(({ metadata }) => metadata.name);
  expect(names).toContain('responsecaches.selvage.dev');
});
