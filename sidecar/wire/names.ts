// Header names as 32-bit signatures: cheap to make, compared before any byte is.
import { FOLD } from './bytes.ts';

/** Headers that mean something to the wire engine itself. */
export const known = Object.freeze({
  none: 0,
  connection: 1,
  contentLength: 2,
  transferEncoding: 3,
  host: 4,
  upgrade: 5,
  keepAlive: 6,
  proxyConnection: 7,
  te: 8,
  expect: 9,
});

const knownNames: readonly string[] = [
  '',
  'connection',
  'content-length',
  'transfer-encoding',
  'host',
  'upgrade',
  'keep-alive',
  'proxy-connection',
  'te',
  'expect',
];

const slots = 64;
const { multiplier, slotOf } = perfectSlots();
const hostSign = signatureOf('host');
const encodingSign = signatureOf('transfer-encoding');
const upgradeSign = signatureOf('upgrade');

/** @param name lower-case. Never 0 */
export function signatureOf(name: string): number {
  const n = name.length;
  return (
    (n & 0xff) |
    (name.charCodeAt(0) << 8) |
    (name.charCodeAt(n >> 1) << 16) |
    (name.charCodeAt(n - 1) << 24)
  );
}

/** The signature of the name at `from…to` (token bytes only, not empty), whatever its case. */
export function signatureAt(buffer: Buffer, from: number, to: number): number {
  const n = to - from;
  return (
    (n & 0xff) |
    (FOLD[buffer[from]!]! << 8) |
    (FOLD[buffer[from + (n >> 1)]!]! << 16) |
    (FOLD[buffer[to - 1]!]! << 24)
  );
}

/** Whether the bytes at `from…to` are `name`, whatever their case. @param name lower-case */
export function isNamed(buffer: Buffer, from: number, to: number, name: string): boolean {
  if (to - from !== name.length) return false;
  for (let i = 0; i < name.length; i++) {
    if (FOLD[buffer[from + i]!] !== name.charCodeAt(i)) return false;
  }
  return true;
}

/** As `isNamed`, with `_` as good as `-`. */
export function isSpelled(buffer: Buffer, from: number, to: number, name: string): boolean {
  if (to - from !== name.length) return false;
  for (let i = 0; i < name.length; i++) {
    const byte = buffer[from + i]!;
    if (FOLD[byte === UNDERSCORE ? DASH : byte] !== name.charCodeAt(i)) return false;
  }
  return true;
}

const DASH = 45;
const UNDERSCORE = 95;

/** Whether the wire engine itself owns that header. @param name lower-case */
export function isKnown(name: string): boolean {
  return knownNames[slotOf[Math.imul(signatureOf(name), multiplier) >>> 26]!] === name;
}

/** Which of `known` stands at `from…to`. */
export function knownAt(buffer: Buffer, from: number, to: number, signature: number): number {
  const id = slotOf[Math.imul(signature, multiplier) >>> 26]!;
  return id !== 0 && isNamed(buffer, from, to, knownNames[id]!) ? id : 0;
}

/** `host`, which HTTP/2 calls `:authority`, and what it forbids (RFC 9113 8.2.2) and we did not cut. */
export function isOfHttp1(buffer: Buffer, from: number, to: number, signature: number): boolean {
  if (signature !== hostSign && signature !== encodingSign && signature !== upgradeSign)
    return false;
  const id = knownAt(buffer, from, to, signature);
  return id === known.host || id === known.transferEncoding || id === known.upgrade;
}

/** Finds a multiplier that sends every known signature to a slot of its own. */
function perfectSlots(): { multiplier: number; slotOf: Uint8Array } {
  for (let multiplier = 0x9e3779b1 | 0; ; multiplier = (multiplier + 2) | 0) {
    const slotOf = new Uint8Array(slots);
    let free = true;
    for (let id = 1; id < knownNames.length && free; id++) {
      const slot = Math.imul(signatureOf(knownNames[id]!), multiplier) >>> 26;
      free = slotOf[slot] === 0;
      slotOf[slot] = id;
    }
    if (free) return { multiplier, slotOf };
  }
}
