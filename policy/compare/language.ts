// Which texts a field of a call can hold at all: paths are normal, names of services and accounts are Kubernetes's.
import type { PathNormalization } from '#api/kinds/mesh-config.ts';

import { literal, many, one, type Shape } from './shape.ts';
import { Positions } from './positions.ts';

/** Reads a text character by character. */
export interface Language {
  readonly start: string;
  /** Null: no text of the language goes on so. */
  next(state: string, char: string): string | null;
  ends(state: string): boolean;
  /** Characters that it names itself. */
  waits?(state: string): Iterable<string>;
  /** For each class of characters that it or a pattern tells apart: some of them, the most readable first. */
  readonly classes: readonly string[];
}

/** Those that are no hexadecimal digits first: behind a percent sign of a path not all digits may stand. */
const letters = 'xyzghijklmnopqrstuvwabcdef0123456789';

/** Claims: whatever text. */
export const anyText: Language = {
  start: '',
  next: () => '',
  ends: () => true,
  classes: [`${letters}ABCDEFGHIJKLMNOPQRSTUVWXYZ-_~`],
};

/** Values of headers: no blanks around them, bytes as latin-1. */
export const headerText: Language = {
  start: 'empty',
  next(state, char) {
    if (char === ' ' || char === '\t') return state === 'empty' ? null : 'blank';
    return char >= ' ' && char !== '\u007F' && char <= '\u00FF' ? 'text' : null;
  },
  ends: (state) => state !== 'blank',
  classes: [`${letters}ABCDEFGHIJKLMNOPQRSTUVWXYZ-_~`],
};

/** What Host says: characters that can be seen. */
export const hostText: Language = {
  start: '',
  next: (_, char) => (char > ' ' && char <= '~' ? '' : null),
  ends: () => true,
  classes: [`${letters}-.:_~`],
};

/** Server names come in lower case. */
export const serverNameText: Language = {
  ...hostText,
  next: (_, char) => (char > ' ' && char <= '~' && !/[A-Z]/.test(char) ? '' : null),
};

/** SPIFFE IDs that the mesh's CA gives: `spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT`, names as Kubernetes allows them. */
export function identityText(domains: readonly string[]): Language {
  const shapes = domains.flatMap((domain) =>
    nameShapes(/[a-z0-9-]/).flatMap((namespace) =>
      nameShapes(/[a-z0-9.-]/).map((account) => [
        ...literal(`spiffe://${domain}/ns/`),
        ...namespace,
        ...literal('/sa/'),
        ...account,
      ]),
    ),
  );
  const positions = new Positions(shapes);
  const known = new Map([['', positions.start]]);
  return {
    start: '',
    next(state, char) {
      const at = positions.next(known.get(state) ?? positions.start, char);
      if (at.length === 0) return null;
      const key = at.join(' ');
      known.set(key, at);
      return key;
    },
    ends: (state) => positions.met(known.get(state) ?? []).length > 0,
    waits: (state) => positions.named(known.get(state) ?? []),
    classes: [letters, '-', '.'],
  };
}

/** @param inner characters that neither begin nor end a name */
function nameShapes(inner: RegExp): Shape[] {
  return [
    [one(alphanumeric)],
    [one(alphanumeric), many((char) => inner.test(char)), one(alphanumeric)],
  ];
}

function alphanumeric(char: string): boolean {
  return /[a-z0-9]/.test(char);
}

/**
 * Paths as policies see them, without the query: what normalization leaves as it is.
 * A state is where in a segment the text is (`^` before the first slash, `1` behind it, `/` behind another, `.` and `:`
 * after one and two dots, `w` in all else, `=` in the path `//`), then what of an escape was read.
 */
export function pathText(normalization: PathNormalization): Language {
  const free = normalization === 'NONE';
  const merges = normalization.includes('MERGE');
  const decodes = normalization === 'DECODE_AND_MERGE_SLASHES';
  const mayEscape = (escape: string, char: string): boolean => {
    const value = Number.parseInt(escape.slice(1) + char, 16);
    const isPlain = value < 128 && /[A-Za-z0-9\-_~.\0]/.test(String.fromCodePoint(value));
    return !isPlain && !(decodes && (value === 0x2f || value === 0x5c));
  };
  return {
    start: '^',
    next(state, char) {
      if (char <= ' ' || char > '~' || char === '?' || char === '#') return null;
      if (free) return state !== '^' || char === '/' ? 'w' : null;
      if (/["<>^`{|}\\]/.test(char)) return null;
      const escape = state.slice(1);
      let read = '';
      if (escape !== '' && /[\da-f]/i.test(char)) {
        if (escape.length === 2 && !mayEscape(escape, char)) return null;
        read = escape.length === 1 ? escape + char : '';
      }
      if (char === '%') read = '%';
      const segment = nextSegment(state.charAt(0), char, merges);
      return segment === null ? null : segment + read;
    },
    ends: (state) => !/^[\^.:]/.test(state),
    classes: [`xyzghijklmnopqrstuvw-_~!$&'()*+,;=@GHIJKLMNOPQRSTUVWXYZ${letters}ABCDEF`, '/', '[]'],
  };
}

function nextSegment(segment: string, char: string, merges: boolean): string | null {
  switch (segment) {
    case '^':
      return char === '/' ? '1' : null;
    case '=':
      return null;
    case '1':
    case '/':
      if (char === '/' && merges) return segment === '1' ? '=' : null;
      return char === '/' ? '/' : char === '.' ? '.' : 'w';
    case '.':
      return char === '/' ? null : char === '.' ? ':' : 'w';
    case ':':
      return char === '/' ? null : 'w';
    default:
      return char === '/' ? '/' : 'w';
  }
}
