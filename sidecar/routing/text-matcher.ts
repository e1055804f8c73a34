// Text matches of routes, compiled: nothing is allocated for a text but by regular expressions of a part of it.
import type { SegmentsMatch, TextMatch } from '#api/traffic/route.ts';
import { lowerAscii } from '#policy/match/text.ts';

import type { Regex, RegexFactory } from './regex.ts';

export interface TextMatcher {
  /** Whether the first `end` characters match. */
  matches(text: string, end: number): boolean;
}

export function compileText(match: TextMatch | SegmentsMatch, regexes: RegexFactory): TextMatcher {
  if (match.kind === 'regex') return new RegexText(regexes.whole(match.value));
  if (match.kind === 'segments') return new SegmentsText(withoutFinalSlash(match.value));
  const whole = match.kind === 'exact';
  if (match.ignoreCase === true) return new FoldedText(lowerAscii(match.value), whole);
  return whole ? new ExactText(match.value) : new PrefixText(match.value);
}

/** `/a/` and `/a` are the same prefix by segments, and so are `/` and none. */
export function withoutFinalSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path;
}

class ExactText implements TextMatcher {
  private readonly value: string;

  constructor(value: string) {
    this.value = value;
  }

  matches(text: string, end: number): boolean {
    return end === this.value.length && text.startsWith(this.value);
  }
}

class PrefixText implements TextMatcher {
  private readonly value: string;

  constructor(value: string) {
    this.value = value;
  }

  matches(text: string, end: number): boolean {
    return end >= this.value.length && text.startsWith(this.value);
  }
}

class SegmentsText implements TextMatcher {
  private readonly value: string;

  constructor(value: string) {
    this.value = value;
  }

  matches(text: string, end: number): boolean {
    const { length } = this.value;
    if (end < length || !text.startsWith(this.value)) return false;
    return end === length || text.charCodeAt(length) === slash;
  }
}

/** ASCII letters are equal in either case, as in Envoy. */
class FoldedText implements TextMatcher {
  /** Lower-case. */
  private readonly value: string;
  private readonly whole: boolean;

  constructor(value: string, whole: boolean) {
    this.value = value;
    this.whole = whole;
  }

  matches(text: string, end: number): boolean {
    const { value } = this;
    if (this.whole ? end !== value.length : end < value.length) return false;
    for (let i = 0; i < value.length; i++) {
      const code = text.charCodeAt(i);
      const folded = code >= upperA && code <= upperZ ? code + 32 : code;
      if (folded !== value.charCodeAt(i)) return false;
    }
    return true;
  }
}

class RegexText implements TextMatcher {
  private readonly regex: Regex;

  constructor(regex: Regex) {
    this.regex = regex;
  }

  matches(text: string, end: number): boolean {
    return this.regex.matches(end === text.length ? text : text.slice(0, end));
  }
}

const slash = 47;
const upperA = 65;
const upperZ = 90;
