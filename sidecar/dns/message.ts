// What all messages of DNS share (RFC 1035, EDNS of RFC 6891): codes, bits and the header.

export const types = { a: 1, cname: 5, aaaa: 28, opt: 41 } as const;
export const codes = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  notImplemented: 4,
  refused: 5,
} as const;

export const headerBytes = 12;
/** Of a name with its lengths. */
export const nameBytesMax = 255;
/** Without EDNS no answer by UDP may be longer. */
export const plainPayloadBytes = 512;
/** Most that is sent by UDP whatever the sender takes: longer ones are cut into fragments, which get lost. */
export const payloadBytesMax = 1232;
export const bits = {
  isAnswer: 0x8000,
  opcode: 0x7800,
  authority: 0x0400,
  truncated: 0x0200,
  recursionWanted: 0x0100,
  recursionThere: 0x0080,
} as const;

/** @param counts of questions, answers, authorities and others */
export function header(id: number, flags: number, counts: readonly number[]): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  for (const [i, value] of [id, flags, ...counts].entries()) bytes.writeUInt16BE(value, 2 * i);
  return bytes;
}

export function codeOf(message: Buffer): number {
  return message.readUInt16BE(2) & 0xf;
}

/** A copy with another number. */
export function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
}
