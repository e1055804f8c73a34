// What is read only to be dropped: the rest of a body that nobody wants, and what comes after the last answer.
import type { BodyCursor } from './body.ts';
import type { Input } from './input.ts';

export class Discard {
  private bytes = 0;
  private readonly bytesMax: number;

  /** @param bytesMax that are read before the connection is given up */
  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  begin(): void {
    this.bytes = 0;
  }

  /** Takes what belongs to the body. @returns false: it is malformed, or too much */
  body(input: Input, cursor: BodyCursor): boolean {
    const end = cursor.take(input.buffer!, input.from, input.to);
    if (end < 0) return false;
    this.bytes += end - input.from;
    input.from = end;
    return this.bytes <= this.bytesMax;
  }

  /** Takes all there is. @returns false: it is too much */
  all(input: Input): boolean {
    this.bytes += input.to - input.from;
    input.from = input.to;
    return this.bytes <= this.bytesMax;
  }
}
