import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { readYaml, yamlLimits } from '#api/yaml.ts';
import { readCases } from '#test/data/cases.ts';

test('each node has the line and column where it is written', () => {
  const [document] = readYaml(
    '# shop\nspec:\n  rules:\n    - from:\n      - source: {principals: ["*", b]}\n',
    'f',
  ).documents;
  expect(document?.at('spec')).toEqual({ line: 2, column: 1 });
  expect(document?.at('spec.rules[0]')).toEqual({ line: 4, column: 7 });
  expect(document?.at('spec.rules[0].from[0].source.principals[1]')).toEqual({
    line: 5,
    column: 36,
  });
  expect(document?.origin.line).toBe(2);
});

test('a path that is not written has the place of its nearest ancestor', () => {
  const [document] = readYaml('spec:\n  selector:\n    a: 1\n', 'f').documents;
  expect(document?.at('spec.selector.matchLabels["app.io/name"]')).toEqual({ line: 2, column: 3 });
  expect(document?.at('elsewhere')).toEqual({ line: 1, column: 1 });
});

test('scalars are read as YAML 1.1, which is what Kubernetes reads', () => {
  const text = 'a: [yes, No, on, y, 0777, 0x10, 1_000, 12:30, 2020-01-01, ~, "yes", 1.5, .inf]';
  expect(readYaml(text, 'f').documents[0]?.value).toEqual({
    a: [true, false, true, true, 511, 16, 1000, '12:30', '2020-01-01', null, 'yes', 1.5, '.inf'],
  });
});

test('a scalar that is no string keeps its text as written', () => {
  const [document] = readYaml('a: [yes, 0777, "x"]', 'f').documents;
  expect(document?.sourceOf('a[0]')).toBe('yes');
  expect(document?.sourceOf('a[1]')).toBe('0777');
  expect(document?.sourceOf('a[2]')).toBeUndefined();
});

test('keys become strings as in JSON', () => {
  expect(readYaml('8080: a\ntrue: b\n', 'f').documents[0]?.value).toEqual({
    '8080': 'a',
    true: 'b',
  });
});

test('a stream has several documents, and empty ones are passed over', () => {
  const { documents, problems } = readYaml('---\na: 1\n---\n# nothing\n---\nb: 2\n', 'f');
  expect(documents.map(({ value }) => value)).toEqual([{ a: 1 }, { b: 2 }]);
  expect(documents[1]?.origin.line).toBe(6);
  expect(problems).toEqual([]);
});

test('JSON, a byte order mark and CRLF are read', () => {
  expect(readYaml('\uFEFF{"a": ["b"]}\r\n', 'f').documents[0]?.value).toEqual({ a: ['b'] });
  expect(readYaml('a:\r\n- b\r\n', 'f').documents[0]?.at('a[0]')).toEqual({ line: 2, column: 3 });
});

test('anchors, aliases and merge keys are written out', () => {
  const text =
    'base: &b {x: 1, z: 2}\none: *b\ntwo:\n  <<: *b\n  z: 3\nthree:\n  <<: [{x: 9}, *b]\n';
  const { documents, problems } = readYaml(text, 'f');
  expect(problems).toEqual([]);
  expect(documents[0]?.value).toEqual({
    base: { x: 1, z: 2 },
    one: { x: 1, z: 2 },
    two: { z: 3, x: 1 },
    three: { x: 9, z: 2 },
  });
  expect(documents[0]?.at('one')).toEqual({ line: 2, column: 6 });
  expect(documents[0]?.at('two.z')).toEqual({ line: 5, column: 6 });
});

test('an alias means the anchor above it, also where the name is used again', () => {
  const text = 'a: &x 1\nb: *x\nc: &x 2\nd: *x\n';
  expect(readYaml(text, 'f').documents[0]?.value).toEqual({ a: 1, b: 1, c: 2, d: 2 });
});

