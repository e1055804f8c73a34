// Writes answers to questions, and tells whether a message of another server is one.
import { isIPv4 } from 'node:net';

import { readIp } from '#policy/match/ip.ts';

import { bits, codeOf, codes, header, headerBytes, payloadBytesMax, types } from './message.ts';
import type { Query } from './query.ts';

export interface Records {
  /** What the name that was asked for is another name of; null: it has the addresses itself. */
  readonly canonical: string | null;
  readonly addresses: readonly string[];
}

/** Where the question's name begins, as a pointer of RFC 1035 4.1.4. */
const pointerToQuestion = Buffer.from([0xc0, headerBytes]);
/** An answer with authority, of a server that asks others too. */
const ownAnswer = bits.isAnswer | bits.authority | bits.recursionThere;
/** Of the root, without options: whoever asks with EDNS is answered with it. */
const ednsRecord = Buffer.alloc(11);
ednsRecord.writeUInt16BE(types.opt, 1);
ednsRecord.writeUInt16BE(payloadBytesMax, 3);

/** The answer with these records; without any it says that the name is there, but has no such record. */
export function writeAnswer(query: Query, { canonical, addresses }: Records, ttl: number): Buffer {
  const records: Buffer[] = [];
  let owner = pointerToQuestion;
  if (canonical !== null) {
    records.push(record(owner, types.cname, ttl, nameBytes(canonical)));
    // Where that record's data begins: after its owner, type, class, TTL and length.
    const at = headerBytes + query.question.length + owner.length + 10;
    owner = Buffer.from([0xc0 | (at >> 8), at & 0xff]);
  }
  for (const address of addresses) {
    const type = isIPv4(address) ? types.a : types.aaaa;
    records.push(record(owner, type, ttl, addressBytes(address)));
  }
  return answerOf(query, ownAnswer, codes.noError, records);
}

/** To be asked for again by TCP. */
export function writeTruncated(query: Query): Buffer {
  return answerOf(query, bits.isAnswer | bits.truncated, codes.noError, []);
}

export function writeFailure(query: Query, code: number): Buffer {
  return answerOf(query, bits.isAnswer, code, []);
}

/**
 * Whether a message is the answer to a question that was sent: by its number, and by the question in it. One that says that
 * it did not understand needs no question.
 */
export function isAnswerTo(query: Query, id: number, message: Buffer): boolean {
  if (message.length < headerBytes || message.readUInt16BE(0) !== id) return false;
  const flags = message.readUInt16BE(2);
  if ((flags & bits.isAnswer) === 0 || (flags & bits.opcode) !== 0) return false;
  const questions = message.readUInt16BE(4);
  if (questions === 0) return codeOf(message) !== codes.noError && message.length === headerBytes;
  const end = headerBytes + query.question.length;
  return questions === 1 && isSameQuestion(message.subarray(headerBytes, end), query.question);
}

/** Some senders mix the case of letters, to tell forged answers by it. */
function isSameQuestion(a: Buffer, b: Buffer): boolean {
  return (
    a.length === b.length && a.subarray(-4).equals(b.subarray(-4)) && lowerCase(a) === lowerCase(b)
  );
}

function lowerCase(bytes: Buffer): string {
  return bytes.toString('latin1').toLowerCase();
}

/** @param name of a snapshot: labels of 63 bytes at most */
function nameBytes(name: string): Buffer {
  const labels = name.split('.').map((label) => {
    const bytes = Buffer.from(label, 'latin1').subarray(0, 63);
    return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  });
  return Buffer.concat([...labels, Buffer.from([0])]);
}

function addressBytes(address: string): Buffer {
  const { version, words } = readIp(address);
  const bytes = Buffer.alloc(version === 4 ? 4 : 16);
  for (let at = 0; at < bytes.length; at += 4) bytes.writeInt32BE((words[at / 4] ?? 0) | 0, at);
  return bytes;
}

function record(owner: Buffer, type: number, ttl: number, data: Buffer): Buffer {
  const head = Buffer.alloc(10);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(1, 2);
  head.writeUInt32BE(ttl, 4);
  head.writeUInt16BE(data.length, 8);
  return Buffer.concat([owner, head, data]);
}

function answerOf(query: Query, flags: number, code: number, records: readonly Buffer[]): Buffer {
  const wanted = query.bytes.readUInt16BE(2) & bits.recursionWanted;
  const extra = query.payloadBytes === null ? [] : [ednsRecord];
  const head = header(query.id, flags | wanted | code, [1, records.length, 0, extra.length]);
  return Buffer.concat([head, query.question, ...records, ...extra]);
}
