// Paths as policies see them: Envoy's normalization, which is Chromium's canonicalization of URL paths.
import type { PathNormalization } from '#api/kinds/mesh-config.ts';

import { hexDigit } from './match/ip.ts';

/** What becomes of a character. */
const pass = 0;
/** Written as %XX. */
const escape = 1;
/** Passed, and also unescaped where it stands as %XX: RFC 3986 unreserved. */
const unreserved = 2;
/** `.`, `%` and `\`, which mean something. */
const special = 3;

const kinds = characterKinds();
const slash = 47;
const backslash = 92;
const percent = 37;
const dot = 46;

/**
 * The form of a path that policies match and the application gets; the same string where nothing changes.
 * The fragment is cut, the query is left alone.
 * @param path origin-form, ASCII
 * @returns null for a path that must be refused: it has %00
 */
export function normalizePath(path: string, normalization: PathNormalization): string | null {
  const fragment = path.indexOf('#');
  const whole = fragment === -1 ? path : path.slice(0, fragment);
  if (normalization === 'NONE') return whole;
  const query = whole.indexOf('?');
  const end = query === -1 ? whole.length : query;
  const merge = normalization === 'MERGE_SLASHES' || normalization === 'DECODE_AND_MERGE_SLASHES';
  if (isNormal(whole, end, merge)) return whole;
  let part = whole.slice(0, end);
  if (normalization === 'DECODE_AND_MERGE_SLASHES') {
    part = part.replaceAll(/%2f/gi, '/').replaceAll(/%5c/gi, '\\');
  }
  const canonical = canonicalize(part);
  if (canonical === null) return null;
  return (merge ? mergeSlashes(canonical) : canonical) + whole.slice(end);
}

/** Envoy leaves two where there is nothing but slashes. */
function mergeSlashes(path: string): string {
  return /^\/{2,}$/.test(path) ? '//' : path.replaceAll(/\/{2,}/g, '/');
}

/** Whether a look at each character shows that nothing can change. May be wrongly false. */
function isNormal(path: string, end: number, merge: boolean): boolean {
  let previous = 0;
  for (let i = 0; i < end; i++) {
    const code = path.charCodeAt(i);
    const kind = kinds[code] ?? escape;
    if (kind === escape) return false;
    if (kind === special && (code !== dot || previous === slash)) return false;
    if (merge && code === slash && previous === slash) return false;
    previous = code;
  }
  return true;
}

/** The output under construction; it begins with a slash, as every path does. */
class Output {
  readonly #codes: number[] = [];
  /** Where a `%` stands that began no escape: text unescaped right behind it must not make one. */
  invalidPercent = -1;

  get length(): number {
    return this.#codes.length;
  }

  push(code: number): void {
    this.#codes.push(code);
  }

  at(index: number): number {
    return this.#codes[index] ?? 0;
  }

  set(index: number, code: number): void {
    this.#codes[index] = code;
  }

  /** Drops everything after `length` characters. */
  cut(length: number): void {
    this.#codes.length = length;
    if (this.invalidPercent >= length) this.invalidPercent = -1;
  }

  /** Drops the last segment, up to the slash before it. */
  backUp(): void {
    let last = this.#codes.length - 1;
    if (last <= 0) return;
    do last--;
    while (last > 0 && this.#codes[last] !== slash);
    this.cut(last + 1);
  }

  toString(): string {
    return Buffer.from(this.#codes).toString('latin1');
  }
}

function canonicalize(path: string): string | null {
  const out = new Output();
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    const kind = kinds[code] ?? escape;
    if (kind === escape) {
      pushEscaped(out, code);
    } else if (kind !== special) {
      out.push(code);
    } else if (code === backslash) {
      out.push(slash);
    } else if (dotLength(path, i) > 0) {
      i = readDot(path, i, out) - 1;
    } else {
      if (isNul(path, i)) return null;
      i = readPercent(path, i, out) - 1;
    }
  }
  return out.toString();
}

/** Handles a dot, which a slash before it can make a directory. @returns where to go on */
function readDot(path: string, at: number, out: Output): number {
  const after = at + dotLength(path, at);
  if (out.at(out.length - 1) !== slash) {
    out.push(dot);
    return after;
  }
  if (endsSegment(path, after)) return after + 1;
  const second = dotLength(path, after);
  if (second > 0 && endsSegment(path, after + second)) {
    out.backUp();
    return after + second + 1;
  }
  out.push(dot);
  return after;
}

/** Handles a percent sign: unescapes unreserved characters once, keeps all else as it is written. */
function readPercent(path: string, at: number, out: Output): number {
  const value = escapedValue(path, at);
  if (value === -1) {
    out.invalidPercent = out.length;
    out.push(percent);
    return at + 1;
  }
  if (kinds[value] !== unreserved) {
    out.push(percent);
    out.push(path.charCodeAt(at + 1));
    out.push(path.charCodeAt(at + 2));
    return at + 3;
  }
  out.push(value);
  if (out.invalidPercent !== -1 && out.invalidPercent >= out.length - 3) {
    protectPercent(path, at + 3, out, value);
  }
  return at + 3;
}

/**
 * A stray `%` followed by what was just unescaped may look like an escape (`%%36%31` would become `%61`).
 * Then the stray one is written as %25, so that nobody behind unescapes a second time.
 */
function protectPercent(path: string, next: number, out: Output, unescaped: number): void {
  const percentAt = out.invalidPercent;
  const length = out.length;
  const needsNext = percentAt === length - 2;
  if (needsNext && (next >= path.length || path.charCodeAt(next) >= 0x80)) return;
  const first = out.at(percentAt + 1);
  const second = needsNext ? path.charCodeAt(next) : out.at(percentAt + 2);
  if (hexDigit(first) === -1 || hexDigit(second) === -1) return;
  out.set(percentAt + 1, 50);
  if (needsNext) out.push(53);
  else out.set(percentAt + 2, 53);
  if (!needsNext) out.push(first);
  out.push(unescaped);
}

/** How many characters a dot takes at a place: `.` one, `%2e` three, anything else none. */
function dotLength(path: string, at: number): number {
  if (path.charCodeAt(at) === dot) return 1;
  return path.charCodeAt(at) === percent && escapedValue(path, at) === dot ? 3 : 0;
}

function endsSegment(path: string, at: number): boolean {
  const code = at < path.length ? path.charCodeAt(at) : slash;
  return code === slash || code === backslash;
}

/** The character that `%XX` stands for; -1 when it is none. */
function escapedValue(path: string, at: number): number {
  if (at + 2 >= path.length) return -1;
  const high = hexDigit(path.charCodeAt(at + 1));
  const low = hexDigit(path.charCodeAt(at + 2));
  return high === -1 || low === -1 ? -1 : high * 16 + low;
}

function isNul(path: string, at: number): boolean {
  return escapedValue(path, at) === 0;
}

function pushEscaped(out: Output, code: number): void {
  const digits = '0123456789ABCDEF';
  out.push(percent);
  out.push(digits.charCodeAt((code >>> 4) & 15));
  out.push(digits.charCodeAt(code & 15));
}

/** The kind of each of the first 128 characters. */
function characterKinds(): Uint8Array {
  const table = new Uint8Array(128).fill(pass);
  for (let code = 0; code < 128; code++) {
    const character = String.fromCharCode(code);
    if (code <= 32 || code === 127 || '"<>^`{|}'.includes(character)) table[code] = escape;
    else if (/[A-Za-z0-9\-_~]/.test(character)) table[code] = unreserved;
    else if ('.%\\'.includes(character)) table[code] = special;
  }
  return table;
}
