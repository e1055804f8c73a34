// Where a request may carry an API key, and how it is cut out again: headers, query parameters, cookies.
import type { ApiKeyPlace } from '#api/kinds/api-key-authentication.ts';

/** A request as it stands while keys are taken out of it. */
export interface KeyView {
  values(name: string): readonly string[];
  path: string;
  /** @param names lower-case */
  cut(names: readonly string[]): void;
  add(lines: readonly (readonly [name: string, value: string])[]): void;
}

export interface KeyPlace {
  /** All keys in it, as sent. */
  find(request: Pick<KeyView, 'values' | 'path'>): readonly string[];
  cut(request: KeyView): void;
}

const nothing: readonly string[] = Object.freeze([]);

export function compilePlace({ header, prefix, query, cookie }: ApiKeyPlace): KeyPlace {
  if (header !== undefined) return headerPlace(header.toLowerCase(), prefix ?? '');
  if (query !== undefined) return queryPlace(query);
  return cookiePlace(cookie ?? '');
}

function headerPlace(name: string, prefix: string): KeyPlace {
  const start = prefix.toLowerCase();
  return {
    find(request) {
      const values = request.values(name);
      if (values.length === 0 || start === '') return values;
      return values
        .filter((value) => value.slice(0, start.length).toLowerCase() === start)
        .map((value) => value.slice(start.length).trim());
    },
    cut: (request) => request.cut([name]),
  };
}

function queryPlace(name: string): KeyPlace {
  return {
    find({ path }) {
      const at = path.indexOf('?');
      if (at === -1) return nothing;
      return parametersOf(path, at)
        .filter((one) => nameOf(one) === name)
        .map((one) => unescapePercent(one.slice(one.indexOf('=') + 1)));
    },
    cut(request) {
      const { path } = request;
      const at = path.indexOf('?');
      if (at === -1) return;
      const all = parametersOf(path, at);
      const kept = all.filter((one) => nameOf(one) !== name);
      if (kept.length === all.length) return;
      const rest = kept.length === 0 ? '' : `?${kept.join('&')}`;
      request.path = path.slice(0, at) + rest;
    },
  };
}

function cookiePlace(name: string): KeyPlace {
  return {
    find(request) {
      const lines = request.values('cookie');
      if (lines.length === 0) return nothing;
      return lines
        .flatMap((line) => line.split(';'))
        .filter((pair) => cookieName(pair) === name)
        .map((pair) => unquoted(pair.slice(pair.indexOf('=') + 1).trim()));
    },
    cut(request) {
      const lines = request.values('cookie');
      if (!lines.some((line) => line.split(';').some((pair) => cookieName(pair) === name))) return;
      const kept = lines
        .flatMap((line) => line.split(';'))
        .filter((pair) => cookieName(pair) !== name)
        .map((pair) => pair.trim())
        .filter((pair) => pair !== '');
      request.cut(['cookie']);
      if (kept.length > 0) request.add([['cookie', kept.join('; ')]]);
    },
  };
}

function parametersOf(path: string, query: number): string[] {
  return path.slice(query + 1).split('&');
}

/** A parameter without `=` has no value, so it is no key. */
function nameOf(parameter: string): string | null {
  const equals = parameter.indexOf('=');
  return equals === -1 ? null : unescapePercent(parameter.slice(0, equals));
}

function cookieName(pair: string): string | null {
  const equals = pair.indexOf('=');
  return equals === -1 ? null : pair.slice(0, equals).trim();
}

function unquoted(value: string): string {
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"')
    ? value.slice(1, -1)
    : value;
}

/** Bytes that are no UTF-8 become what no key has. */
function unescapePercent(text: string): string {
  if (!text.includes('%')) return text;
  const bytes = text.replace(/%([\da-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
