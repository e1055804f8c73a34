// Edits of request headers by a route, as far as they are written out: values of variables are the sidecar's to know.
import type { HeaderEdits } from '#api/traffic/route.ts';

type Headers = Readonly<Record<string, string | readonly string[]>>;

/** Each of the edits in order: what is removed, then what is set, then what is added. */
export function editHeaders(headers: Headers, edits: readonly HeaderEdits[]): Headers {
  const edited = new Map<string, readonly string[]>();
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    edited.set(lower, [...(edited.get(lower) ?? []), ...[value].flat()]);
  }
  for (const { remove = [], set = {}, add = {} } of edits) {
    for (const name of remove) edited.delete(name);
    for (const [name, value] of Object.entries(set)) {
      if (!name.startsWith(':')) edited.set(name, [value]);
    }
    for (const [name, value] of Object.entries(add)) {
      edited.set(name, [...(edited.get(name) ?? []), value]);
    }
  }
  return Object.fromEntries(edited);
}
