// W3C Trace Context: reading and writing `traceparent`, and identifiers.
import { getRandomValues } from 'node:crypto';

import type { LogRecord } from './log-record.ts';

/** What an exchange carries in `x.trace`. */
export class Trace {
  /** 32 hex digits. */
  readonly traceId: string;
  /** Our span: 16 hex digits. */
  readonly spanId: string;
  /** The caller's span; '' when the trace starts here. */
  readonly parentId: string;
  readonly sampled: boolean;

  constructor(traceId: string, spanId: string, parentId: string, sampled: boolean) {
    this.traceId = traceId;
    this.spanId = spanId;
    this.parentId = parentId;
    this.sampled = sampled;
  }

  /** The header for the next hop: our span is its parent. */
  header(): string {
    return `00-${this.traceId}-${this.spanId}-${this.sampled ? '01' : '00'}`;
  }
}

/**
 * Whether a value is a valid traceparent (W3C Trace Context level 1, section 3.2.2). Versions above
 * 00 are read by their first four fields, as the specification asks.
 */
export function isTraceparent(value: string): boolean {
  if (value.length < 55 || (value.length > 55 && value.charCodeAt(55) !== DASH)) return false;
  if (value.length > 55 && value.startsWith('00')) return false;
  if (value.startsWith('ff')) return false;
  let traceBits = 0;
  let parentBits = 0;
  for (let i = 0; i < 55; i++) {
    const char = value.charCodeAt(i);
    if (i === 2 || i === 35 || i === 52) {
      if (char !== DASH) return false;
      continue;
    }
    const isDigit = char >= 0x30 && char <= 0x39;
    if (!isDigit && (char < 0x61 || char > 0x66)) return false;
    if (i > 2 && i < 35) traceBits |= char ^ ZERO;
    else if (i > 35 && i < 52) parentBits |= char ^ ZERO;
  }
  return traceBits !== 0 && parentBits !== 0;
}

/** Joins the trace of a valid traceparent with a span of our own. */
export function joinTrace(traceparent: string): Trace {
  // The last hex digit's low bit is the sampled flag: odd digits have odd codes, letters the reverse.
  const last = traceparent.charCodeAt(54);
  const bit = last > 0x39 ? (last - 0x57) & 1 : last & 1;
  const traceId = traceparent.slice(3, 35);
  return new Trace(traceId, randomHex64(), traceparent.slice(36, 52), bit === 1);
}

/** @param ratio 0 to 1: the share of new traces that are sampled */
export function startTrace(ratio: number): Trace {
  const sampled = ratio > 0 && random32() < ratio * 0x1_0000_0000;
  return new Trace(randomHex64() + randomHex64(), randomHex64(), '', sampled);
}

/** For the log: ours, or the caller's where this sidecar does not trace; '' without one. */
export function traceIdOf(record: LogRecord): string {
  const x = record.exchange;
  if (x === null) return '';
  if (x.trace instanceof Trace) return x.trace.traceId;
  const values = x.request.values('traceparent');
  const value = values[0];
  if (values.length !== 1 || value === undefined || !isTraceparent(value)) return '';
  return value.slice(3, 35);
}

const DASH = 0x2d;
const ZERO = 0x30;
const hexBytes = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

/** xoshiro128** (Blackman, Vigna): identifiers must not collide; they need not be secret. */
const state = new Uint32Array(4);
do getRandomValues(state);
while (state.every((word) => word === 0));

function random32(): number {
  const [s0 = 0, s1 = 0, s2 = 0, s3 = 0] = state;
  const result = Math.imul(rotate(Math.imul(s1, 5), 7), 9) >>> 0;
  const t2 = s2 ^ s0;
  const t3 = s3 ^ s1;
  state[1] = s1 ^ t2;
  state[0] = s0 ^ t3;
  state[2] = t2 ^ (s1 << 9);
  state[3] = rotate(t3, 11);
  return result;
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** 16 hex digits, never all zero. */
function randomHex64(): string {
  const high = random32();
  const low = random32();
  if (high === 0 && low === 0) return randomHex64();
  return hex32(high) + hex32(low);
}

function hex32(word: number): string {
  return (
    (hexBytes[word >>> 24] ?? '') +
    (hexBytes[(word >>> 16) & 0xff] ?? '') +
    (hexBytes[(word >>> 8) & 0xff] ?? '') +
    (hexBytes[word & 0xff] ?? '')
  );
}
