// CEL's macros over lists and the keys of maps, within a bound of items for each evaluation.
import type { CelMacro } from '#api/cel/syntax.ts';

import type { Evaluate, Scope } from './scope.ts';
import { isList, isMap, type CelResult, type CelValue } from './values.ts';

export interface MacroParts {
  readonly predicate: Evaluate | null;
  readonly transform: Evaluate | null;
}

/** @param depth of the variable in the scope */
export function compileMacro(
  macro: CelMacro,
  range: Evaluate,
  depth: number,
  parts: MacroParts,
): Evaluate {
  const fold = folds[macro];
  return (scope) => {
    const items = itemsOf(range(scope));
    return items === undefined ? undefined : fold(scope, items, depth, parts);
  };
}

type Fold = (
  scope: Scope,
  items: readonly CelValue[],
  depth: number,
  parts: MacroParts,
) => CelResult;

const folds: Readonly<Record<CelMacro, Fold>> = {
  all: (...run) => settled(false, ...run),
  exists: (...run) => settled(true, ...run),
  exists_one: (...run) => {
    const kept = collected(...run);
    return isList(kept) ? kept.length === 1 : undefined;
  },
  map: collected,
  filter: collected,
};

/** As `&&` and `||`: one that settles it is enough, whatever errors there are. */
function settled(
  settles: boolean,
  scope: Scope,
  items: readonly CelValue[],
  depth: number,
  { predicate }: MacroParts,
): CelResult {
  let result: CelResult = !settles;
  for (const item of items) {
    if (!scope.step()) return undefined;
    scope.variables[depth] = item;
    const value = predicate?.(scope);
    if (value === settles) return settles;
    if (typeof value !== 'boolean') result = undefined;
  }
  return result;
}

/** What the predicate is true of, transformed; one error is an error of the whole. */
function collected(
  scope: Scope,
  items: readonly CelValue[],
  depth: number,
  { predicate, transform }: MacroParts,
): CelResult {
  const kept: CelValue[] = [];
  for (const item of items) {
    if (!scope.step()) return undefined;
    scope.variables[depth] = item;
    const counts = predicate === null ? true : predicate(scope);
    if (typeof counts !== 'boolean') return undefined;
    if (!counts) continue;
    const value = transform === null ? item : transform(scope);
    if (value === undefined) return undefined;
    kept.push(value);
  }
  return kept;
}

function itemsOf(range: CelResult): readonly CelValue[] | undefined {
  if (isList(range)) return range;
  return isMap(range) ? range.keys() : undefined;
}
