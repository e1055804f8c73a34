import { expect, test } from 'vitest';

import { isResourceFile, mayHoldResources } from '#api/resource-file.ts';

test('YAML and JSON are files of resources by their name', () => {
  const names = ['a.yaml', 'a.yml', 'a.YAML', 'a.json', 'a.yaml.part', 'a.txt', 'json', 'a.jsonl'];
  expect(names.filter(isResourceFile)).toEqual(['a.yaml', 'a.yml', 'a.YAML', 'a.json']);
});

test('JSON without an apiVersion belongs to somebody else, YAML is always ours', () => {
  expect(mayHoldResources('package.json', '{"name":"shop","version":"1.0.0"}')).toBe(false);
  expect(mayHoldResources('tsconfig.json', '{\n  // strict\n  "strict": true\n}')).toBe(false);
  expect(mayHoldResources('shop.json', '{ "apiVersion" : "v1", "kind": "List" }')).toBe(true);
  expect(mayHoldResources('values.yaml', 'name: shop')).toBe(true);
});
