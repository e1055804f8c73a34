// Durations and points in time as CEL writes and takes them apart.
import { Duration, Timestamp, type CelResult } from './values.ts';

const unitNs: Readonly<Record<string, number>> = {
  h: 3_600_000_000_000,
  m: 60_000_000_000,
  s: 1_000_000_000,
  ms: 1_000_000,
  us: 1000,
  µs: 1000,
  ns: 1,
};
const part = /(\d+(?:\.\d*)?|\.\d+)(h|ms|m|s|us|µs|ns)/y;
/** 10,000 years, as protobuf's. */
const durationNsMax = 315_576_000_000 * 1e9;
const yearOneMs = Date.parse('0001-01-01T00:00:00Z');
const yearMaxMs = Date.parse('+010000-01-01T00:00:00Z');
const textCharsMax = 64;

/** Go's form: `1h30m`, `-1.5s`, `0`. */
export function parseDuration(text: string): CelResult {
  if (text.length > textCharsMax) return undefined;
  const sign = text.startsWith('-') ? -1 : 1;
  const rest = text.replace(/^[+-]/, '');
  if (rest === '0') return new Duration(0);
  let ns = 0;
  part.lastIndex = 0;
  do {
    const match = part.exec(rest);
    if (match === null) return undefined;
    ns += Number(match[1]) * (unitNs[match[2] ?? ''] ?? 0);
  } while (part.lastIndex < rest.length);
  return durationOf(sign * Math.round(ns));
}

export function durationOf(ns: number): CelResult {
  return Math.abs(ns) <= durationNsMax ? new Duration(ns) : undefined;
}

const rfc3339 = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/i;

export function parseTimestamp(text: string): CelResult {
  const match = rfc3339.exec(text);
  if (match === null) return undefined;
  const [, seconds = '', fraction = '', zone = ''] = match;
  const ms = Date.parse(`${seconds}${zone}`);
  return Number.isNaN(ms)
    ? undefined
    : timestampOf(ms * 1000 + Number(fraction.padEnd(6, '0').slice(0, 6)));
}

export function timestampOf(us: number): CelResult {
  const ms = us / 1000;
  return ms >= yearOneMs && ms < yearMaxMs ? new Timestamp(Math.floor(us)) : undefined;
}

/** As CEL's string() gives it: `1.5s`. */
export function durationText({ ns }: Duration): string {
  return `${Number((ns / 1e9).toFixed(9))}s`;
}

/** RFC 3339, as fine as it is. */
export function timestampText({ us }: Timestamp): string {
  const whole = new Date(Math.floor(us / 1e6) * 1000).toISOString().slice(0, 19);
  const fraction = String(((us % 1e6) + 1e6) % 1e6)
    .padStart(6, '0')
    .replace(/0+$/, '');
  return `${whole}${fraction === '' ? '' : `.${fraction}`}Z`;
}

type Clock = (at: Temporal.ZonedDateTime) => number;

/** CEL counts months, days of the month (but in getDate) and days of the year from 0, and weeks from Sunday. */
const ofTimestamp: Readonly<Record<string, Clock>> = {
  getFullYear: ({ year }) => year,
  getMonth: ({ month }) => month - 1,
  getDayOfMonth: ({ day }) => day - 1,
  getDate: ({ day }) => day,
  getDayOfWeek: ({ dayOfWeek }) => dayOfWeek % 7,
  getDayOfYear: ({ dayOfYear }) => dayOfYear - 1,
  getHours: ({ hour }) => hour,
  getMinutes: ({ minute }) => minute,
  getSeconds: ({ second }) => second,
  getMilliseconds: ({ millisecond }) => millisecond,
};

const ofDuration: Readonly<Record<string, number>> = {
  getHours: 3_600_000_000_000,
  getMinutes: 60_000_000_000,
  getSeconds: 1_000_000_000,
};

/** @param zone `UTC`, `+02:00`, `Europe/Berlin` */
export function timeField(name: string, of: CelResult, zone: string): CelResult {
  if (of instanceof Duration) {
    const { ns } = of;
    if (name === 'getMilliseconds') return Math.trunc((ns % 1e9) / 1e6);
    const unit = ofDuration[name];
    return unit === undefined ? undefined : Math.trunc(ns / unit);
  }
  const read = ofTimestamp[name];
  if (!(of instanceof Timestamp) || read === undefined) return undefined;
  try {
    const ms = Math.floor(of.us / 1000);
    return read(Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(zone));
  } catch {
    // There is no such zone.
    return undefined;
  }
}
