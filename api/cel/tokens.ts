// Cuts CEL into tokens: numbers, texts with their escapes, names and marks.
import { Wrong, type CelLiteral } from './syntax.ts';

export type Token =
  | { readonly kind: 'literal'; readonly at: number; readonly literal: CelLiteral }
  | { readonly kind: 'name' | 'mark'; readonly at: number; readonly text: string }
  | { readonly kind: 'end'; readonly at: number; readonly text: '' };

/** @throws Wrong */
export function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  for (let at = skip(text, 0); at < text.length;) {
    const [token, end] = tokenAt(text, at);
    tokens.push(token);
    at = skip(text, end);
  }
  tokens.push({ kind: 'end', at: text.length, text: '' });
  return tokens;
}

const blank = /(?:\s|\/\/[^\n]*)*/y;
const opening = /([rRbB]{0,2})("""|'''|"|')/y;
const float = /(?:\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)/y;
const whole = /(?:0[xX][0-9a-fA-F]+|\d+)([uU]?)/y;
const word = /[A-Za-z_]\w*/y;
const mark = /&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,()[\]{}]/y;

function skip(text: string, at: number): number {
  return at + (match(blank, text, at)?.[0].length ?? 0);
}

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/** @returns the token and where it ends */
function tokenAt(text: string, at: number): readonly [Token, number] {
  const quote = match(opening, text, at);
  if (quote !== null) return quotedAt(text, at, quote);
  const number = numberAt(text, at);
  if (number !== null) return number;
  for (const [kind, pattern] of [['name', word] as const, ['mark', mark] as const]) {
    const found = match(pattern, text, at)?.[0];
    if (found !== undefined) return [nameOrLiteral(kind, found, at), at + found.length];
  }
  throw new Wrong(`${JSON.stringify(text[at])} has no meaning here`, at);
}

function nameOrLiteral(kind: 'name' | 'mark', text: string, at: number): Token {
  if (text === 'true' || text === 'false') {
    return { kind: 'literal', at, literal: { type: 'bool', value: text === 'true' } };
  }
  if (text === 'null') return { kind: 'literal', at, literal: { type: 'null', value: null } };
  return { kind, at, text };
}

function numberAt(text: string, at: number): readonly [Token, number] | null {
  const broken = match(float, text, at)?.[0];
  if (broken !== undefined) {
    const literal = { type: 'double', value: Number(broken) } as const;
    return [{ kind: 'literal', at, literal }, at + broken.length];
  }
  const [found, unsigned] = match(whole, text, at) ?? [];
  if (found === undefined) return null;
  const value = Number(unsigned === '' ? found : found.slice(0, -1));
  if (!Number.isSafeInteger(value)) {
    throw new Wrong(`whole numbers go to ${Number.MAX_SAFE_INTEGER} here`, at);
  }
  const literal = { type: unsigned === '' ? 'int' : 'uint', value } as const;
  return [{ kind: 'literal', at, literal }, at + found.length];
}

/** Characters that stand for themselves in a text of one line. */
const longMarks = new Set(['"""', "'''"]);

function quotedAt(text: string, at: number, opened: RegExpExecArray): readonly [Token, number] {
  const [start, prefix = '', quote = ''] = opened;
  const raw = /r/i.test(prefix);
  const bytes = /b/i.test(prefix);
  if (prefix.length === 2 && raw !== bytes) throw new Wrong(`"${prefix}" begins no text`, at);
  const pieces: (string | number)[] = [];
  let i = at + start.length;
  while (!text.startsWith(quote, i)) {
    const char = text[i];
    if (char === undefined || (/[\r\n]/.test(char) && !longMarks.has(quote))) {
      throw new Wrong('the text is not closed', at);
    }
    const [piece, length] = char === '\\' && !raw ? escapeAt(text, i, bytes) : [char, 1];
    pieces.push(piece);
    i += length;
  }
  const literal: CelLiteral = bytes
    ? { type: 'bytes', value: Buffer.concat(pieces.map(bytesOf)) }
    : { type: 'string', value: pieces.join('') };
  return [{ kind: 'literal', at, literal }, i + quote.length];
}

function bytesOf(piece: string | number): Buffer {
  return typeof piece === 'number' ? Buffer.from([piece]) : Buffer.from(piece);
}

const plainEscapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '?': '?',
  '"': '"',
  "'": "'",
  '`': '`',
};
const coded = /\\(?:[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2}))/y;

/** @returns what an escape stands for (a number: one byte), and its length */
function escapeAt(text: string, at: number, bytes: boolean): readonly [string | number, number] {
  const plain = plainEscapes[text[at + 1] ?? ''];
  if (plain !== undefined) return [plain, 2];
  const [found, hex, short, long, octal] = match(coded, text, at) ?? [];
  if (found === undefined) throw new Wrong('the escape is unknown; \\\\ is a backslash', at);
  const one = hex ?? octal;
  const code = octal === undefined ? Number(`0x${hex ?? short ?? long}`) : Number(`0o${octal}`);
  if (bytes && one !== undefined) return [code, found.length];
  if (bytes || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
    throw new Wrong('the escape stands for no character', at);
  }
  return [String.fromCodePoint(code), found.length];
}
