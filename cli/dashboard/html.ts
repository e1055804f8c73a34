// HTML as values: whatever is put into the `html` template is escaped, unless it came out of one.

/** Markup that was made here. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** null, undefined and false are nothing, so that `condition && html…` reads well. */
export type Part = Html | string | number | false | null | undefined | readonly Part[];

/** Attributes are to stand in double quotes: what a part has of them is escaped too. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  const own = withoutIndents(strings);
  let text = own[0] ?? '';
  for (const [i, part] of parts.entries()) text += textOf(part) + (own[i + 1] ?? '');
  return new Html(text);
}

const known = new WeakMap<TemplateStringsArray, readonly string[]>();

/** What indents the source would be a third of a large page. */
function withoutIndents(strings: TemplateStringsArray): readonly string[] {
  const before = known.get(strings);
  if (before !== undefined) return before;
  const own = strings.map((text) => text.replaceAll(/\n\s+/g, '\n'));
  known.set(strings, own);
  return own;
}

/** The path of a page: each name is one segment, whatever is in it. */
export function pathOf(...names: readonly string[]): string {
  // Browsers resolve dots before they send a path, also encoded ones.
  const segments = names.map((name) => (/^\.{1,2}$/.test(name) ? `${name}~` : name));
  return `/${segments.map(encodeURIComponent).join('/')}`;
}

/** `?a=1&b=2` of what is not empty; '' where all is. */
export function queryOf(values: Readonly<Record<string, string>>): string {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== ''));
  return query.size === 0 ? '' : `?${query.toString()}`;
}

function textOf(part: Part): string {
  if (part instanceof Html) return part.text;
  if (typeof part === 'string') return escape(part);
  if (typeof part === 'number') return String(part);
  return Array.isArray(part) ? part.map(textOf).join('') : '';
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? '');
}
