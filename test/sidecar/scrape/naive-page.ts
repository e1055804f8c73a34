// A scraper's view of a metrics page, character by character and strict: the other opinion in tests of ours.
import type { PageFormat } from '#sidecar/telemetry/exposition.ts';

/** The names of the samples. @throws Error for what a strict parser of the format refuses */
export function readNaively(page: string, format: PageFormat): string[] {
  const lines = page.split('\n');
  if (lines.pop() !== '') throw new Error('the last line does not end');
  if (format === 'openmetrics' && lines.pop() !== '# EOF') throw new Error('no # EOF');
  const sampled: string[] = [];
  const described = new Set<string>();
  for (const line of lines) {
    if (line.startsWith('#')) {
      const [, keyword, name = ''] = line.split(/[ \t]+/);
      if (!['HELP', 'TYPE', 'UNIT'].includes(keyword ?? '')) throw new Error(`comment: ${line}`);
      if (described.has(`${keyword} ${name}`)) throw new Error(`twice: ${line}`);
      if (sampled.includes(name)) throw new Error(`after its samples: ${line}`);
      described.add(`${keyword} ${name}`);
    } else if (line.trim() !== '') {
      sampled.push(new Sample(line).read());
    } else if (format === 'openmetrics') {
      throw new Error('empty line');
    }
  }
  return sampled;
}

class Sample {
  readonly #line: string;
  #at = 0;

  constructor(line: string) {
    this.#line = line;
  }

  read(): string {
    this.#blanks();
    let name = this.#while(/[a-zA-Z0-9_:]/);
    this.#blanks();
    if (this.#line[this.#at] === '{') name = this.#labels() ?? name;
    else if (!/\s/.test(this.#line[this.#at - 1] ?? '')) this.#wrong();
    if (name === '' || /^\d/.test(name)) this.#wrong();
    const rest =
      this.#line
        .slice(this.#at)
        .split(' # ')[0]
        ?.trim()
        .split(/[ \t]+/) ?? [];
    const [value = '', timestamp = '0', ...more] = rest;
    const known = /^[+-]?(inf|infinity|nan)$/i.test(value) || /^[+-]?0x.*p/i.test(value);
    if (value === '' || !(known || Number.isFinite(Number(value)))) this.#wrong();
    if (!Number.isFinite(Number(timestamp)) || more.length > 0) this.#wrong();
    return name;
  }

  /** The name, where it stands in the braces. */
  #labels(): string | null {
    let name: string | null = null;
    this.#at += 1;
    for (;;) {
      this.#blanks();
      const next = this.#line[this.#at];
      if (next === '}') break;
      const label = next === '"' ? this.#quoted() : this.#while(/[a-zA-Z0-9_]/);
      this.#blanks();
      if (this.#line[this.#at] === '=') {
        this.#at += 1;
        this.#blanks();
        this.#quoted();
      } else if (next === '"' && name === null) name = label;
      else this.#wrong();
      this.#blanks();
      if (this.#line[this.#at] === ',') this.#at += 1;
      else if (this.#line[this.#at] !== '}') this.#wrong();
    }
    this.#at += 1;
    return name;
  }

  #quoted(): string {
    const from = this.#at + 1;
    if (this.#line[this.#at] !== '"') this.#wrong();
    this.#at = from;
    while (this.#line[this.#at] !== '"') {
      if (this.#at >= this.#line.length) this.#wrong();
      this.#at += this.#line[this.#at] === '\\' ? 2 : 1;
    }
    this.#at += 1;
    return this.#line.slice(from, this.#at - 1);
  }

  #blanks(): void {
    this.#while(/[ \t]/);
  }

  #while(wanted: RegExp): string {
    const from = this.#at;
    while (wanted.test(this.#line[this.#at] ?? '')) this.#at += 1;
    return this.#line.slice(from, this.#at);
  }

  #wrong(): never {
    throw new Error(`at ${this.#at}: ${this.#line}`);
  }
}
