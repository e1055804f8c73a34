// Path templates: `/a/{*}/b` and `/a/{**}`, read as Istio hands them to Envoy's URI template matcher.

/** Whether a value of `paths` is a template and not plain text. */
export function isTemplate(value: string): boolean {
  return value.includes('{*}') || value.includes('{**}');
}

export interface PathTemplate {
  /** The text before the first wildcard: every path that matches begins with it. */
  readonly prefix: string;
  /** @param path normalised; its query is not looked at */
  matches(path: string): boolean;
}

/** RFC 3986 pchar, as a class: `{*}` is one or more of them, `{**}` any number with slashes between. */
const pchar = String.raw`[A-Za-z0-9\-._~%!$&'()*+,;:@=]`;
const pcharOrSlash = String.raw`[A-Za-z0-9\-._~%!$&'()*+,;:@=/]`;

/**
 * Parses a template; null when Envoy would refuse it: a wildcard after `{**}`, `//`, or a character that no path has.
 * Envoy takes a `*` inside a literal for a repetition of the character before it (`/x{*}` is zero or more x);
 * the webhook refuses such values, so this counts only where they were let in.
 */
export function parseTemplate(value: string): PathTemplate | null {
  const plain = value.replaceAll('{**}', '**').replaceAll('{*}', '*');
  if (!plain.startsWith('/') || plain.includes('//')) return null;
  let pattern = '';
  let prefix = '';
  let open = false;
  let seenAny = false;
  for (const part of plain.split('/').slice(1)) {
    pattern += '/';
    if (!open) prefix += '/';
    const segment = readSegment(part);
    if (segment === null || (seenAny && segment.wildcards > 0)) return null;
    seenAny ||= segment.any;
    pattern += segment.pattern;
    if (!open) prefix += segment.prefix;
    open ||= segment.prefix !== part;
  }
  // The pattern cannot blow up: no two wildcards in it can take the same character.
  const expression = new RegExp(`^${pattern}(?:\\?|$)`);
  return { prefix, matches: (path) => expression.test(path) };
}

interface Segment {
  readonly pattern: string;
  readonly prefix: string;
  readonly wildcards: number;
  readonly any: boolean;
}

function readSegment(part: string): Segment | null {
  const stars = /^\*+/.exec(part)?.[0].length ?? 0;
  const rest = part.slice(stars);
  if (stars > 2 || (stars > 0 && rest !== '')) return null;
  if (stars === 1) return { pattern: `${pchar}+`, prefix: '', wildcards: 1, any: false };
  if (stars === 2) return { pattern: `${pcharOrSlash}*`, prefix: '', wildcards: 1, any: true };
  if (!new RegExp(`^${pchar}*$`).test(rest) || rest.includes('**')) return null;
  const star = rest.indexOf('*');
  return {
    pattern: rest.replaceAll(/[-.$()+]/g, String.raw`\$&`),
    prefix: star === -1 ? rest : rest.slice(0, star - 1),
    wildcards: 0,
    any: false,
  };
}
