// The head of an answer that is kept, or made here: layers edit it as one that has just come.
import type { ResponseView } from './exchange.ts';
import { fieldText } from './routing/wire-text.ts';
import { isKnown } from './wire/names.ts';

type Line = readonly [name: string, value: string];

const none: readonly string[] = Object.freeze([]);
const token = /^[\w!#$%&'*+.^`|~-]+$/;

/** The lines of a head, names in lower case. */
export function lowerLines(head: { lines(): readonly Line[] }): readonly Line[] {
  return head.lines().map(([name, value]) => [name.toLowerCase(), value]);
}

export class StoredHead implements ResponseView {
  readonly status: number;
  #lines: Line[];

  /** @param lines names in lower case; those of framing and connection are left out */
  constructor(status: number, lines: readonly Line[]) {
    this.status = status;
    this.#lines = lines.filter(([name]) => !isKnown(name) && name !== 'trailer');
  }

  /** What it takes in memory, about. */
  get bytes(): number {
    return this.#lines.reduce(
      (sum, [name, value]) => sum + 2 * (name.length + value.length) + 64,
      0,
    );
  }

  copy(status = this.status): StoredHead {
    return new StoredHead(status, this.#lines);
  }

  values(name: string): readonly string[] {
    const found = this.#lines.filter((line) => line[0] === name);
    return found.length === 0 ? none : found.map(([, value]) => value);
  }

  remove(name: string): void {
    this.#lines = this.#lines.filter((line) => line[0] !== name);
  }

  append(name: string, value: string): void {
    if (!isKnown(name) && token.test(name)) this.#lines.push([name, value]);
  }

  lines(): readonly Line[] {
    return this.#lines;
  }

  /** Lines `name: value\r\n`, as `reply` takes them. */
  text(): string {
    let text = '';
    for (const [name, value] of this.#lines) text += `${name}: ${fieldText(value)}\r\n`;
    return text;
  }
}
