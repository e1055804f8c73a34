import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { jsonToXml, xmlToJson } from '#sidecar/transform/convert.ts';

function json(xml: string | Buffer): unknown {
  const made = xmlToJson(Buffer.from(xml));
  return made === null ? null : JSON.parse(made.toString());
}

function xml(text: string, root = 'root'): string | null {
  const made = jsonToXml(Buffer.from(text), root)?.toString() ?? null;
  return made?.replace('<?xml version="1.0" encoding="UTF-8"?>\n', '') ?? null;
}

test.each<[string, unknown]>([
  ['<a>x</a>', { a: 'x' }],
  ['<?xml version="1.0"?><!-- c --><a/>\n<!-- d -->', { a: '' }],
  ['<a b="1" c=\'2\'>x<d/></a>', { a: { '@b': '1', '@c': '2', '#text': 'x', d: '' } }],
  ['<a><b>1</b><b>2</b>\n <c/></a>', { a: { b: ['1', '2'], c: '' } }],
  ['<a>&lt;&amp;&#65;&#x42;&quot;<![CDATA[<&]]></a>', { a: '<&AB"<&' }],
  ['<n:a xmlns:n="u"><n:b/></n:a>', { 'n:a': { '@xmlns:n': 'u', 'n:b': '' } }],
  ['<a>1<!-- 2 -->3<?pi?></a>', { a: '13' }],
  ['<größe>ü</größe>', { größe: 'ü' }],
])('%s', (text, expected) => {
  expect(json(text)).toEqual(expected);
});

test('no name means anything to what is made of it', () => {
  const made = xmlToJson(
    Buffer.from('<__proto__><constructor>1</constructor><toString/></__proto__>'),
  );
  expect(made?.toString()).toBe('{"__proto__":{"constructor":"1","toString":""}}');
});

test.each([
  '',
  'a',
  '<a>',
  '<a></b>',
  '<a/><b/>',
  '<a b=1/>',
  '<a b="1" b="2"/>',
  '<a b="<"/>',
  '<a b="1"c="2"/>',
  '<a>&nbsp;</a>',
  '<a>&amp</a>',
  '<a>&#0;</a>',
  '<a>&#xD800;</a>',
  '<a>& b</a>',
  '<!DOCTYPE a><a/>',
  '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
  '<!DOCTYPE l [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><l>&b;</l>',
  '<a><!ELEMENT b></a>',
  '<?xml version="1.0" encoding="UTF-16"?><a/>',
  '<a><![CDATA[x</a>',
  '<1/>',
  '<a>'.repeat(101) + '</a>'.repeat(101),
  '<a>'.repeat(100_000),
])('%s is refused', (text) => {
  expect(json(text)).toBeNull();
});

test('bytes that are no UTF-8 are refused', () => {
  expect(json(Buffer.from('<a>\xff</a>', 'latin1'))).toBeNull();
});

test.each<[string, string]>([
  ['{"a":"x"}', '<a>x</a>'],
  ['{"a":{"@b":1,"#text":"<x>","c":null}}', '<a b="1">&lt;x&gt;<c/></a>'],
  ['{"a":{"b":[1,{"c":true}]}}', '<a><b>1</b><b><c>true</c></b></a>'],
  ['{"a":1,"b":2}', '<root><a>1</a><b>2</b></root>'],
  ['[1,[2,3]]', '<root><item>1</item><item><item>2</item><item>3</item></item></root>'],
  ['{"n":12345678901234567890.10}', '<n>12345678901234567890.10</n>'],
  ['{"a":"\\uD83D\\uDE00"}', '<a>😀</a>'],
  ['{"@a":1}', '<root a="1"/>'],
  ['7', '<root>7</root>'],
])('%s is %s', (text, expected) => {
  expect(xml(text)).toBe(expected);
});

test.each([
  '{"a b":1}',
  '{"a":{"@b c":1}}',
  '{"a":"\\u0001"}',
  '{"a":"\\uD800"}',
  '{"a":{"@b":{}}}',
  '{',
  '['.repeat(100_000),
])('XML cannot say %s', (text) => expect(xml(text)).toBeNull());

test('what is written is read back the same', () => {
  const name = fc.constantFrom('a', 'b', 'größe', 'x-1', '_');
  const text = fc
    .string({ unit: 'binary' })
    .map((one) =>
      one.replaceAll(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '').trim(),
    );
  const { element } = fc.letrec<{ element: unknown }>((tie) => ({
    element: fc.oneof(
      { maxDepth: 4 },
      text,
      fc.dictionary(name, tie('element'), { minKeys: 1, maxKeys: 3 }),
      fc
        .record({ attribute: text, own: text.filter((one) => one !== ''), child: tie('element') })
        .map(({ attribute, own, child }) => ({ '@x': attribute, '#text': own, c: child })),
      fc.array(text, { minLength: 2, maxLength: 3 }).map((list) => ({ many: list })),
    ),
  }));
  fc.assert(
    fc.property(name, element, (root, value) => {
      const made = xml(JSON.stringify({ [root]: value }));
      expect(made === null ? null : json(made)).toEqual({ [root]: value });
    }),
    { numRuns: 1000 },
  );
});

test('any text is read or refused, in time', () => {
  const soup = fc
    .array(
      fc.constantFrom(
        '<a',
        '>',
        '</a>',
        '/>',
        ' b="',
        '"',
        '&',
        ';',
        '#',
        '<!--',
        '-->',
        '<![CDATA[',
        ']]>',
        '<?',
        '?>',
        'x',
        '\0',
      ),
    )
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        soup,
        soup.map((one) => `<a>${one}</a>`),
      ),
      (text) => {
        const made = xmlToJson(Buffer.from(text));
        expect(made === null || typeof JSON.parse(made.toString()) === 'object').toBe(true);
      },
    ),
    { numRuns: 2000 },
  );
  const startMs = performance.now();
  for (const text of ['<a ', '&', '<!--', '<a b="', '<?xml ', '&#1', '<a>&#', '"'])
    json(text.repeat(100_000));
  expect(performance.now() - startMs).toBeLessThan(3000);
});
