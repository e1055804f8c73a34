// Reads what a resolver asks, strictly: whatever does not hold what it says it holds gets a code and goes no further.
import {
  bits,
  codes,
  header,
  headerBytes,
  nameBytesMax,
  payloadBytesMax,
  plainPayloadBytes,
  types,
} from './message.ts';

export interface Query {
  readonly kind: 'query';
  readonly bytes: Buffer;
  readonly id: number;
  /** Lower-case, without a final dot; null: it is no name of a host. */
  readonly host: string | null;
  readonly type: number;
  readonly isInternet: boolean;
  /** As asked: name, type and class. */
  readonly question: Buffer;
  /** What its sender takes by UDP; null: it knows no EDNS. */
  readonly payloadBytes: number | null;
}

/** A message that gets no more than a code. */
export interface Refused {
  readonly kind: 'refused';
  readonly answer: Buffer;
}

const recordsMax = 16;

/** Null: it is to be dropped, being an answer or nothing at all. Never throws. */
export function readQuery(bytes: Buffer): Query | Refused | null {
  if (bytes.length < headerBytes) return null;
  const flags = bytes.readUInt16BE(2);
  if ((flags & bits.isAnswer) !== 0) return null;
  if ((flags & bits.opcode) !== 0) return refuse(bytes, codes.notImplemented);
  const [questions, answers] = [bytes.readUInt16BE(4), bytes.readUInt16BE(6)];
  const others = bytes.readUInt16BE(8) + bytes.readUInt16BE(10);
  const nameEnd = endOfName(bytes, headerBytes);
  const end = nameEnd + 4;
  if (
    questions !== 1 ||
    answers !== 0 ||
    others > recordsMax ||
    nameEnd < 0 ||
    end > bytes.length
  ) {
    return refuse(bytes, codes.formatError);
  }
  const payloadBytes = readRecords(bytes, end, others);
  if (payloadBytes === 'wrong') return refuse(bytes, codes.formatError);
  return {
    kind: 'query',
    bytes,
    id: bytes.readUInt16BE(0),
    host: hostOf(bytes, headerBytes),
    type: bytes.readUInt16BE(nameEnd),
    isInternet: bytes.readUInt16BE(nameEnd + 2) === 1,
    question: bytes.subarray(headerBytes, end),
    payloadBytes,
  };
}

/** Most bytes of an answer by UDP. */
export function payloadLimit({ payloadBytes }: Query): number {
  return Math.min(Math.max(payloadBytes ?? 0, plainPayloadBytes), payloadBytesMax);
}

/** Where a name ends; -1: it is none. A question's is never compressed: there is nothing before it. */
function endOfName(bytes: Buffer, start: number): number {
  let at = start;
  for (;;) {
    const length = bytes[at];
    if (length === undefined || length > 63 || at - start >= nameBytesMax) return -1;
    at += 1 + length;
    if (length === 0) return at;
  }
}

/** The payload that EDNS tells, if any is there. Nothing may follow the last record. */
function readRecords(bytes: Buffer, start: number, count: number): number | null | 'wrong' {
  let payload: number | null = null;
  let at = start;
  for (let i = 0; i < count; i++) {
    const isRoot = bytes[at] === 0;
    at = endOfOwner(bytes, at);
    if (at < 0 || at + 10 > bytes.length) return 'wrong';
    if (bytes.readUInt16BE(at) === types.opt) {
      if (payload !== null || !isRoot) return 'wrong';
      payload = bytes.readUInt16BE(at + 2);
    }
    at += 10 + bytes.readUInt16BE(at + 8);
  }
  return at === bytes.length ? payload : 'wrong';
}

/** A record's owner may point back to a name before it, which ends it. */
function endOfOwner(bytes: Buffer, start: number): number {
  let at = start;
  for (;;) {
    const length = bytes[at];
    if (length === undefined || at - start >= nameBytesMax) return -1;
    if (length >= 0xc0) return at + 2;
    if (length > 63) return -1;
    at += 1 + length;
    if (length === 0) return at;
  }
}

/** A label with a dot or another odd byte in it is never taken for the name that it looks like. */
function hostOf(bytes: Buffer, start: number): string | null {
  const labels: string[] = [];
  let at = start;
  for (let length = bytes[at] ?? 0; length > 0; length = bytes[at] ?? 0) {
    const label = bytes.toString('latin1', at + 1, at + 1 + length);
    if (!/^[A-Za-z0-9_-]+$/.test(label)) return null;
    labels.push(label.toLowerCase());
    at += 1 + length;
  }
  return labels.length === 0 ? null : labels.join('.');
}

function refuse(bytes: Buffer, code: number): Refused {
  const kept = bytes.readUInt16BE(2) & (bits.opcode | bits.recursionWanted);
  const answer = header(bytes.readUInt16BE(0), bits.isAnswer | kept | code, [0, 0, 0, 0]);
  return { kind: 'refused', answer };
}
