import * as fc from 'fast-check';
import { stringify } from 'yaml';
import { expect, test } from 'vitest';

import { diffJson } from '#api/injection/json-patch.ts';
import { editYaml } from '#api/yaml-edit.ts';
import { readYaml } from '#api/yaml.ts';

/** Every document becomes `value`. */
function become(text: string, value: unknown): string {
  return editYaml(text, (before) => ({ operations: diffJson(before, value), value }));
}

test('what stays keeps its comments, its order and its quotes', () => {
  const text = `# top
b: 'one'   # why
list:
- name: x # first
- {name: w}
a: |
  text
`;
  const value = { b: 'one', list: [{ name: 'x' }, { name: 'w', z: 1 }], a: 'text\n', c: 'yes' };
  expect(become(text, value)).toBe(`# top
b: 'one' # why
list:
- name: x # first
- name: w
  z: 1
a: |
  text
c: "yes"
`);
});

function edit(value: unknown): ReturnType<Parameters<typeof editYaml>[1]> {
  return JSON.stringify(value) === '{"b":[1,2]}'
    ? { operations: [{ op: 'replace', path: '/b/0', value: 9 }], value: { b: [9, 2] } }
    : null;
}

test('documents that are not changed are the same bytes, whatever they are', () => {
  const text = 'a:   1\n---\n\n# nothing\n---\nb: [1,2]\n...\n---\n- &x {y:   z}\n- *x';
  expect(editYaml(text, () => null)).toBe(text);
  expect(editYaml(text, edit)).toBe(text.replace('b: [1,2]', 'b:\n  - 9\n  - 2'));
});

test.each([
  ['a: &x {b: 1}\nc: *x\n', { a: { b: 2 }, c: { b: 1 } }],
  ['base: &x {b: 1}\nc: {<<: *x}\n', { base: { b: 1 }, c: { b: 3 } }],
  ['8080: a\n', { '8080': 'b' }],
  ['on: a\n', { true: 'b' }],
])('where a document means more than it says, it is written anew: %j', (text, value) => {
  expect(readYaml(become(text, value), '').documents[0]?.value).toEqual(value);
});

test('a number, a date and a word that YAML 1.1 reads otherwise stay text', () => {
  const value = { a: ['on', '0777', '1e3', '12:30', '2020-01-01', '~', '', ' x', '# y', '- z'] };
  expect(readYaml(become('a: []\n', value), '').documents[0]?.value).toEqual(value);
});

const keys = fc.constantFrom('a', 'b', 'name', 'x/y', '8', 'on', '~');
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constantFrom('yes', 'x: y', '|\n')),
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.dictionary(keys, tie('tree'), { maxKeys: 4 }),
  ),
}));
const object = fc.dictionary(keys, tree, { minKeys: 1, maxKeys: 5 });

test('any document becomes any other, and is read as that', () => {
  fc.assert(
    fc.property(object, object, fc.boolean(), (before, after, flow) => {
      const style = flow ? ({ collectionStyle: 'flow' } as const) : {};
      const text = stringify(before, { version: '1.1', ...style });
      const { documents, problems } = readYaml(text, '');
      fc.pre(problems.length === 0 && documents.length === 1);
      const value: unknown = JSON.parse(JSON.stringify(after));
      const read = readYaml(become(text, value), '');
      expect(read.problems).toEqual([]);
      expect(read.documents.map((document) => document.value)).toEqual([value]);
    }),
    { numRuns: 300 },
  );
});
