// A value of CEL as Envoy writes it into logs and labels.
import { timestampText } from './times.ts';
import {
  Double,
  Duration,
  isList,
  Timestamp,
  TypeName,
  Uint,
  type CelResult,
  type CelValue,
} from './values.ts';

/** Null: there is no value. */
export function celText(value: CelResult): string | null {
  switch (typeof value) {
    case 'undefined':
      return null;
    case 'string':
      return value;
    case 'number':
    case 'boolean':
      return String(value);
    default:
      return textOfObject(value);
  }
}

function textOfObject(value: Exclude<CelValue, string | number | boolean>): string {
  if (value === null) return 'NULL';
  if (value instanceof Uint) return String(value.value);
  if (value instanceof Double) return doubleText(value.value);
  if (value instanceof Duration) return durationText(value);
  if (value instanceof Timestamp) return timestampText(value).replace('Z', '+00:00');
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  if (value instanceof TypeName) return 'CelType value';
  return isList(value) ? 'CelList value' : 'CelMap value';
}

/** Six digits, as C's %g. */
function doubleText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  const short = Number(value.toPrecision(6));
  const size = Math.abs(short);
  if (size !== 0 && (size < 1e-4 || size >= 1e6)) {
    return short.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  }
  return String(short);
}

const smallUnits: readonly (readonly [ns: number, unit: string])[] = [
  [1_000_000, 'ms'],
  [1000, 'us'],
  [1, 'ns'],
];

/** `1h30m`, `1.5s`, `2.733942ms`, `0`. */
function durationText({ ns }: Duration): string {
  if (ns === 0) return '0';
  const sign = ns < 0 ? '-' : '';
  const size = Math.abs(ns);
  if (size < 1e9) {
    const [unitNs, unit] = smallUnits.find(([least]) => size >= least) ?? [1, 'ns'];
    return `${sign}${Number((size / unitNs).toFixed(6))}${unit}`;
  }
  const hours = Math.floor(size / 3.6e12);
  const minutes = Math.floor((size % 3.6e12) / 6e10);
  const seconds = Number(((size % 6e10) / 1e9).toFixed(9));
  return `${sign}${part(hours, 'h')}${part(minutes, 'm')}${part(seconds, 's')}`;
}

function part(count: number, unit: string): string {
  return count === 0 ? '' : `${count}${unit}`;
}
