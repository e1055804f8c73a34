// CEL's standard functions on values; a method's target is its first argument.
import {
  durationText,
  parseDuration,
  parseTimestamp,
  timeField,
  timestampOf,
  timestampText,
} from './times.ts';
import {
  Double,
  Duration,
  isList,
  isMap,
  numberOf,
  Timestamp,
  TypeName,
  typeOf,
  Uint,
  type CelResult,
  type CelValue,
} from './values.ts';

export type CelFunctionBody = (a: CelValue, b?: CelValue) => CelResult;

const timeFields = (
  'getFullYear getMonth getDayOfMonth getDate getDayOfWeek getDayOfYear ' +
  'getHours getMinutes getSeconds getMilliseconds'
).split(' ');

/** By name. `matches` is not among them: its expression is compiled once. */
export const functionBodies: Readonly<Record<string, CelFunctionBody>> = {
  size,
  startsWith: (a, b) => texts(a, b, (text, other) => text.startsWith(other)),
  endsWith: (a, b) => texts(a, b, (text, other) => text.endsWith(other)),
  contains: (a, b) => texts(a, b, (text, other) => text.includes(other)),
  int,
  uint: (a) => {
    const value = typeof a === 'string' ? wholeOf(a, /^\d+$/) : numberOf(a);
    return value === undefined ? undefined : asUint(Math.trunc(value));
  },
  double: (a) => {
    const value = typeof a === 'string' ? doubleOf(a) : numberOf(a);
    return value === undefined ? undefined : new Double(value);
  },
  string: textOf,
  bool: (a) => {
    if (typeof a === 'boolean') return a;
    if (typeof a !== 'string') return undefined;
    return booleans.get(a);
  },
  bytes: (a) => {
    if (typeof a === 'string') return Buffer.from(a);
    return a instanceof Uint8Array ? a : undefined;
  },
  duration: (a) => {
    if (typeof a === 'string') return parseDuration(a);
    return a instanceof Duration ? a : undefined;
  },
  timestamp: (a) => {
    if (typeof a === 'string') return parseTimestamp(a);
    if (typeof a === 'number') return timestampOf(a * 1e6);
    return a instanceof Timestamp ? a : undefined;
  },
  type: (a) => new TypeName(typeOf(a)),
  dyn: (a) => a,
  ...Object.fromEntries(
    timeFields.map((name): [string, CelFunctionBody] => [
      name,
      (a, b = 'UTC') => (typeof b === 'string' ? timeField(name, a, b) : undefined),
    ]),
  ),
};

/** The text of what can be made one; lists and maps cannot. */
export function textOf(value: CelValue): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value instanceof Uint) return String(value.value);
  if (value instanceof Double) return doubleText(value.value);
  if (value instanceof Duration) return durationText(value);
  if (value instanceof Timestamp) return timestampText(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString() : undefined;
}

const booleans: ReadonlyMap<string, boolean> = new Map([
  ...['true', 't', '1', 'TRUE', 'True'].map((text) => [text, true] as const),
  ...['false', 'f', '0', 'FALSE', 'False'].map((text) => [text, false] as const),
]);

function texts(
  a: CelValue,
  b: CelValue | undefined,
  test: (text: string, other: string) => boolean,
): CelResult {
  return typeof a === 'string' && typeof b === 'string' ? test(a, b) : undefined;
}

/** Of a text: its code points. */
function size(value: CelValue): CelResult {
  if (typeof value === 'string') {
    let count = value.length;
    for (let i = 1; i < value.length; i++) {
      if (isLow(value.charCodeAt(i)) && isHigh(value.charCodeAt(i - 1))) count--;
    }
    return count;
  }
  if (isList(value) || value instanceof Uint8Array) return value.length;
  return isMap(value) ? value.keys().length : undefined;
}

function isHigh(unit: number): boolean {
  return (unit & 0xfc00) === 0xd800;
}

function isLow(unit: number): boolean {
  return (unit & 0xfc00) === 0xdc00;
}

function int(value: CelValue): CelResult {
  if (typeof value === 'string') return wholeOf(value, /^-?\d+$/);
  if (value instanceof Timestamp) return Math.floor(value.us / 1e6);
  if (value instanceof Duration) return Math.trunc(value.ns / 1e9);
  const number = numberOf(value);
  if (number === undefined) return undefined;
  const whole = Math.trunc(number);
  return Number.isSafeInteger(whole) ? whole + 0 : undefined;
}

function wholeOf(text: string, form: RegExp): number | undefined {
  if (text.length > 20 || !form.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value + 0 : undefined;
}

function asUint(value: number): CelResult {
  return Number.isSafeInteger(value) && value >= 0 ? new Uint(value + 0) : undefined;
}

function doubleOf(text: string): number | undefined {
  if (text.length > 64 || !/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return undefined;
  return Number(text);
}

/** As C's %g where it is whole: `1`, and not `1.0`. */
function doubleText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (Number.isFinite(value)) return String(value);
  return value > 0 ? 'inf' : '-inf';
}
