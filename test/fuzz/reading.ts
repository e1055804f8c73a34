// What somebody makes of a connection's bytes, in one form, so that two readers can be compared.

export interface FuzzReading {
  readonly method: string;
  readonly target: string;
  readonly minor: number;
  /** Name in lower case, value as UTF-8. */
  readonly lines: [name: string, value: string][];
  body: string;
  readonly trailers: [name: string, value: string][];
  readonly upgrade: boolean;
}

export interface FuzzReadings {
  readonly requests: FuzzReading[];
  /** `whole`: nothing is left over; `more`: a request is incomplete; `upgrade`, `close`: read no further; else an error. */
  end: string;
}

export function emptyReadings(): FuzzReadings {
  return { requests: [], end: 'whole' };
}

/** A difference between two readers, and the bytes that show it. */
export interface Difference {
  readonly target: string;
  /** What differs, the same for all of its kind. */
  readonly kind: string;
  readonly detail: string;
  readonly bytes: Buffer;
  readonly seed: number;
}

const hopNames: ReadonlySet<string> = new Set(
  'connection keep-alive proxy-connection upgrade te'.split(' '),
);

/** The part of the lines that means the same on each hop: what a `Connection` line names is left out. */
export function endToEnd(lines: readonly (readonly [string, string])[]): string {
  const named = lines
    .filter(([name]) => name === 'connection')
    .flatMap(([, value]) => value.toLowerCase().split(','))
    .map((name) => name.trim())
    .filter((name) => name !== 'close');
  return lines
    .filter(([name]) => !hopNames.has(name) && !named.includes(name))
    .map(([name, value]) => `${name}: ${trimmed(value)}`)
    .join('\n');
}

export function trimmed(value: string): string {
  return value.replace(/^[ \t]+|[ \t]+$/g, '');
}

/** What differs between two readings of one request; '' if nothing. */
export function compareRequests(ours: FuzzReading, theirs: FuzzReading): string {
  if (ours.method !== theirs.method) return 'method';
  if (ours.target !== theirs.target) return 'target';
  if (ours.minor !== theirs.minor) return 'version';
  if (ours.body !== theirs.body) return 'body';
  if (endToEnd(ours.lines) !== endToEnd(theirs.lines)) return 'headers';
  return endToEnd(ours.trailers) === endToEnd(theirs.trailers) ? '' : 'trailers';
}

/** Bytes as latin-1 text, read as UTF-8. */
export function utf8Text(latin1: string): string {
  return /[\x80-\xff]/.test(latin1) ? Buffer.from(latin1, 'latin1').toString('utf8') : latin1;
}
