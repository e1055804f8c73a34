import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { EACH, readJsonPath, type JsonStep } from '#api/json-path.ts';
import { compileJsonEdits, editJson } from '#sidecar/transform/json-edit.ts';

interface Edits {
  readonly remove?: string[];
  readonly rename?: { from: string; to: string }[];
}

function edit(text: string, edits: Edits): string | null {
  const node = compileJsonEdits({ ...edits, whenUnreadable: 'pass' });
  return editJson(Buffer.from(text), node)?.toString() ?? null;
}

test.each<[string, string, Edits, string]>([
  ['a field', '{"a":1,"b":2}', { remove: ['a'] }, '{"b":2}'],
  ['the only field', '{ "a" : 1 }', { remove: ['a'] }, '{}'],
  ['a field of an object', '{"u":{"p":1,"n":2}}', { remove: ['u.p'] }, '{"u":{"n":2}}'],
  [
    'of each element',
    '{"i":[{"s":1},{"s":2,"k":3},4]}',
    { remove: ['i[].s'] },
    '{"i":[{},{"k":3},4]}',
  ],
  ['of the outermost array', '[{"s":1},[]]', { remove: ['[].s'] }, '[{},[]]'],
  ['a name with a dot', '{"a.b":{"c":1}}', { remove: ['["a.b"].c'] }, '{"a.b":{}}'],
  ['every one of a name', '{"a":1,"b":2,"a":3}', { remove: ['a'] }, '{"b":2}'],
  ['a name in escapes', '{"p\\u0061ss":1,"b":2}', { remove: ['pass'] }, '{"b":2}'],
  ['a name beyond ASCII', '{"größe":1,"b":"ü"}', { remove: ['größe'] }, '{"b":"ü"}'],
  ['a new name', '{"a":[1.0],"c":2}', { rename: [{ from: 'a', to: 'b' }] }, '{"b":[1.0],"c":2}'],
  ['a name that was taken', '{"b":0,"a":1}', { rename: [{ from: 'a', to: 'b' }] }, '{"b":1}'],
  [
    'names that change places',
    '{"a":1,"b":2}',
    {
      rename: [
        { from: 'a', to: 'b' },
        { from: 'b', to: 'a' },
      ],
    },
    '{"b":1,"a":2}',
  ],
  [
    'numbers as they were written',
    '{"n":12345678901234567890.10e-0,"x":1}',
    { remove: ['x'] },
    '{"n":12345678901234567890.10e-0}',
  ],
])('%s', (_, text, edits, expected) => {
  expect(edit(text, edits)).toBe(expected);
});

test('what has none of the fields stays byte for byte, blanks and bytes that are no UTF-8 too', () => {
  const node = compileJsonEdits({ remove: ['x', 'a.b'], whenUnreadable: 'pass' });
  const body = Buffer.from(' { "a" : [ 1 , { } ] ,"s":"\xff\\"" }\n', 'latin1');
  expect(editJson(body, node)).toBe(body);
});

test.each([
  '',
  '{',
  '{"a":1,}',
  "{'a':1}",
  '[1 2]',
  '01',
  'nul',
  '"\n"',
  '{"a"}',
  '1 2',
  '\ufeff{}',
  '[1,]',
  '"\\x"',
])('%j is no JSON', (text) => expect(edit(text, { remove: ['a'] })).toBeNull());

test('nesting has a bound', () => {
  expect(edit('['.repeat(200) + ']'.repeat(200), { remove: ['a'] })).not.toBeNull();
  expect(edit('['.repeat(100_000), { remove: ['a'] })).toBeNull();
});

test('text is taken exactly where JSON.parse takes it', () => {
  const broken = fc
    .tuple(fc.json({ maxDepth: 4 }), fc.nat(), fc.constantFrom('', '"', '{', '}', ',', '\\', '0'))
    .map(
      ([text, at, put]) =>
        text.slice(0, at % (text.length + 1)) + put + text.slice((at % (text.length + 1)) + 1),
    );
  fc.assert(
    fc.property(fc.oneof(fc.json({ maxDepth: 4 }), broken, fc.string()), (text) => {
      expect(edit(text, { remove: ['a', 'b.c'] }) === null).toBe(!parses(text));
    }),
    { numRuns: 2000 },
  );
});

test('removal is what a model does to the parsed value', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'ü');
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<unknown>(1, 'x"\\', null, true),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(name, tie('value'), { maxKeys: 4 }),
    ),
  }));
  const path = fc
    .array(
      fc.oneof(
        name.map((text) => `.${text}`),
        fc.constant('[]'),
      ),
      { maxLength: 3 },
    )
    .chain((steps) => name.map((last) => `${steps.join('')}.${last}`.replace(/^\./, '')));
  fc.assert(
    fc.property(value, fc.uniqueArray(path, { minLength: 1, maxLength: 3 }), (given, remove) => {
      const edited = edit(JSON.stringify(given), { remove });
      const model = remove.reduce<unknown>((left, one) => without(left, stepsOf(one)), given);
      expect(JSON.parse(edited ?? '0')).toEqual(JSON.parse(JSON.stringify(model)));
    }),
    { numRuns: 1000 },
  );
});

test('a path is read or refused in words, whatever it is', () => {
  expect(readJsonPath('items[].a["x.\\"y"]')).toEqual(['items', EACH, 'a', 'x."y']);
  for (const wrong of [
    '',
    '.',
    'a.',
    '.a',
    'a..b',
    'a[',
    'a[0]',
    '[]',
    'a[]',
    'a b',
    '[]a',
    '["a]',
  ]) {
    expect([wrong, typeof readJsonPath(wrong)]).toEqual([wrong, 'string']);
  }
  fc.assert(
    fc.property(fc.string(), (text) => {
      const steps = readJsonPath(text);
      expect(typeof steps === 'string' || steps.length > 0).toBe(true);
    }),
  );
});

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function stepsOf(path: string): readonly JsonStep[] {
  const steps = readJsonPath(path);
  if (typeof steps === 'string') throw new Error(steps);
  return steps;
}

/** On a copy of the value. */
function without(value: unknown, [step, ...more]: readonly JsonStep[]): unknown {
  if (step === EACH) return Array.isArray(value) ? value.map((one) => without(one, more)) : value;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value as Record<string, unknown>);
  return Object.fromEntries(
    more.length === 0
      ? entries.filter(([name]) => name !== step)
      : entries.map(([name, one]) => [name, name === step ? without(one, more) : one]),
  );
}
