// What a CEL expression comes to, and how values are compared. `undefined` is CEL's error: nothing here throws.

/**
 * A plain number is an int: attributes are small, so whole numbers go to 2^53 and are an overflow beyond.
 * Kinds that are rare have a class of their own.
 */
export type CelValue =
  | boolean
  | string
  | number
  | null
  | Double
  | Uint
  | Uint8Array
  | Duration
  | Timestamp
  | TypeName
  | CelMap
  | readonly CelValue[];

/** Undefined: an error, a missing attribute among them. */
export type CelResult = CelValue | undefined;

export class Double {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

export class Uint {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

export class Duration {
  readonly ns: number;

  constructor(ns: number) {
    this.ns = ns;
  }
}

export class Timestamp {
  /** Since 1970; whole, so what is finer is cut. */
  readonly us: number;

  constructor(us: number) {
    this.us = us;
  }
}

/** What `type()` gives. */
export class TypeName {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

export interface CelMap {
  /** Undefined: there is no such key. */
  get(key: CelValue): CelResult;
  keys(): readonly CelValue[];
}

/** A map that was written out, or made from one. */
export class WrittenMap implements CelMap {
  readonly #byKey = new Map<string | number | boolean, readonly [CelValue, CelValue]>();

  /** @returns null where a key cannot be one, or comes twice */
  static of(entries: readonly (readonly [CelValue, CelValue])[]): WrittenMap | null {
    const made = new WrittenMap();
    for (const entry of entries) {
      const key = plainKey(entry[0]);
      if (key === undefined || made.#byKey.has(key)) return null;
      made.#byKey.set(key, entry);
    }
    return made;
  }

  get(key: CelValue): CelResult {
    const plain = plainKey(key);
    return plain === undefined ? undefined : this.#byKey.get(plain)?.[1];
  }

  keys(): readonly CelValue[] {
    return [...this.#byKey.values()].map(([key]) => key);
  }
}

export function isList(value: CelResult): value is readonly CelValue[] {
  return Array.isArray(value);
}

export function isMap(value: CelResult): value is CelMap {
  return typeof value === 'object' && value !== null && 'keys' in value && 'get' in value;
}

/** A number of whatever kind; undefined: it is none. */
export function numberOf(value: CelResult): number | undefined {
  if (typeof value === 'number') return value;
  return value instanceof Uint || value instanceof Double ? value.value : undefined;
}

/** Numbers are equal across their kinds, all else within one. */
export function equal(a: CelValue, b: CelValue): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' && typeof b !== 'object') return false;
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== undefined || y !== undefined) return x === y;
  if (a instanceof Duration) return b instanceof Duration && a.ns === b.ns;
  if (a instanceof Timestamp) return b instanceof Timestamp && a.us === b.us;
  if (a instanceof TypeName) return b instanceof TypeName && a.name === b.name;
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  if (isList(a)) return isList(b) && a.length === b.length && a.every((v, i) => equal(v, b[i]!));
  return isMap(a) && isMap(b) && equalMaps(a, b);
}

/** Less than 0, 0 or more; NaN where neither is less; undefined where they do not compare. */
export function compare(a: CelValue, b: CelValue): number | undefined {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'string') return typeof b === 'string' ? compareTexts(a, b) : undefined;
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== undefined && y !== undefined) return x === y ? 0 : x - y;
  if (a instanceof Duration && b instanceof Duration) return a.ns - b.ns;
  if (a instanceof Timestamp && b instanceof Timestamp) return a.us - b.us;
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  return undefined;
}

export function typeOf(value: CelValue): string {
  switch (typeof value) {
    case 'boolean':
      return 'bool';
    case 'string':
      return 'string';
    case 'number':
      return 'int';
    default:
      return typeOfObject(value);
  }
}

function typeOfObject(value: Exclude<CelValue, boolean | string | number>): string {
  if (value === null) return 'null_type';
  if (value instanceof Double) return 'double';
  if (value instanceof Uint) return 'uint';
  if (value instanceof Uint8Array) return 'bytes';
  if (value instanceof Duration) return 'google.protobuf.Duration';
  if (value instanceof Timestamp) return 'google.protobuf.Timestamp';
  if (value instanceof TypeName) return 'type';
  return isList(value) ? 'list' : 'map';
}

/** By code points; UTF-16 agrees but beyond the surrogates. */
function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function equalMaps(a: CelMap, b: CelMap): boolean {
  const keys = a.keys();
  if (keys.length !== b.keys().length) return false;
  return keys.every((key) => {
    const [x, y] = [a.get(key), b.get(key)];
    return x !== undefined && y !== undefined && equal(x, y);
  });
}

function plainKey(key: CelValue): string | number | boolean | undefined {
  return typeof key === 'string' || typeof key === 'boolean' ? key : numberOf(key);
}
