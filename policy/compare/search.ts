// Finds the values of variables for which two unions of boxes say otherwise, without trying them all.
import type { Box, Boxes } from './boxes.ts';
import type { Variable } from './subject.ts';

export interface Difference {
  /** The place of the value of each variable; those that are left out may have any. */
  readonly picks: ReadonlyMap<Variable, number>;
  /** Order of the box that decides; -1: none. */
  readonly old: number;
  readonly new: number;
  /** How many combinations of values like this were met. */
  readonly classes: number;
}

export interface Found {
  /** One for each pair of deciders. */
  readonly differences: readonly Difference[];
  /** Combinations that were looked at. */
  readonly combinations: number;
  /** False: the bound was hit, and there may be more. */
  readonly complete: boolean;
}

export interface SearchOptions {
  readonly sizes: ReadonlyMap<Variable, number>;
  readonly combinationsMax: number;
}

/** Neither side's box list may name values beyond `sizes`. */
export function findDifferences(before: Boxes, after: Boxes, options: SearchOptions): Found {
  return new Search(before, after, options).run();
}

/** A box with what it still asks for from each level on: two boxes that ask for the same have the same number. */
interface Asking {
  readonly order: number;
  readonly columns: readonly (Column | null)[];
  /** 0: nothing is asked for any more. */
  readonly from: readonly number[];
}

interface Column {
  readonly id: number;
  readonly bits: Uint8Array;
}

interface Side {
  readonly refuse: readonly Asking[];
  readonly allow: readonly Asking[];
}

/** What remains below a node: each with the picks from its level on. */
interface Below {
  readonly differences: readonly Partial[];
  readonly classes: number;
}

interface Partial {
  readonly picks: readonly (readonly [level: number, pick: number])[];
  readonly old: number;
  readonly new: number;
  readonly classes: number;
}

const nothing: Below = { differences: [], classes: 0 };
/** So many pairs of deciders are kept. */
const pairsMax = 1_000;
/** Results are kept to be used again under so many bytes of names. */
const knownBytesMax = 64 * 1024 * 1024;

class Search {
  readonly #order: readonly Variable[];
  readonly #options: SearchOptions;
  readonly #needsAllow: readonly [boolean, boolean];
  readonly #sides: readonly [Side, Side];
  readonly #ids = new Map<string, number>();
  readonly #known = new Map<string, Below>();
  #knownBytes = 0;
  #combinations = 0;
  #complete = true;

  constructor(before: Boxes, after: Boxes, options: SearchOptions) {
    this.#options = options;
    this.#order = orderOf([before, after], options.sizes);
    this.#needsAllow = [before.allow !== null, after.allow !== null];
    const sideOf = ({ refuse, allow }: Boxes): Side => ({
      refuse: refuse.flatMap((box) => this.#prepare(box)),
      allow: (allow ?? []).flatMap((box) => this.#prepare(box)),
    });
    this.#sides = [sideOf(before), sideOf(after)];
  }

  run(): Found {
    const [before, after] = this.#sides;
    const { differences } = this.#visit(0, before, after);
    return {
      differences: differences.map(({ picks, ...more }) => ({
        ...more,
        picks: new Map(
          picks.flatMap(([level, pick]) => {
            const variable = this.#order[level];
            return variable === undefined ? [] : [[variable, pick] as const];
          }),
        ),
      })),
      combinations: this.#combinations,
      complete: this.#complete,
    };
  }

  #prepare({ order, columns }: Box): Asking[] {
    const own = this.#order.map((variable): Column | null => {
      const bits = columns.get(variable);
      if (bits === undefined || !bits.includes(0)) return null;
      return { id: this.#idOf(`${variable} ${Buffer.from(bits).toString('latin1')}`), bits };
    });
    if (own.some((column) => column !== null && !column.bits.includes(1))) return [];
    const from = [0];
    for (let level = own.length - 1; level >= 0; level--) {
      const after = from[0] ?? 0;
      const column = own[level] ?? null;
      from.unshift(column === null ? after : this.#idOf(`${level} ${column.id} ${after}`));
    }
    return [{ order, columns: own, from }];
  }

  #idOf(text: string): number {
    let id = this.#ids.get(text);
    if (id === undefined) this.#ids.set(text, (id = this.#ids.size + 1));
    return id;
  }

  #visit(level: number, before: Side, after: Side): Below {
    const [needsOld, needsNew] = this.#needsAllow;
    const old = statusOf(before, needsOld, level);
    const now = statusOf(after, needsNew, level);
    if (old !== null && now !== null) {
      return old === now ? nothing : leaf(before, after, [old, now], level);
    }
    const key = `${level} ${textOf(before, level, old)}/${textOf(after, level, now)}`;
    if (needsOld === needsNew && meaningOf(before, level) === meaningOf(after, level))
      return nothing;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const below = this.#branch(level, before, after);
    this.#knownBytes += key.length;
    if (this.#knownBytes < knownBytesMax) this.#known.set(key, below);
    return below;
  }

