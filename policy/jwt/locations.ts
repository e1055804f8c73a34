// Where a request may carry a token, and how it is cut out again: headers, query parameters, cookies.
import type { JwtRule } from '#api/kinds/request-authentication.ts';

import type { RequestFacts } from '../facts.ts';

interface HeaderLocation {
  /** Lower-case. */
  readonly name: string;
  /** Found anywhere in the value; '' = the whole value is the token. */
  readonly prefix: string;
}

/** Each list in the order in which Envoy looks. */
export interface Locations {
  readonly headers: readonly HeaderLocation[];
  readonly parameters: readonly string[];
  readonly cookies: readonly string[];
}

export interface FoundToken {
  readonly text: string;
  readonly in: 'header' | 'parameter' | 'cookie';
  readonly name: string;
}

/** The request as it stands while rules take tokens out and put claims in. */
export interface TokenView {
  values(name: string): readonly string[];
  readonly path: string;
}

/** The places of one rule; any explicit one switches the defaults off. */
export function locationsOf(rule: JwtRule): Locations {
  const headers = rule.fromHeaders ?? [];
  const parameters = rule.fromParams ?? [];
  const cookies = rule.fromCookies ?? [];
  if (headers.length === 0 && parameters.length === 0 && cookies.length === 0) return defaults;
  return {
    headers: unique(headers.map((h) => `${h.name.toLowerCase()}\0${h.prefix}`))
      .map((key): HeaderLocation => {
        const [name = '', prefix = ''] = key.split('\0');
        return { name, prefix };
      })
      .toSorted((a, b) => compare(a.name + a.prefix, b.name + b.prefix)),
    parameters: unique(parameters).toSorted(compare),
    cookies: unique(cookies).toSorted(compare),
  };
}

const defaults: Locations = {
  headers: [{ name: 'authorization', prefix: 'Bearer ' }],
  parameters: ['access_token'],
  cookies: [],
};

/** Every token that the request carries in these places. */
export function findTokens(locations: Locations, view: TokenView): FoundToken[] {
  const found: FoundToken[] = [];
  for (const { name, prefix } of locations.headers) {
    for (const value of headerValues(view, name)) {
      const text = prefix === '' ? value : afterPrefix(value, prefix);
      if (text !== null) found.push({ text, in: 'header', name });
    }
  }
  const query = locations.parameters.length === 0 ? -1 : view.path.indexOf('?');
  if (query !== -1) {
    for (const name of locations.parameters) {
      const text = firstParameter(view.path, query, name);
      if (text !== null) found.push({ text, in: 'parameter', name });
    }
  }
  for (const name of locations.cookies) {
    const text = firstCookie(view.values('cookie'), name);
    if (text !== null) found.push({ text, in: 'cookie', name });
  }
  return found;
}

/**
 * The path without a query parameter. What is left is in alphabetical order and has a `=` each, as Envoy leaves it,
 * but as it was escaped: an unescaped line end would be a request of its own.
 */
export function cutParameter(path: string, name: string): string {
  const query = path.indexOf('?');
  if (query === -1) return path;
  const kept = parametersOf(path, query).filter((p) => unescapePercent(p.name) !== name);
  const text = kept
    .toSorted((a, b) => compare(a.name, b.name))
    .map((p) => `${p.name}=${p.value}`)
    .join('&');
  return path.slice(0, query) + (text === '' ? '' : `?${text}`);
}

/** OPTIONS + Origin + Access-Control-Request-Method: a browser asks before it sends any token. */
export function isPreflight(r: RequestFacts): boolean {
  return (
    r.method === 'OPTIONS' &&
    (r.values('origin')[0] ?? '') !== '' &&
    (r.values('access-control-request-method')[0] ?? '') !== ''
  );
}

// Envoy joins the lines of Authorization into one value, and of no other header that carries tokens.
function headerValues(view: TokenView, name: string): readonly string[] {
  const values = view.values(name);
  return name === 'authorization' && values.length > 1 ? [values.join(',')] : values;
}

const tokenCharacter = /[\w.-]/g;

/** What follows the prefix, from the first character that a token can begin with. */
function afterPrefix(value: string, prefix: string): string | null {
  const at = value.indexOf(prefix);
  if (at === -1) return null;
  const start = at + prefix.length;
  // Every base64url header of a JSON object begins so.
  if (value.startsWith('eyJ', start)) return value.slice(start);
  tokenCharacter.lastIndex = start;
  const first = tokenCharacter.exec(value);
  // Envoy: with nothing like a token behind the prefix the value itself is judged, and fails.
  return first === null ? value : value.slice(first.index);
}

function firstParameter(path: string, query: number, name: string): string | null {
  // Nearly every query: nothing escaped that could spell the name, and the name not in it.
  if (!path.includes(name, query) && !path.includes('%', query)) return null;
  for (const parameter of parametersOf(path, query)) {
    if (unescapePercent(parameter.name) === name) return unescapePercent(parameter.value);
  }
  return null;
}

interface Parameter {
  readonly name: string;
  readonly value: string;
}

function parametersOf(path: string, query: number): Parameter[] {
  const text = path.slice(query + 1);
  if (text === '') return [];
  return text.split('&').map((part) => {
    const equals = part.indexOf('=');
    if (equals === -1) return { name: part, value: '' };
    return { name: part.slice(0, equals), value: part.slice(equals + 1) };
  });
}

function unescapePercent(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([\da-f]{2})/gi, (_, hex: string) =>
    String.fromCodePoint(Number.parseInt(hex, 16)),
  );
}

/** The first cookie of that name; a value in double quotes comes without them (RFC 6265, section 4.1.1). */
function firstCookie(lines: readonly string[], name: string): string | null {
  for (const line of lines) {
    for (const part of line.split(';')) {
      const equals = part.indexOf('=');
      if (equals === -1 || part.slice(0, equals).replace(/^[\t ]+/, '') !== name) continue;
      const value = part.slice(equals + 1);
      return value.length >= 2 && value.startsWith('"') && value.endsWith('"')
        ? value.slice(1, -1)
        : value;
    }
  }
  return null;
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}

/** By bytes, whatever the locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
