// Reads Cache-Control (RFC 9111 section 5.2): names of directives, and their seconds where they have some.

/** Lower-case names with their arguments, '' without one. What is no directive is left out. */
export type Directives = ReadonlyMap<string, string>;

/** RFC 9111 section 1.2.2: more is as good as this. */
const secondsMax = 2 ** 31;
const directive =
  /([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?\s*(?=,|$)/y;

/** Of one that comes twice, the smaller number counts: the more cautious reading. */
export function readDirectives(values: readonly string[]): Directives {
  const found = new Map<string, string>();
  for (const value of values) {
    for (let at = afterSeparators(value, 0); at < value.length; at = afterSeparators(value, at)) {
      directive.lastIndex = at;
      const match = directive.exec(value);
      if (match === null) {
        const next = value.indexOf(',', at);
        at = next === -1 ? value.length : next + 1;
        continue;
      }
      const [, name = '', quoted, plain = ''] = match;
      add(found, name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, '$1') ?? plain);
      at = directive.lastIndex;
    }
  }
  return found;
}

/** Null: it is not there. What is no number is 0: stale at once. */
export function secondsOf(directives: Directives, name: string): number | null {
  const text = directives.get(name);
  if (text === undefined) return null;
  return /^\d+$/.test(text) ? Math.min(Number(text), secondsMax) : 0;
}

function afterSeparators(value: string, from: number): number {
  let at = from;
  while (at < value.length && ' \t,'.includes(value[at]!)) at += 1;
  return at;
}

function add(found: Map<string, string>, name: string, argument: string): void {
  const before = found.get(name);
  if (before === undefined || !(Number(before) <= Number(argument))) found.set(name, argument);
}
