// Classes of bytes as lookup tables, so that a parser decides about a byte with one load.

export const TAB = 9;
export const LF = 10;
export const CR = 13;
export const SPACE = 32;
export const QUOTE = 34;
export const COMMA = 44;
export const COLON = 58;
export const SEMICOLON = 59;
export const EQUALS = 61;
export const BACKSLASH = 92;

const tokenBytes = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const authorityBytes =
  "-._~%!$&'()*+,;=:@[]0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** A token byte (RFC 9110 5.6.2) in lower case, or 0. */
export const FOLD = table((byte) =>
  !includes(tokenBytes, byte) ? 0 : byte >= 65 && byte <= 90 ? byte | 32 : byte,
);
/** 1: may stand in a field value (RFC 9110 5.5): HTAB, visible, SP, obs-text. */
export const FIELD = table((byte) => Number(byte === TAB || (byte >= SPACE && byte !== 127)));
/** 1: may stand in a request target: visible ASCII. Stricter than Node, the same as Envoy. */
export const TARGET = table((byte) => Number(byte > SPACE && byte < 127));
/** 1: may stand in `Host`. `@` ought not to (RFC 9110 4.2.4), but Envoy lets policies see it. */
export const AUTHORITY = table((byte) => Number(includes(authorityBytes, byte)));
/** Value of a hexadecimal digit, or 255. */
export const HEX = table((byte) => {
  const digit = '0123456789abcdef'.indexOf(String.fromCharCode(byte).toLowerCase());
  return digit < 0 ? 255 : digit;
});

function includes(set: string, byte: number): boolean {
  return set.includes(String.fromCharCode(byte));
}

function table(classify: (byte: number) => number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => classify(byte));
}

/** Methods of every Node buffer that its documentation and types leave out: no argument checks. */
interface Unchecked {
  latin1Slice(from: number, to: number): string;
  utf8Slice(from: number, to: number): string;
  latin1Write(text: string, offset: number): number;
}

export function latin1At(buffer: Buffer, from: number, to: number): string {
  return (buffer as Buffer & Unchecked).latin1Slice(from, to);
}

export function utf8At(buffer: Buffer, from: number, to: number): string {
  return (buffer as Buffer & Unchecked).utf8Slice(from, to);
}

/** @param text one byte a character, with room for it. @returns the offset after it */
export function writeLatin1(out: Buffer, text: string, offset: number): number {
  return offset + (out as Buffer & Unchecked).latin1Write(text, offset);
}
