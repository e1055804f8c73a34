// Writes JSON as XML, the other way round as xml-read.ts: `@name` is an attribute, `#text` text, an array elements that repeat.
import { NotXml } from './xml-read.ts';

const depthMax = 100;
const name = /^[A-Za-z_\u00c0-\ufffd][\w.\-:\u00b7\u00c0-\ufffd]*$/;
/** What XML 1.0 has no way to write. */
const unwritable = /[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u;

/** @param rootName of the element around what is not one field of an object. Throws NotXml for names and characters that XML has not */
export function writeXml(value: unknown, rootName: string): string {
  const fields = isObject(value) ? Object.entries(value) : [];
  const [only] = fields;
  const isElement = fields.length === 1 && only !== undefined && !/^[@#]/.test(only[0]);
  const body =
    isElement && !Array.isArray(only[1])
      ? element(only[0], only[1], 1)
      : element(rootName, Array.isArray(value) ? { item: value as unknown[] } : value, 1);
  return `<?xml version="1.0" encoding="UTF-8"?>\n${body}`;
}

function element(own: string, value: unknown, depth: number): string {
  if (!name.test(own)) throw new NotXml(`"${own}" is no name of an element`);
  if (depth > depthMax) throw new NotXml(`it is deeper than ${depthMax} elements`);
  if (value === null || value === '') return `<${own}/>`;
  if (Array.isArray(value)) return element(own, { item: value as unknown[] }, depth);
  if (!isObject(value)) return `<${own}>${escapeText(value)}</${own}>`;
  let attributes = '';
  let inside = '';
  for (const [key, one] of Object.entries(value)) {
    if (key.startsWith('@')) attributes += attribute(key.slice(1), one);
    else if (key === '#text') inside += escapeText(one);
    else if (Array.isArray(one)) {
      for (const each of one as unknown[]) inside += element(key, each, depth + 1);
    } else inside += element(key, one, depth + 1);
  }
  return inside === '' ? `<${own}${attributes}/>` : `<${own}${attributes}>${inside}</${own}>`;
}

function attribute(own: string, value: unknown): string {
  if (!name.test(own)) throw new NotXml(`"${own}" is no name of an attribute`);
  const text = escapeText(value).replaceAll('"', '&quot;');
  return ` ${own}="${text.replaceAll(/[\t\n]/g, (blank) => `&#${blank.charCodeAt(0)};`)}"`;
}

function escapeText(value: unknown): string {
  if (typeof value === 'object' && value !== null) throw new NotXml('text is text only');
  const text = value === null ? '' : `${value as string | boolean}`;
  if (unwritable.test(text)) throw new NotXml('it has a character that XML has not');
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('\r', '&#13;');
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
