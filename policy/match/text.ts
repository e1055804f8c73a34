// Istio's wildcards in plain text values: `*`, `abc*`, `*abc`, and everything else literal.
import { TextTree } from './text-tree.ts';

/** `any`: present (and, for most fields, not empty). */
type TextForm = 'any' | 'exact' | 'prefix' | 'suffix';

export interface TextPattern {
  readonly form: TextForm;
  /** Without the wildcard; '' for `any`. */
  readonly text: string;
}

/** Reads one value. A leading `*` wins and makes the rest literal: `*mid*` is the suffix `mid*`. */
export function readPattern(value: string): TextPattern {
  if (value === '*') return { form: 'any', text: '' };
  if (value.startsWith('*')) return { form: 'suffix', text: value.slice(1) };
  if (value.endsWith('*')) return { form: 'prefix', text: value.slice(0, -1) };
  return { form: 'exact', text: value };
}

export interface TextSetOptions {
  /** ASCII letters compare equal in either case: hosts. */
  readonly fold?: boolean;
  /** `*` is met by an empty text too: headers, methods and hosts, where it means presence. */
  readonly emptyIsPresent?: boolean;
}

/** Up to so many patterns a plain loop is faster than a tree. */
const loopMax = 6;

/** Several patterns, any of which may match. */
export class TextSet {
  readonly #any: boolean;
  readonly #emptyIsPresent: boolean;
  readonly #patterns: readonly TextPattern[];
  readonly #forward: TextTree<true> | null = null;
  readonly #backward: TextTree<true> | null = null;

  constructor(patterns: readonly TextPattern[], options: TextSetOptions = {}) {
    const fold = options.fold === true;
    this.#any = patterns.some((pattern) => pattern.form === 'any');
    this.#emptyIsPresent = options.emptyIsPresent === true;
    this.#patterns = patterns.filter((pattern) => pattern.form !== 'any');
    if (!fold && this.#patterns.length <= loopMax) return;
    this.#forward = new TextTree<true>({ fold });
    this.#backward = new TextTree<true>({ fold, backward: true });
    for (const { form, text } of this.#patterns) {
      const tree = form === 'suffix' ? this.#backward : this.#forward;
      tree.insert(fold ? lowerAscii(text) : text, form === 'exact' ? 'exact' : 'open', true);
    }
  }

  /** Whether a pattern matches the first `end` characters. */
  matches(text: string, end: number = text.length): boolean {
    if (this.#any && (end > 0 || this.#emptyIsPresent)) return true;
    if (this.#forward !== null && this.#backward !== null) {
      return this.#forward.has(text, 0, end) || this.#backward.has(text, 0, end);
    }
    for (const pattern of this.#patterns) if (matchesPattern(pattern, text, end)) return true;
    return false;
  }
}

function matchesPattern(pattern: TextPattern, text: string, end: number): boolean {
  const wanted = pattern.text;
  if (wanted.length > end) return false;
  if (pattern.form === 'suffix') return text.endsWith(wanted, end);
  if (pattern.form === 'exact' && wanted.length !== end) return false;
  return text.startsWith(wanted);
}

/** Lower case of ASCII letters only, as RFC 9110 section 4.2.3 has it for hosts. */
export function lowerAscii(text: string): string {
  return text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
