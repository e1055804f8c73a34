import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { html, pathOf, queryOf } from '#cli/dashboard/html.ts';

test('what is put in is escaped, what was made by a template is not', () => {
  expect(html`<b title="${'"><script>'}">${html`<i>${"a & 'b'"}</i>`}</b>`.text).toBe(
    '<b title="&quot;&gt;&lt;script&gt;"><i>a &amp; &#39;b&#39;</i></b>',
  );
});

test('nothing, false and lists read as one expects; zero is shown', () => {
  expect(html`<p>${null}${undefined}${false}${0}${['a', html`<i>b</i>`]}</p>`.text).toBe(
    '<p>0a<i>b</i></p>',
  );
});

test('no text can leave its place', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const { text: made } = html`<p title="${text}">${text}</p>`;
      const [, attribute = '', content = ''] =
        /^<p title="([^"<>]*)">([^<>]*)<\/p>$/s.exec(made) ?? [];
      expect(unescaped(attribute)).toBe(text);
      expect(unescaped(content)).toBe(text);
    }),
  );
});

test('a name is one segment of a path, whatever is in it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (a, b) => {
      const { pathname } = new URL(pathOf('w', a, b), 'http://here');
      const names = pathname.slice(1).split('/').map(decodeURIComponent);
      expect(names).toHaveLength(3);
      expect(names[1]).toBe(/^\.\.?$/.test(a) ? `${a}~` : a);
    }),
  );
});

test('a query has only what says something', () => {
  expect(queryOf({ a: '1&2', b: '' })).toBe('?a=1%262');
  expect(queryOf({ a: '' })).toBe('');
});

function unescaped(text: string): string {
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&');
}
