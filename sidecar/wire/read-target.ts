// Reads of upstream sockets: all into one buffer, whoever the socket's bytes turn out to be for.
import type { OnReadOpts } from 'node:net';

/** Every upstream socket reads into it; each read is used up before the next. */
const readBuffer = Buffer.allocUnsafeSlow(65_536);

/** What gets the bytes of one socket: set once it is known what the socket speaks. */
export class ReadTarget {
  /** @returns false: the socket is to be paused. Bytes are only good during the call */
  take: (size: number, buffer: Buffer) => boolean = () => true;

  readonly onread: OnReadOpts = {
    buffer: readBuffer,
    callback: (size, buffer) => this.take(size, buffer as Buffer),
  };
}
