// Bytes of the wire as text that editors and Git leave alone: escapes say what is sent, line breaks are layout.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One case of a file. */
export interface WireCase {
  /** Of its `==` line, or of its file. */
  readonly name: string;
  readonly file: string;
  readonly bytes: Buffer;
}

const escape = /\\(?:r|n|t|0|\\|x[\da-f]{2})|\\(.?)/gis;
const codes: Readonly<Record<string, string>> = {
  r: '\r',
  n: '\n',
  t: '\t',
  '0': '\0',
  '\\': '\\',
};
const names: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(codes).map(([name, character]) => [character, `\\${name}`]),
);

/** @throws an unknown escape */
export function bytesOf(text: string): Buffer {
  const plain = text.replaceAll('\n', '').replaceAll(escape, (found, wrong?: string) => {
    if (wrong !== undefined) throw new Error(`unknown escape ${found}`);
    const code = found[1]!;
    return codes[code] ?? String.fromCharCode(Number.parseInt(found.slice(2), 16));
  });
  return Buffer.from(plain, 'latin1');
}

/** The reverse, with a line break after each LF. */
export function textOf(bytes: Buffer): string {
  const escaped = bytes
    .toString('latin1')
    .replaceAll(/[^\x20-\x5b\x5d-\x7e]/g, (character) => names[character] ?? hex(character));
  // A line that looks like a comment or a title must not be read as one.
  return escaped.replaceAll('\\n', '\\n\n').replaceAll(/^[#=]/gm, hex);
}

function hex(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

/** The cases of a file: each after a line `== name`, or one without; lines with `#` are comments. */
export function casesIn(text: string, file: string): WireCase[] {
  const cases: { name: string; lines: string[] }[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) continue;
    if (line.startsWith('== ')) cases.push({ name: line.slice(3), lines: [] });
    else if (line !== '') {
      if (cases.length === 0) cases.push({ name: file, lines: [] });
      cases.at(-1)!.lines.push(line);
    }
  }
  return cases.map(({ name, lines }) => ({ name, file, bytes: bytesOf(lines.join('')) }));
}

/** Every case of a folder beside this file, by file name. */
export function casesOf(folder: 'seeds' | 'corpus' | 'found'): WireCase[] {
  const path = join(import.meta.dirname, folder);
  return readdirSync(path)
    .filter((name) => name.endsWith('.txt'))
    .toSorted()
    .flatMap((name) => casesIn(readFileSync(join(path, name), 'utf8'), name.slice(0, -4)));
}
