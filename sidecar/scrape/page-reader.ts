// Reads another program's metrics page while it comes, and keeps only what leaves a page that ours is put before valid.
import type { PageFormat } from '../telemetry/exposition.ts';

/** The message completes the sentence "the page …". */
export class PageError extends Error {
  override readonly name = 'PageError';
}

/** Longer than any line that a person has looked at; what is not a page at all ends here. */
export const lineLengthMax = 64 * 1024;

/**
 * Prometheus throws a whole page away for one wrong line, and ours with it, so each line is looked at. Work is done
 * piece by piece: the thread carries traffic too.
 */
export class PageReader {
  readonly #format: PageFormat;
  readonly #taken: ReadonlySet<string>;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  /** A name is described once, and before its samples. */
  readonly #described = new Set<string>();
  readonly #sampled = new Set<string>();
  readonly #kept: string[] = [];
  #begun = '';
  #line = 0;
  #ended = false;

  /** @param taken families of our own page, by `familyOf`: a name that is there twice is wrong, and ours stays */
  constructor(format: PageFormat, taken: ReadonlySet<string> = new Set()) {
    this.#format = format;
    this.#taken = taken;
  }

  /** @throws PageError */
  push(bytes: Uint8Array): void {
    this.#read(this.#decode(bytes, true));
  }

  /** The lines to put after ours; without `# EOF`. @throws PageError */
  end(): string {
    this.#read(this.#decode(new Uint8Array(), false));
    if (this.#begun !== '') this.#read('\n');
    if (this.#format === 'openmetrics' && !this.#ended) {
      throw new PageError('ends without # EOF: it is not whole');
    }
    return this.#kept.join('');
  }

  #decode(bytes: Uint8Array, stream: boolean): string {
    try {
      return this.#decoder.decode(bytes, { stream });
    } catch {
      throw new PageError(`has bytes that are no UTF-8 after line ${this.#line}`);
    }
  }

  #read(text: string): void {
    const lines = (this.#begun + text).split('\n');
    this.#begun = lines.pop() ?? '';
    if (this.#begun.length > lineLengthMax) this.#refuse('is followed by one that is too long');
    let kept = '';
    for (const line of lines) {
      this.#line += 1;
      if (line.length > lineLengthMax) this.#refuse('is too long');
      if (this.#keeps(line)) kept += `${line}\n`;
    }
    if (kept !== '') this.#kept.push(kept);
  }

  #keeps(line: string): boolean {
    if (this.#format === 'openmetrics') {
      if (this.#ended) this.#refuse('comes after # EOF');
      if (line === '# EOF') {
        this.#ended = true;
        return false;
      }
    } else if (/^[ \t]*$/.test(line)) {
      return false;
    }
    return line.startsWith('#') ? this.#keepsDescription(line) : this.#keepsSample(line);
  }

  #keepsDescription(line: string): boolean {
    const strict = this.#format === 'openmetrics';
    const [, keyword, quotedOrName, rest = ''] = descriptions[this.#format].exec(line) ?? [];
    if (keyword === undefined || quotedOrName === undefined) {
      // A comment in the text format; OpenMetrics has none.
      if (strict || unfinished.test(line)) this.#refuse('is no HELP, TYPE or UNIT');
      return false;
    }
    if (keyword === 'TYPE' && !types[this.#format].test(rest)) this.#refuse('has no such type');
    const name = unquoted(quotedOrName);
    const key = `${keyword} ${name}`;
    const known = this.#described.has(key) || this.#sampled.has(name);
    this.#described.add(key);
    return !known && !this.#taken.has(familyOf(name));
  }

  #keepsSample(line: string): boolean {
    const found = samples[this.#format].exec(line)?.groups;
    const { value = '', exemplar = '0' } = found ?? {};
    if (found === undefined || !number.test(value) || !number.test(exemplar)) {
      this.#refuse('is no sample');
    }
    const name = found['name'] ?? unquoted(found['quoted'] ?? '');
    if (this.#taken.has(familyOf(name))) return false;
    this.#sampled.add(name);
    return true;
  }

  #refuse(why: string): never {
    throw new PageError(`cannot be read: line ${this.#line} ${why}`);
  }
}

/** `istio_requests` of `istio_requests_total`: one name in both formats. */
export function familyOf(sample: string): string {
  return sample.replace(/_(?:total|bucket|count|sum|created|info)$/, '');
}

function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1) : name;
}

// Each part is unambiguous about where it ends, so that no line takes more than time in its length.
const metric = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const quoted = '"(?:[^"\\\\]|\\\\.)*"';
const labelName = `(?:[a-zA-Z_][a-zA-Z0-9_]*|${quoted})`;

/** @param s white space that may stand between any two words */
function labelsOf(s: string): { labels: string; named: string } {
  const label = `${s}${labelName}${s}=${s}${quoted}${s}`;
  const more = `(?:,${label})*(?:,${s})?`;
  return {
    labels: `\\{(?:${s}|${label}${more})\\}`,
    // Names beyond ASCII stand in the braces, as those of Prometheus 3 may.
    named: `\\{${s}(?<quoted>${quoted})${s}${more}\\}`,
  };
}

const blanks = '[ \\t]*';
const loose = labelsOf(blanks);
const exact = labelsOf('');

const samples: Readonly<Record<PageFormat, RegExp>> = {
  text: new RegExp(
    `^${blanks}(?:(?<name>${metric})(?:${blanks}${loose.labels}${blanks}|[ \\t]+)|` +
      `${loose.named}${blanks})(?<value>[^\\s{]+)(?:[ \\t]+-?\\d+)?${blanks}$`,
  ),
  openmetrics: new RegExp(
    `^(?:(?<name>${metric})(?:${exact.labels})?|${exact.named}) (?<value>[^\\s{]+)(?: -?[\\d.]+)?` +
      `(?: # ${exact.labels} (?<exemplar>[^\\s{]+)(?: -?[\\d.]+)?)?$`,
  ),
};

const described = `(${metric}|${quoted})`;
const descriptions: Readonly<Record<PageFormat, RegExp>> = {
  text: new RegExp(`^#[ \\t]+(HELP|TYPE)[ \\t]+${described}(?:[ \\t]+(.*))?$`, 's'),
  openmetrics: new RegExp(`^# (HELP|TYPE|UNIT) ${described} (.*)$`, 's'),
};
/** What a parser takes for the beginning of a description, where it is none. */
const unfinished = /^#[ \t]+(?:HELP|TYPE)(?:[ \t]|$)/;

const types: Readonly<Record<PageFormat, RegExp>> = {
  text: /^(?:counter|gauge|histogram|summary|untyped|unknown)[ \t]*$/,
  openmetrics: /^(?:counter|gauge|histogram|gaugehistogram|summary|stateset|info|unknown)$/,
};

/** What Go's ParseFloat takes. */
const number =
  /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf|infinity|nan|0x[\da-f]+\.?[\da-f]*p[+-]?\d+)$/i;
