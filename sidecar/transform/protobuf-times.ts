// Timestamp, Duration and FieldMask as JSON writes them: RFC 3339, seconds with an s, and paths in camel case.
import { ProtobufError } from '../authorizer/protobuf.ts';
import { JsonMismatch } from './protobuf-scalar.ts';

/** Seconds and nanoseconds: the fields 1 and 2 of either message. */
export type Times = readonly [seconds: bigint, nanos: number];

const timestamp =
  /^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;
const duration = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/;
/** 0001-01-01 and the end of 9999. */
const timestampMin = -62_135_596_800;
const timestampMax = 253_402_300_799;
/** 10,000 years. */
const durationMax = 315_576_000_000n;
const nanosMax = 999_999_999;

export function readTimestamp(value: unknown, at: string): Times {
  const [, day, time, fraction = '', sign, hours, minutes] =
    typeof value === 'string' ? (timestamp.exec(value) ?? []) : [];
  const local = Date.parse(`${day}T${time}Z`);
  const real = !Number.isNaN(local) && new Date(local).toISOString() === `${day}T${time}.000Z`;
  if (!real || Number(hours ?? 0) > 23 || Number(minutes ?? 0) > 59) {
    throw new JsonMismatch(`${at} is no time as 2030-01-31T12:00:00Z`);
  }
  const offset = (Number(hours ?? 0) * 60 + Number(minutes ?? 0)) * 60;
  const seconds = local / 1000 - (sign === '-' ? -offset : offset);
  if (seconds < timestampMin || seconds > timestampMax) {
    throw new JsonMismatch(`${at} is out of the range of its type`);
  }
  return [BigInt(seconds), Number(fraction.padEnd(9, '0'))];
}

export function writeTimestamp([seconds, nanos]: Times): string {
  const whole = Number(seconds);
  if (whole < timestampMin || whole > timestampMax || nanos < 0 || nanos > nanosMax) {
    throw new ProtobufError('a Timestamp is out of its range');
  }
  return `${new Date(whole * 1000).toISOString().slice(0, 19)}${fractionOf(nanos)}Z`;
}

export function readDuration(value: unknown, at: string): Times {
  const [, sign, whole, fraction = ''] =
    typeof value === 'string' ? (duration.exec(value) ?? []) : [];
  if (whole === undefined) throw new JsonMismatch(`${at} is no duration as 1.5s`);
  const seconds = BigInt(whole);
  if (seconds > durationMax) throw new JsonMismatch(`${at} is out of the range of its type`);
  const nanos = Number(fraction.padEnd(9, '0'));
  return sign === '-' ? [-seconds, nanos === 0 ? 0 : -nanos] : [seconds, nanos];
}

export function writeDuration([seconds, nanos]: Times): string {
  const whole = seconds < 0n ? -seconds : seconds;
  const mixed = (seconds < 0n && nanos > 0) || (seconds > 0n && nanos < 0);
  if (whole > durationMax || Math.abs(nanos) > nanosMax || mixed) {
    throw new ProtobufError('a Duration is out of its range');
  }
  const sign = seconds < 0n || nanos < 0 ? '-' : '';
  return `${sign}${whole}${fractionOf(Math.abs(nanos))}s`;
}

/** @returns the paths with their original names */
export function readFieldMask(value: unknown, at: string): string[] {
  if (typeof value !== 'string' || !/^[\w.,]*$/.test(value) || value.includes('_')) {
    throw new JsonMismatch(`${at} is no list of fields as a,b.cD`);
  }
  const original = value.replaceAll(/[A-Z]/g, (upper) => `_${upper.toLowerCase()}`);
  return original === '' ? [] : original.split(',');
}

export function writeFieldMask(paths: readonly string[]): string {
  return paths
    .map((path) => path.replaceAll(/_([a-z])/g, (_all, next: string) => next.toUpperCase()))
    .join(',');
}

/** With three, six or nine digits, or none. */
function fractionOf(nanos: number): string {
  if (nanos === 0) return '';
  return `.${String(nanos)
    .padStart(9, '0')
    .replace(/(?:000){1,2}$/, '')}`;
}
