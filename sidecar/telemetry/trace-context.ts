// W3C Trace Context: reading and writing `traceparent`, and identifiers.
import { getRandomValues } from 'node:crypto';

import { latin1At } from '../wire/bytes.ts';
import type { LogRecord } from './log-record.ts';
import type { SpanEvent } from './tracing/span.ts';

/** What a sampled exchange carries in `x.trace`. */
export class Trace {
  /** 32 hex digits. */
  readonly traceId: string;
  /** Our span: 16 hex digits. */
  readonly spanId: string;
  /** The caller's span; '' when the trace starts here. */
  readonly parentId: string;
  readonly sampled: boolean;
  /** Null: nothing was noted. */
  events: SpanEvent[] | null = null;

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

/** Whether the caller samples it. @param traceparent a valid one */
export function isSampled(traceparent: string): boolean {
  // The last hex digit's low bit is the sampled flag: odd digits have odd codes, letters the reverse.
  const last = traceparent.charCodeAt(54);
  return (last > 0x39 ? (last - 0x57) & 1 : last & 1) === 1;
}

/** A sampled span of our own in the trace of a valid traceparent. */
export function joinTrace(traceparent: string): Trace {
  return childOf(traceparent.slice(3, 35), traceparent.slice(36, 52));
}

/** A sampled span of our own below another one. */
export function childOf(traceId: string, parentId: string): Trace {
  return new Trace(traceId, randomHex64(), parentId, true);
}

/** A sampled trace of our own. */
export function startTrace(): Trace {
  return new Trace(randomHex64() + randomHex64(), randomHex64(), '', true);
}

/**
 * The header of a trace that nobody records, so that those who come next do not either: made for most calls of
 * most meshes. Nobody looks for its span, which is half of the trace's identifier.
 */
export function unsampledHeader(): string {
  const third = random32();
  const last = random32();
  // No span is all zero.
  if (third === 0 && last === 0) return unsampledHeader();
  writeHex(3, random32());
  writeHex(11, random32());
  writeHex(19, third);
  writeHex(27, last);
  writeHex(36, third);
  writeHex(44, last);
  return latin1At(unsampled, 0, unsampled.length);
}

/** Draws lots. @param ratio 0 to 1: how often it is true */
export function isDrawn(ratio: number): boolean {
  return ratio > 0 && random32() < ratio * 0x1_0000_0000;
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
/** Written anew for each trace that nobody records. */
const unsampled = Buffer.from(`00-${'0'.repeat(32)}-${'0'.repeat(16)}-00`, 'latin1');
const digits = Buffer.from('0123456789abcdef');
const hexBytes = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

/** xoshiro128** (Blackman, Vigna): identifiers must not collide; they need not be secret. */
const state = new Uint32Array(4);
do getRandomValues(state);
while (state.every((word) => word === 0));

function random32(): number {
  // By index: a pattern would go through the array's iterator, which costs more than all else here.
  const s0 = state[0]!;
  const s1 = state[1]!;
  const s2 = state[2]!;
  const s3 = state[3]!;
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

/** Eight digits of `unsampled` from `at` on. */
function writeHex(at: number, word: number): void {
  for (let shift = 24; shift >= 0; shift -= 8) {
    const byte = (word >>> shift) & 0xff;
    unsampled[at++] = digits[byte >>> 4]!;
    unsampled[at++] = digits[byte & 15]!;
  }
}
