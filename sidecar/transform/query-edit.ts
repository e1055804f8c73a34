// Edits of a query, compiled: parameters are removed, set and appended, and the others stay as they were sent.
import type { QueryEditsSpec } from '#api/kinds/transformation.ts';

import type { Exchange } from '../exchange.ts';
import { readTemplate, textOf, type Template } from '../routing/header-variables.ts';
import { pathEnd } from '#policy/conditions/request.ts';

export interface QueryEdit {
  /** Names, decoded, of all that go: those removed and those set. */
  readonly cut: ReadonlySet<string>;
  readonly append: readonly (readonly [name: string, value: Template])[];
}

export function compileQueryEdit({ set = {}, add = {}, remove = [] }: QueryEditsSpec): QueryEdit {
  const values = [...Object.entries(set), ...Object.entries(add)];
  return {
    cut: new Set([...remove, ...Object.keys(set)]),
    append: values.map(([name, value]) => [
      encodeURIComponent(wellFormed(name)),
      readTemplate(value),
    ]),
  };
}

/** @returns the path with its new query */
export function editQuery({ cut, append }: QueryEdit, path: string, x: Exchange): string {
  const end = pathEnd(path);
  const kept: string[] = [];
  if (end < path.length) {
    for (const pair of path.slice(end + 1).split('&')) {
      if (cut.size === 0 || !cut.has(nameOf(pair))) kept.push(pair);
    }
  }
  for (const [name, value] of append) {
    kept.push(`${name}=${encodeURIComponent(wellFormed(textOf(value, x, null)))}`);
  }
  return kept.length === 0 ? path.slice(0, end) : `${path.slice(0, end)}?${kept.join('&')}`;
}

/** As applications read it: `%61dmin` and `admin` are one name. */
function nameOf(pair: string): string {
  const equals = pair.indexOf('=');
  const raw = equals === -1 ? pair : pair.slice(0, equals);
  if (!/[%+]/.test(raw)) return raw;
  const spaced = raw.replaceAll('+', ' ');
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}

function wellFormed(text: string): string {
  return text.isWellFormed() ? text : text.toWellFormed();
}
