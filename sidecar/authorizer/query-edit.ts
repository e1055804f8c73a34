// Parameters of the query that an authorizer sets and removes.
import type { HeaderPair } from './decision.ts';

/** The path with its query edited; what is not named stays as it was written. */
export function editQuery(
  path: string,
  set: readonly HeaderPair[],
  remove: readonly string[],
): string {
  if (set.length === 0 && remove.length === 0) return path;
  const at = path.indexOf('?');
  const base = at === -1 ? path : path.slice(0, at);
  const gone = new Set([...remove, ...set.map(([name]) => name)]);
  const written = at === -1 ? [] : path.slice(at + 1).split('&');
  const kept = written.filter((one) => one !== '' && !gone.has(nameOf(one)));
  const added = new Map(set);
  for (const [name, value] of added) {
    kept.push(`${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  }
  return kept.length === 0 ? base : `${base}?${kept.join('&')}`;
}

/** Unescaped, since the application reads it so; what cannot be is left as it is. */
function nameOf(parameter: string): string {
  const name = parameter.split('=', 1)[0] ?? '';
  try {
    return decodeURIComponent(name.replaceAll('+', ' '));
  } catch {
    return name;
  }
}
