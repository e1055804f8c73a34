// Kubernetes List kinds (`kubectl get -o yaml` writes them) become their items, each with its own
// paths.
import { columnsOf, rememberColumns } from './origin.ts';
import type { ResourceSource } from './read-meta.ts';
import type { Origin } from './resource.ts';

/** A list in a list is read; deeper ones are left as they are, and refused as no resource. */
const levelsMax = 2;
const ITEM = /^items\[(\d+)\]\.?/;

export function unfoldList(source: ResourceSource, level = 0): ResourceSource[] {
  const items = itemsOf(source.value);
  if (items === null || level >= levelsMax) return [source];
  const origins = originsOf(source.origin, items.length);
  return items.flatMap((value, i) => {
    const prefix = `items[${i}].`;
    const item: ResourceSource = {
      value,
      origin: origins[i],
      sourceOf: (path) => source.sourceOf?.(prefix + path),
      blockAt: (path) => source.blockAt?.(prefix + path),
    };
    return unfoldList(item, level + 1);
  });
}

function itemsOf(value: unknown): readonly unknown[] | null {
  if (typeof value !== 'object' || value === null) return null;
  if (!('kind' in value && 'items' in value)) return null;
  const { kind, items } = value;
  return typeof kind === 'string' && kind.endsWith('List') && Array.isArray(items) ? items : null;
}

/** One pass over all lines: a list of thousands has a hundred thousand. */
function originsOf(origin: Origin | undefined, count: number): (Origin | undefined)[] {
  if (origin === undefined) return Array.from({ length: count }, () => undefined);
  const lines = Array.from({ length: count }, (): Record<string, number> => ({}));
  const columns = Array.from({ length: count }, (): Record<string, number> => ({}));
  const all = columnsOf(origin);
  for (const [path, line] of Object.entries(origin.lines)) {
    const match = ITEM.exec(path);
    if (match === null) continue;
    const index = Number(match[1]);
    const rest = path.slice(match[0].length);
    const own = lines[index];
    const ownColumns = columns[index];
    if (own === undefined || ownColumns === undefined) continue;
    own[rest] = line;
    ownColumns[rest] = all[path] ?? 1;
  }
  return lines.map((own, i) => {
    const item: Origin = { file: origin.file, line: own[''] ?? origin.line, lines: own };
    rememberColumns(item, columns[i] ?? {});
    return item;
  });
}
