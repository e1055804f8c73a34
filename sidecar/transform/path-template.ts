// Path templates of google.api.http: `/v1/{name=shelves/*}/books/{id}:read`.

export interface PathTemplate {
  /** Lower goes first: literals before `*`, that before `**`. */
  readonly rank: string;
  /** Paths of fields, in the order of the path. */
  readonly variables: readonly string[];
  /** @param parts a path's segments, without its query @returns decoded values by field; null: it does not match */
  match(parts: readonly string[]): readonly (readonly [field: string, value: string])[] | null;
}

interface Variable {
  readonly field: string;
  readonly from: number;
  /** Behind its last segment. */
  readonly to: number;
}

const literal = /^[\w.~!$&'()+,;@%-]+$/;
const fieldPath = /^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*$/;

/** Throws an error that says what is wrong with it. */
export function compileTemplate(text: string): PathTemplate {
  const wrong = (why: string): Error => new Error(`the path "${text}" ${why}`);
  const { segments, variables, verb } = split(text, wrong);
  for (const [i, segment] of segments.entries()) {
    if (segment === '**' && i !== segments.length - 1) throw wrong('has ** before its end');
    if (segment !== '*' && segment !== '**' && !literal.test(segment)) {
      throw wrong(`has the segment "${segment}"`);
    }
  }
  const names = variables.map(({ field }) => field);
  if (new Set(names).size !== names.length) throw wrong('has a variable twice');
  return {
    rank: rankOf(segments, verb),
    variables: names,
    match: (parts) => match(parts, segments, variables, verb),
  };
}

/** `{` to `}` may have slashes, so the text is read from left to right. */
function split(
  text: string,
  wrong: (why: string) => Error,
): { segments: string[]; variables: Variable[]; verb: string } {
  if (!text.startsWith('/')) throw wrong('does not begin with a slash');
  const segments: string[] = [];
  const variables: Variable[] = [];
  let verb = '';
  for (let at = 0; at < text.length;) {
    if (text[at] === ':') {
      verb = text.slice(at + 1);
      if (!literal.test(verb) || segments.length === 0) throw wrong(`has the verb "${verb}"`);
      break;
    }
    if (text[at] !== '/') throw wrong('has text behind a variable');
    at += 1;
    if (text[at] === '{') {
      const end = text.indexOf('}', at);
      if (end < 0) throw wrong('has a { without its }');
      const [field = '', ...rest] = text.slice(at + 1, end).split('=');
      if (!fieldPath.test(field) || rest.length > 1) throw wrong(`has the variable "${field}"`);
      const inside = (rest[0] ?? '*').split('/');
      variables.push({ field, from: segments.length, to: segments.length + inside.length });
      segments.push(...inside);
      at = end + 1;
    } else {
      const [segment = ''] = /^[^/:{]*/.exec(text.slice(at)) ?? [];
      segments.push(segment);
      at += segment.length;
    }
  }
  return { segments, variables, verb };
}

function match(
  sent: readonly string[],
  segments: readonly string[],
  variables: readonly Variable[],
  verb: string,
): [string, string][] | null {
  let parts = sent;
  if (verb !== '') {
    // A verb has no slash: it is of the last segment alone.
    const last = sent.at(-1) ?? '';
    if (!last.endsWith(`:${verb}`)) return null;
    parts = [...sent.slice(0, -1), last.slice(0, last.length - verb.length - 1)];
  }
  const open = segments.at(-1) === '**';
  if (open ? parts.length < segments.length - 1 : parts.length !== segments.length) return null;
  for (const [i, segment] of segments.entries()) {
    const fits = segment === '**' || (segment === '*' ? parts[i] !== '' : parts[i] === segment);
    if (!fits) return null;
  }
  try {
    return variables.map(({ field, from, to }) => {
      const many = segments[to - 1] === '**';
      const values = parts.slice(from, many ? undefined : to);
      // A value of several segments keeps the slashes that are within one as they were sent.
      const single = to - from === 1 && !many;
      return [field, single ? decodeURIComponent(values[0] ?? '') : values.map(decoded).join('/')];
    });
  } catch {
    return null;
  }
}

function decoded(segment: string): string {
  return segment
    .split(/(%2[fF])/)
    .map((piece, i) => (i % 2 === 1 ? piece : decodeURIComponent(piece)))
    .join('');
}

function rankOf(segments: readonly string[], verb: string): string {
  const ranks = segments.map((segment) => (segment === '**' ? '2' : segment === '*' ? '1' : '0'));
  return `${verb === '' ? '1' : '0'}${ranks.join('')}`;
}
