// Counts gRPC's messages in the bytes of a body as they pass: each has one byte of flags and four of its length before it.

export class MessageCounter {
  count = 0;
  /** Bytes of the present prefix that have come, 0 to 4. */
  private prefix = 0;
  private length = 0;
  /** Bytes of the present message that are still to come. */
  private rest = 0;

  read(buffer: Buffer, from: number, to: number): void {
    let at = from;
    while (at < to) {
      if (this.rest > 0) {
        const here = Math.min(this.rest, to - at);
        this.rest -= here;
        at += here;
      } else if (this.readPrefix(buffer[at++] ?? 0)) {
        this.count += 1;
      }
    }
  }

  /** @returns whether a message begins after it */
  private readPrefix(byte: number): boolean {
    if (this.prefix > 0) this.length = this.length * 256 + byte;
    this.prefix += 1;
    if (this.prefix < prefixBytes) return false;
    this.rest = this.length;
    this.prefix = 0;
    this.length = 0;
    return true;
  }
}

const prefixBytes = 5;

/** Of one call. */
export class GrpcMessages {
  readonly request = new MessageCounter();
  readonly response = new MessageCounter();
}
