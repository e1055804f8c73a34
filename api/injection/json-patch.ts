// JSON Patch (RFC 6902) from a value before and after: as short as the lists of a manifest need, and nothing more.
import { type Fields, isFields } from '../read-meta.ts';

export type PatchOperation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/** Operations that make `after` of `before`, in order; none where they are equal. Both are JSON values. */
export function diffJson(before: unknown, after: unknown): PatchOperation[] {
  const operations: PatchOperation[] = [];
  diff(before, after, '', operations);
  return operations;
}

export function equalJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((one, i) => equalJson(one, b[i]));
  }
  if (!isFields(a) || !isFields(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && equalJson(a[key], b[key]))
  );
}

/** Longer lists are compared from their ends only: the cost of more grows with the square. */
const alignedItemsMax = 200;

function diff(before: unknown, after: unknown, path: string, into: PatchOperation[]): void {
  if (equalJson(before, after)) return;
  if (Array.isArray(before) && Array.isArray(after)) {
    diffLists(before, after, path, into);
  } else if (isFields(before) && isFields(after)) {
    diffObjects(before, after, path, into);
  } else {
    into.push({ op: 'replace', path, value: after });
  }
}

function diffObjects(before: Fields, after: Fields, path: string, into: PatchOperation[]): void {
  for (const key of Object.keys(before)) {
    if (!Object.hasOwn(after, key)) into.push({ op: 'remove', path: `${path}/${escaped(key)}` });
  }
  for (const [key, value] of Object.entries(after)) {
    const at = `${path}/${escaped(key)}`;
    if (Object.hasOwn(before, key)) diff(before[key], value, at, into);
    else into.push({ op: 'add', path: at, value });
  }
}

/** Items that stand for the same thing are compared; each other one is removed, or added. */
function diffLists(
  before: readonly unknown[],
  after: readonly unknown[],
  path: string,
  into: PatchOperation[],
): void {
  const pairs = align(before, after);
  let old = 0;
  let index = 0;
  for (const pair of [...pairs, { old: before.length, new: after.length }]) {
    for (; old < pair.old; old++) into.push({ op: 'remove', path: `${path}/${index}` });
    for (; index < pair.new; index++) {
      into.push({ op: 'add', path: `${path}/${index}`, value: after[index] });
    }
    if (old === before.length) break;
    diff(before[old++], after[index], `${path}/${index}`, into);
    index++;
  }
}

interface Pair {
  readonly old: number;
  readonly new: number;
}

/** The longest common subsequence, by identity. */
function align(before: readonly unknown[], after: readonly unknown[]): Pair[] {
  let start = 0;
  const shorter = Math.min(before.length, after.length);
  while (start < shorter && isSame(before[start], after[start])) start++;
  let end = 0;
  while (end < shorter - start && isSame(before.at(-1 - end), after.at(-1 - end))) end++;
  const rows = before.length - start - end;
  const columns = after.length - start - end;
  const middle =
    rows > alignedItemsMax || columns > alignedItemsMax
      ? []
      : longest(before.slice(start, start + rows), after.slice(start, start + columns)).map(
          (pair) => ({ old: pair.old + start, new: pair.new + start }),
        );
  const head = Array.from({ length: start }, (_, i) => ({ old: i, new: i }));
  const tail = Array.from({ length: end }, (_, i) => ({
    old: before.length - end + i,
    new: after.length - end + i,
  }));
  return [...head, ...middle, ...tail];
}

function longest(before: readonly unknown[], after: readonly unknown[]): Pair[] {
  const width = after.length + 1;
  const lengths = new Uint16Array((before.length + 1) * width);
  const at = (i: number, j: number): number => lengths[i * width + j] ?? 0;
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      lengths[i * width + j] = isSame(before[i], after[j])
        ? at(i + 1, j + 1) + 1
        : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const pairs: Pair[] = [];
  for (let i = 0, j = 0; i < before.length && j < after.length;) {
    if (isSame(before[i], after[j])) pairs.push({ old: i++, new: j++ });
    else if (at(i + 1, j) >= at(i, j + 1)) i++;
    else j++;
  }
  return pairs;
}

/** Kubernetes' lists of containers, volumes, variables and ports are keyed by name. */
function isSame(a: unknown, b: unknown): boolean {
  if (isFields(a) && isFields(b) && typeof a['name'] === 'string') return a['name'] === b['name'];
  return equalJson(a, b);
}

function escaped(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}
