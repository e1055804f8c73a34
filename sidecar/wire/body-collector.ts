// Takes the place of an upstream while a layer waits for a request's body, and keeps it as content.
import { http1PoolLimits } from './http1/limits.ts';
import { ResponseHead } from './http1/response-head.ts';
import type { ResponseMessage, UpstreamStream } from './upstream.ts';

/** How the reading ended. `too-large`, `late`: what came until then is kept, the rest is still to come. */
export type Collected = 'whole' | 'too-large' | 'late' | 'gone';

export class BodyCollector implements UpstreamStream {
  readonly framed = false;
  readonly connected = true;
  readonly bodyBytes = 0;
  readonly trailerGrpcStatus = '';
  readonly settled: Promise<Collected>;
  private readonly bytesMax: number;
  private readonly timer: NodeJS.Timeout | null;
  private readonly pieces: Buffer[] = [];
  private bytes = 0;
  private done: (how: Collected) => void = () => undefined;

  /** @param waitMs 0: as long as the connection allows */
  constructor(bytesMax: number, waitMs: number) {
    this.bytesMax = bytesMax;
    this.settled = new Promise((resolve) => {
      this.done = resolve;
    });
    this.timer = waitMs === 0 ? null : setTimeout(() => this.end('late'), waitMs);
  }

  get content(): Buffer {
    return this.pieces.length === 1 ? this.pieces[0]! : Buffer.concat(this.pieces, this.bytes);
  }

  sendHead(_request: unknown, buffer: Buffer, from: number, to: number, last: boolean): boolean {
    return this.send(buffer, from, to, last);
  }

  send(buffer: Buffer, from: number, to: number, last: boolean): boolean {
    if (to > from) this.pieces.push(Buffer.from(buffer.subarray(from, to)));
    this.bytes += to - from;
    const tooLarge = this.bytes > this.bytesMax;
    if (tooLarge) this.end('too-large');
    else if (last) this.end('whole');
    return !tooLarge;
  }

  /** Trailers of a body that a layer reads whole are left out, as if it had come with a length. */
  sendTrailers(): void {
    this.end('whole');
  }

  abort(): void {
    this.end('gone');
  }

  resume(): void {}
  endTunnel(): void {}
  finishTunnel(): void {}

  private end(how: Collected): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.done(how);
  }
}

const continueBytes = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n');

/** Tells a client that waits to be asked that its body is wanted. */
export function continueHead(): ResponseMessage {
  const head = new ResponseHead(http1PoolLimits);
  head.feed(continueBytes, 0, continueBytes.length);
  return head;
}
