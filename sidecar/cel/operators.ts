// CEL's operators on values: what has no meaning, and what overflows, is undefined.
import type { CelArithmetic, CelRelation } from '#api/cel/syntax.ts';

import { durationOf, timestampOf } from './times.ts';
import {
  compare,
  Double,
  Duration,
  equal,
  isList,
  isMap,
  Timestamp,
  Uint,
  type CelResult,
  type CelValue,
} from './values.ts';

export type BinaryOperator = (a: CelValue, b: CelValue) => CelResult;

/** What an expression joins is no longer. */
const joinedCharactersMax = 65_536;
const joinedItemsMax = 1000;

export const relations: Readonly<Record<CelRelation, BinaryOperator>> = {
  '==': equal,
  '!=': (a, b) => !equal(a, b),
  '<': (a, b) => {
    const order = compare(a, b);
    return order === undefined ? undefined : order < 0;
  },
  '<=': (a, b) => {
    const order = compare(a, b);
    return order === undefined ? undefined : order <= 0;
  },
  '>': (a, b) => {
    const order = compare(a, b);
    return order === undefined ? undefined : order > 0;
  },
  '>=': (a, b) => {
    const order = compare(a, b);
    return order === undefined ? undefined : order >= 0;
  },
  in: (a, b) => {
    if (isList(b)) return b.some((item) => equal(item, a));
    return isMap(b) ? b.get(a) !== undefined : undefined;
  },
};

export const arithmetic: Readonly<Record<CelArithmetic, BinaryOperator>> = {
  '+': (a, b) => numeric('+', a, b) ?? add(a, b),
  '-': (a, b) => numeric('-', a, b) ?? subtract(a, b),
  '*': (a, b) => numeric('*', a, b),
  '/': (a, b) => numeric('/', a, b),
  '%': (a, b) => numeric('%', a, b),
};

export function negate(value: CelResult): CelResult {
  if (typeof value === 'number') return value === 0 ? 0 : -value;
  return value instanceof Double ? new Double(-value.value) : undefined;
}

/** Both of one kind: CEL converts none by itself. */
function numeric(operator: CelArithmetic, a: CelValue, b: CelValue): CelResult {
  if (typeof a === 'number' && typeof b === 'number') {
    return safe(whole(operator, a, b), -Number.MAX_SAFE_INTEGER);
  }
  if (a instanceof Uint && b instanceof Uint) {
    const result = safe(whole(operator, a.value, b.value), 0);
    return result === undefined ? undefined : new Uint(result);
  }
  if (a instanceof Double && b instanceof Double && operator !== '%') {
    return new Double(broken(operator, a.value, b.value));
  }
  return undefined;
}

function whole(operator: CelArithmetic, a: number, b: number): number {
  switch (operator) {
    case '/':
      return b === 0 ? Number.NaN : Math.trunc(a / b);
    case '%':
      return b === 0 ? Number.NaN : a % b;
    default:
      return broken(operator, a, b);
  }
}

function broken(operator: CelArithmetic, a: number, b: number): number {
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    default:
      return a / b;
  }
}

function safe(value: number, least: number): number | undefined {
  // No negative zero: there is none among whole numbers.
  return Number.isSafeInteger(value) && value >= least ? value + 0 : undefined;
}

function add(a: CelValue, b: CelValue): CelResult {
  if (typeof a === 'string' && typeof b === 'string') {
    return a.length + b.length > joinedCharactersMax ? undefined : a + b;
  }
  if (isList(a) && isList(b))
    return a.length + b.length > joinedItemsMax ? undefined : [...a, ...b];
  if (a instanceof Uint8Array && b instanceof Uint8Array) {
    return a.length + b.length > joinedCharactersMax ? undefined : Buffer.concat([a, b]);
  }
  if (a instanceof Duration) {
    if (b instanceof Timestamp) return timestampOf(b.us + a.ns / 1000);
    return b instanceof Duration ? durationOf(a.ns + b.ns) : undefined;
  }
  if (a instanceof Timestamp && b instanceof Duration) return timestampOf(a.us + b.ns / 1000);
  return undefined;
}

function subtract(a: CelValue, b: CelValue): CelResult {
  if (a instanceof Timestamp) {
    if (b instanceof Timestamp) return durationOf((a.us - b.us) * 1000);
    return b instanceof Duration ? timestampOf(a.us - b.ns / 1000) : undefined;
  }
  return a instanceof Duration && b instanceof Duration ? durationOf(a.ns - b.ns) : undefined;
}
