// Fuzzes what a connection is taken for by its first bytes: decided once, soon, and never otherwise with more bytes.
import { readOpening, type Opening } from '#sidecar/wire/first-bytes.ts';

import { requestBytes } from './http1.ts';
import { OwnReader } from './own.ts';
import { Random } from './random.ts';

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const reader = new OwnReader();
/** The first line of a request in a form that a server takes (RFC 9112 3.2), CONNECT's aside. */
const line = /^[!#$%&'*+.^_`|~\w-]{1,32} (?:[/*]|[a-z][a-z\d+.-]*:\/\/)[!-~]* HTTP\/1\.[01]\r\n/i;

/** @throws an input that is taken for something else with more bytes, by its seed */
export function fuzzFirstBytes(seed: number, executions: number): number {
  const random = new Random(seed);
  for (let i = 0; i < executions; i++) {
    random.seed(seed + i);
    const bytes = Buffer.from(write(random), 'latin1');
    const wrong = judgeOpening(bytes, random);
    if (wrong !== '') throw new Error(`first-bytes, seed ${seed + i}: ${wrong}`);
  }
  return executions;
}

function write(random: Random): string {
  const text = requestBytes(random);
  if (random.once(8)) return `${preface.slice(0, random.below(preface.length + 1))}${text}`;
  if (random.once(8)) return String.fromCharCode(random.below(256)) + text;
  if (random.once(16)) return `${text.slice(0, 5)}${'/a'.repeat(random.below(2_000))}${text}`;
  return text;
}

/** What is wrong with how these bytes are taken; '' if nothing. */
export function judgeOpening(bytes: Buffer, random: Random): string {
  const whole = readOpening(bytes, true);
  if (whole === null && bytes.length >= 2_048 && bytes[0] !== 22) return 'no end to reading';
  const prefix = readOpening(bytes.subarray(0, random.below(bytes.length + 1)), true);
  if (prefix !== null && nameOf(prefix) !== nameOf(whole)) return 'more bytes change the opening';
  const opening = readOpening(bytes, false);
  if (bytes.length > 0 && bytes[0] !== 22 && opening?.kind !== 'plaintext') return 'not plaintext';
  if (!line.test(bytes.toString('latin1', 0, 2_048))) return '';
  reader.begin();
  reader.take(bytes, 0, bytes.length);
  const isHttp = nameOf(whole) === 'http1';
  return reader.readings.requests.length > 0 && !isHttp ? 'a request is no HTTP' : '';
}

function nameOf(opening: Opening | null): string {
  return opening === null ? '' : opening.kind === 'plaintext' ? opening.looksLike : opening.kind;
}
