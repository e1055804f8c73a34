// Fields about what is asked for: method, host, path, port, server name, headers.
import type { RequestFacts } from '../facts.ts';
import { isTemplate, parseTemplate, type PathTemplate } from '../match/template.ts';
import { lowerAscii, readPattern, TextSet, type TextPattern } from '../match/text.ts';
import { textKeys, type Attribute, type Matcher } from './condition.ts';

const noValues: readonly string[] = [];

/** `methods`. */
export const methods: Attribute = {
  http: true,
  build(values) {
    const set = new TextSet(values.map(readPattern), { emptyIsPresent: true });
    return {
      any: (_, r) => r !== null && set.matches(r.method),
      broken: [],
      keys: textKeys('method', values.map(readPattern)),
    };
  },
  got: (_, r) => r?.method ?? '',
};

/** `hosts`: the authority with its port, letters in either case. */
export const hosts: Attribute = {
  http: true,
  build(values) {
    const patterns = values.map((value) => readPattern(lowerAscii(value)));
    const set = new TextSet(patterns, { fold: true, emptyIsPresent: true });
    return {
      any: (_, r) => r !== null && set.matches(r.authority),
      broken: [],
      keys: textKeys('host', patterns),
    };
  },
  got: (_, r) => r?.authority ?? '',
};

/** `paths`: without the query; plain values and templates. */
export const paths: Attribute = {
  http: true,
  build(values) {
    const broken: string[] = [];
    const patterns: TextPattern[] = [];
    const templates: PathTemplate[] = [];
    for (const value of values) {
      const template = isTemplate(value) ? parseTemplate(value) : undefined;
      if (template === null) broken.push(value);
      else if (template === undefined) patterns.push(readPattern(value));
      else templates.push(template);
    }
    if (broken.length === values.length) return { any: null, broken, keys: null };
    const opens = templates.map(({ prefix }): TextPattern => ({ form: 'prefix', text: prefix }));
    const keys = textKeys('path', [...patterns, ...opens]);
    const set = new TextSet(patterns);
    const plain = patterns.length > 0;
    return {
      any(_, r) {
        if (r === null) return false;
        if (plain && set.matches(r.path, pathEnd(r.path))) return true;
        for (const template of templates) if (template.matches(r.path)) return true;
        return false;
      },
      broken,
      keys,
    };
  },
  got: (_, r) => r?.path.slice(0, pathEnd(r.path)) ?? '',
};

/** `ports`, `destination.port`: the workload's own port. */
export const ports: Attribute = {
  http: false,
  build(values): Matcher {
    const broken = values.filter((value) => readPort(value) === -1);
    const numbers = values.map(readPort).filter((port) => port !== -1);
    return {
      any: numbers.length === 0 ? null : (c) => numbers.includes(c.destinationPort),
      broken,
      keys: numbers.map((port) => ({ kind: 'port', port })),
    };
  },
  got: (c) => String(c.destinationPort),
};

/** `connection.sni`: the facts have it in lower case, a value with capitals never matches. */
export const serverNames: Attribute = {
  http: false,
  build(values) {
    const set = new TextSet(values.map(readPattern));
    return {
      any: (c) => set.matches(c.sni),
      broken: [],
      keys: textKeys('sni', values.map(readPattern)),
    };
  },
  got: (c) => c.sni,
};

/** `request.headers[NAME]`: each line is matched by itself. @param name as written; null when the key has none */
export function headers(name: string | null): Attribute {
  const lower = name === null ? '' : lowerAscii(name);
  return {
    http: true,
    build(values) {
      if (name === null) return { any: null, broken: values, keys: null };
      const set = new TextSet(values.map(readPattern), { emptyIsPresent: true });
      return {
        any(_, r) {
          if (r === null) return false;
          const pseudo = pseudoHeader(r, lower);
          if (pseudo !== null) return set.matches(pseudo);
          for (const value of r.values(lower)) if (set.matches(value)) return true;
          return false;
        },
        broken: [],
        keys: textKeys(`header:${lower}`, values.map(readPattern)),
      };
    },
    got: (_, r) => (r === null ? '' : headerLines(r, lower).join(', ')),
  };
}

/** Every value that a header condition sees. @param name lower-case */
export function headerLines(request: RequestFacts, name: string): readonly string[] {
  const pseudo = pseudoHeader(request, name);
  return pseudo === null ? request.values(name) : [pseudo];
}

/** Dynamic metadata of Envoy filters, which nothing here sets: no value ever matches. */
export function filterMetadata(valid: boolean): Attribute {
  return {
    http: false,
    build: (values) => ({
      any: valid ? () => false : null,
      broken: valid ? noValues : values,
      keys: null,
    }),
    got: () => '',
  };
}

/** Where the path ends and its query begins. */
export function pathEnd(path: string): number {
  const query = path.indexOf('?');
  return query === -1 ? path.length : query;
}

/** What Envoy keeps as a header of its own; null for any other name. */
export function pseudoHeader(request: RequestFacts, name: string): string | null {
  switch (name) {
    case ':path':
      return request.path;
    case ':method':
      return request.method;
    case ':scheme':
      return request.scheme;
    case ':authority':
    case 'host':
      return request.authority;
    default:
      return null;
  }
}

function readPort(value: string): number {
  return /^\d{1,10}$/.test(value) && Number(value) <= 65_535 ? Number(value) : -1;
}