  #branch(level: number, before: Side, after: Side): Below {
    const all = [before.refuse, before.allow, after.refuse, after.allow].flat();
    const columns = new Map<number, Uint8Array>();
    for (const { columns: own } of all) {
      const column = own[level];
      if (column !== undefined && column !== null) columns.set(column.id, column.bits);
    }
    if (columns.size === 0) return this.#visit(level + 1, before, after);
    const size = this.#options.sizes.get(this.#order[level] as Variable) ?? 1;
    const results: Below[] = [];
    for (const pick of representatives([...columns.values()], size)) {
      this.#combinations++;
      if (this.#combinations > this.#options.combinationsMax) {
        this.#complete = false;
        break;
      }
      const below = this.#visit(level + 1, picked(before, level, pick), picked(after, level, pick));
      if (below.classes > 0) results.push(withPick(below, level, pick));
    }
    return merged(results);
  }
}

/** What most boxes ask for comes first: it leaves the fewest of them. */
function orderOf(sides: readonly Boxes[], sizes: ReadonlyMap<Variable, number>): Variable[] {
  const counts = new Map<Variable, number>();
  for (const { refuse, allow } of sides) {
    for (const { columns } of [...refuse, ...(allow ?? [])]) {
      for (const variable of columns.keys()) counts.set(variable, (counts.get(variable) ?? 0) + 1);
    }
  }
  return [...sizes.keys()]
    .filter((variable) => counts.has(variable))
    .toSorted((a, b) => (counts.get(b) ?? 0) - (counts.get(a) ?? 0));
}

/** Whether a side is settled: allowed or not; null while it is open. */
function statusOf({ refuse, allow }: Side, needsAllow: boolean, level: number): boolean | null {
  if (refuse.some(({ from }) => from[level] === 0)) return false;
  if (needsAllow && allow.length === 0) return false;
  if (refuse.length > 0) return null;
  return !needsAllow || allow.some(({ from }) => from[level] === 0) ? true : null;
}

function leaf(
  before: Side,
  after: Side,
  [old, now]: readonly [boolean, boolean],
  level: number,
): Below {
  const difference: Partial = {
    picks: [],
    old: deciderOf(before, old, level),
    new: deciderOf(after, now, level),
    classes: 1,
  };
  return { differences: [difference], classes: 1 };
}

function deciderOf({ refuse, allow }: Side, allowed: boolean, level: number): number {
  const list = allowed ? allow : refuse;
  return list.find(({ from }) => from[level] === 0)?.order ?? -1;
}

/** What is still asked for, and by whom. */
function textOf({ refuse, allow }: Side, level: number, status: boolean | null): string {
  const name = ({ from, order }: Asking): string => `${from[level]}:${order}`;
  return `${status} ${refuse.map(name).join(',')};${allow.map(name).join(',')}`;
}

/** What is still asked for, by whomever. */
function meaningOf({ refuse, allow }: Side, level: number): string {
  const ids = (list: readonly Asking[]): string =>
    [...new Set(list.map(({ from }) => from[level] ?? 0))].toSorted((a, b) => a - b).join(',');
  return `${ids(refuse)};${ids(allow)}`;
}

/** The first value of each group that no column tells apart. */
function representatives(columns: readonly Uint8Array[], size: number): number[] {
  const seen = new Set<string | number>();
  const firsts: number[] = [];
  for (let pick = 0; pick < size; pick++) {
    const bits =
      columns.length <= 30 ? numberOf(columns, pick) : columns.map((one) => one[pick]).join('');
    if (seen.has(bits)) continue;
    seen.add(bits);
    firsts.push(pick);
  }
  return firsts;
}

function numberOf(columns: readonly Uint8Array[], pick: number): number {
  let bits = 0;
  for (const column of columns) bits = (bits << 1) | (column[pick] ?? 0);
  return bits;
}

/** The boxes that a value leaves; of those that then ask for the same, the first. */
function picked({ refuse, allow }: Side, level: number, pick: number): Side {
  return { refuse: left(refuse, level, pick), allow: left(allow, level, pick) };
}

function left(list: readonly Asking[], level: number, pick: number): readonly Asking[] {
  const seen = new Set<number>();
  return list.filter(({ columns, from }) => {
    const column = columns[level];
    if (column !== undefined && column !== null && column.bits[pick] === 0) return false;
    const id = from[level + 1] ?? 0;
    if (seen.has(id)) return false;
    seen.add(id);
    return true;
  });
}

function withPick({ differences, classes }: Below, level: number, pick: number): Below {
  return {
    classes,
    differences: differences.map((one) => ({ ...one, picks: [[level, pick], ...one.picks] })),
  };
}

function merged(results: readonly Below[]): Below {
  const [only] = results;
  if (only === undefined) return nothing;
  if (results.length === 1) return only;
  const pairs = new Map<string, Partial>();
  let classes = 0;
  for (const below of results) {
    classes += below.classes;
    for (const one of below.differences) {
      const pair = `${one.old} ${one.new}`;
      const known = pairs.get(pair);
      if (known !== undefined) pairs.set(pair, { ...known, classes: known.classes + one.classes });
      else if (pairs.size < pairsMax) pairs.set(pair, one);
    }
  }
  return { classes, differences: [...pairs.values()] };
}
