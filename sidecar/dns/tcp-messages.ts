// Messages of DNS on TCP: each after its length in two bytes (RFC 1035 4.2.2).

const lengthBytes = 2;
const nothing = Buffer.alloc(0);

export function writeMessage(message: Buffer): Buffer {
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/**
 * Takes bytes as they come and tells each message that is whole.
 * @param onMessage null: a message is longer than it may be, and nothing more is told
 */
export function readMessages(
  bytesMax: number,
  onMessage: (message: Buffer | null) => void,
): (bytes: Buffer) => void {
  let rest: Buffer = nothing;
  let ended = false;
  return (bytes) => {
    if (ended) return;
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    while (rest.length >= lengthBytes) {
      const length = rest.readUInt16BE();
      if (length > bytesMax) {
        ended = true;
        onMessage(null);
        return;
      }
      const end = lengthBytes + length;
      if (rest.length < end) return;
      const message = rest.subarray(lengthBytes, end);
      rest = rest.subarray(end);
      onMessage(message);
    }
  };
}
