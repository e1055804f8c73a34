// Patterns of policies as rows of characters, some repeated: a form that every kind of pattern has in common.
import type { TextPattern } from '../match/text.ts';

/** What may stand at one place: one of `chars`, or whatever `has` says. */
export type CharSet = { readonly chars: string } | { readonly has: (char: string) => boolean };

export interface Place {
  readonly set: CharSet;
  /** Any number of times, also none. */
  readonly repeated: boolean;
}

/** The texts that a pattern means, place by place. */
export type Shape = readonly Place[];

const anything: CharSet = { has: () => true };
const unlessSlash: CharSet = { has: (char) => char !== '/' };
const anySegmentChar: CharSet = { has: (char) => segmentChar.test(char) };
const anyPathChar: CharSet = { has: (char) => char === '/' || segmentChar.test(char) };
/** RFC 3986 pchar, as templates have it. */
const segmentChar = /[A-Za-z0-9\-._~%!$&'()*+,;:@=]/;

/** Any text. */
export const rest: Shape = [{ set: anything, repeated: true }];
/** Any text without a slash. */
export const restOfSegment: Shape = [{ set: unlessSlash, repeated: true }];
const something: Shape = [{ set: anything, repeated: false }, ...rest];

/** @param fold letters in either case */
export function literal(text: string, fold = false): Shape {
  return Array.from(text, (char) => {
    const chars = fold ? [...new Set([char.toLowerCase(), char.toUpperCase()])].join('') : char;
    return { set: { chars }, repeated: false };
  });
}

/** One of a class, once. */
export function one(has: (char: string) => boolean): Place {
  return { set: { has }, repeated: false };
}

/** Any number of a class. */
export function many(has: (char: string) => boolean): Place {
  return { set: { has }, repeated: true };
}

export function shapeOf({ form, text }: TextPattern, fold = false): Shape {
  switch (form) {
    case 'any':
      return something;
    case 'prefix':
      return [...literal(text, fold), ...rest];
    case 'suffix':
      return [...rest, ...literal(text, fold)];
    default:
      return literal(text, fold);
  }
}

/** Parts with something between them. */
export function joined(parts: readonly string[], between: Shape): Shape {
  return parts.flatMap((part, i) => (i === 0 ? literal(part) : [...between, ...literal(part)]));
}

/** A path template; null for what only a policy has that no webhook saw: `*` within a literal. */
export function templateShape(value: string): Shape | null {
  const plain = value.replaceAll('{**}', '**').replaceAll('{*}', '*');
  const shape: Place[] = [];
  for (const segment of plain.split('/').slice(1)) {
    shape.push(...literal('/'));
    if (segment === '**') shape.push({ set: anyPathChar, repeated: true });
    else if (segment === '*') {
      shape.push({ set: anySegmentChar, repeated: false }, { set: anySegmentChar, repeated: true });
    } else if (segment.includes('*')) return null;
    else shape.push(...literal(segment));
  }
  return shape;
}