test.each([
  ['a tab in the indentation', 'a:\n\t- b', /tab/, 2],
  ['a bare star', 'principals: [*]', /\* begins an alias/, 1],
  ['a star before a word', 'hosts:\n- *.example.com', /\*\.example\.com is an alias/, 2],
  ['an open quote', 'a: "x', /never closed/, 1],
  ['an open bracket', 'a: [1,\nb: 2', /\[ that is open here is never closed/, 2],
  ['two pairs on a line', 'a: b: c', /second "key: value"/, 1],
  ['a broken indentation', 'a:\n  b: 1\n c: 2', /not indented/, 3],
  ['a template without quotes in brackets', 'a: [/x/{*}]', /comma is missing/, 1],
  ['a value that begins with @', 'a: @x', /may not begin with @/, 1],
  ['a key twice', 'a: 1\nb: 2\na: 3', /"a" stands twice/, 3],
  ['a mapping as a key', '{[a]: 1}', /key of a mapping/, 1],
  ['an alias inside its anchor', 'a: &a [*a]', /never end/, 1],
  ['a merge of a scalar', '<<: 3', /merges mappings only/, 1],
])('%s is a problem with its line and a way to mend it', (_, text, message, line) => {
  const { documents, problems } = readYaml(text, 'f.yaml');
  expect(documents).toEqual([]);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatchObject({ severity: 'error', file: 'f.yaml', line });
  expect(problems[0]?.message).toMatch(message);
  expect(problems[0]?.mend).toBeTruthy();
});

test('a broken document does not hide the good ones beside it', () => {
  const { documents, problems } = readYaml('a: 1\n---\nb: [\n---\nc: 3\n', 'f');
  expect(documents.map(({ value }) => value)).toEqual([{ a: 1 }, { c: 3 }]);
  expect(problems).toHaveLength(1);
});

test('an alias bomb is refused before it is written out', () => {
  const rows = ['a0: &a0 [x,x,x,x,x,x,x,x,x,x]'];
  for (let i = 1; i < 12; i++)
    rows.push(
      `a${i}: &a${i} [${Array(10)
        .fill(`*a${i - 1}`)
        .join(',')}]`,
    );
  const limits = { ...yamlLimits, nodesMax: 20_000 };
  const { documents, problems } = readYaml(rows.join('\n'), 'f', limits);
  expect(documents).toEqual([]);
  expect(problems[0]?.code).toBe('yaml-too-large');
});

test('many aliases and many keys cost no more than their number', () => {
  const aliases = Array.from({ length: 20_000 }, () => '- *a').join('\n');
  const keys = Array.from({ length: 20_000 }, (_, i) => `k${i}: 1`).join('\n');
  const start = performance.now();
  expect(readYaml(`a: &a x\nb:\n${aliases}\n`, 'f').problems).toEqual([]);
  expect(readYaml(keys, 'f').problems).toEqual([]);
  // Quadratic work here takes minutes.
  expect(performance.now() - start).toBeLessThan(10_000);
});

test('size and depth have limits that say so', () => {
  const small = { textLengthMax: 10, nodesMax: 100, depthMax: 5 };
  expect(readYaml('a: 123456789', 'f', small).problems[0]?.code).toBe('yaml-too-large');
  const deep = { ...small, textLengthMax: 1000 };
  expect(readYaml('[[[[[[[[1]]]]]]]]', 'f', deep).problems[0]?.code).toBe('yaml-too-deep');
  const many = `[${Array(200).fill('1').join(',')}]`;
  expect(readYaml(many, 'f', deep).problems[0]?.code).toBe('yaml-too-large');
  expect(readYaml('['.repeat(20_000), 'f').problems).toHaveLength(1);
});

test('a key named __proto__ is a key', () => {
  const value = readYaml('__proto__: {a: 1}\nb: 2', 'f').documents[0]?.value as object;
  expect(Object.keys(value)).toEqual(['__proto__', 'b']);
  expect('a' in value).toBe(false);
});

test('no text makes it throw', () => {
  const token = fc.constantFrom(
    'a',
    ':',
    ' ',
    '\n',
    '-',
    '[',
    ']',
    '{',
    '}',
    '*',
    '&',
    '"',
    "'",
    '|',
    '<<',
    '#',
    '\t',
    '!',
    '%',
    '?',
    '\u0000',
    '~',
    '0',
    ',',
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(token, { maxLength: 40 }).map((t) => t.join('')),
  );
  fc.assert(
    fc.property(text, (t) => {
      const { documents, problems } = readYaml(t, 'f');
      for (const { origin } of documents) expect(origin.line).toBeGreaterThan(0);
      for (const problem of problems) expect(problem.line ?? 1).toBeGreaterThan(0);
    }),
    { numRuns: 400, seed: 7 },
  );
});

test('JSON values come through whole', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
      const text = JSON.stringify(value);
      expect(readYaml(text, 'f').documents[0]?.value).toEqual(JSON.parse(text));
    }),
    { numRuns: 200, seed: 7 },
  );
});

test('no mutation of a real policy makes it throw', () => {
  const texts = readCases((c) => c.policies.length > 0).flatMap(({ policies }) => policies);
  const cut = fc.record({
    text: fc.constantFrom(...texts),
    at: fc.nat(600),
    drop: fc.nat(12),
    put: fc.string({ unit: 'binary-ascii', maxLength: 4 }),
  });
  fc.assert(
    fc.property(cut, ({ text, at, drop, put }) => {
      const { documents, problems } = readYaml(
        text.slice(0, at) + put + text.slice(at + drop),
        'f',
      );
      expect(documents.length + problems.length).toBeGreaterThan(0);
    }),
    { numRuns: 300, seed: 7 },
  );
});
