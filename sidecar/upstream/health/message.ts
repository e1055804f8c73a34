// The two messages of grpc.health.v1.Health/Check, each behind gRPC's five bytes.

/** A message with one field: `string service = 1`, behind gRPC's five bytes. */
export function healthRequest(service: string): Buffer {
  const name = Buffer.from(service);
  const field = name.length === 0 ? [] : [0x0a, ...varint(name.length)];
  const message = Buffer.concat([Buffer.from(field), name]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** `ServingStatus status = 1`, of which SERVING is 1, first in the message; nothing compressed. */
export function isServing(body: Buffer): boolean {
  const length = body.length >= 5 ? body.readUInt32BE(1) : -1;
  if (length !== body.length - 5 || body[0] !== 0) return false;
  return length >= 2 && body[5] === 0x08 && body[6] === 1;
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}
