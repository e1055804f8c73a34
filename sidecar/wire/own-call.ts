// What calls of the sidecar's own share: nobody downstream, a body that is there whole, and a time after which they end.
import type { UpstreamPool } from '../exchange.ts';
import type { FailureCode } from '../failures.ts';

import { http1Limits } from './http1/limits.ts';
import { RequestHead } from './http1/request-head.ts';
import type { Trailers } from './trailers.ts';
import type { RequestMessage, ResponseMessage, UpstreamCall, UpstreamStream } from './upstream.ts';

export abstract class OwnCall implements UpstreamCall {
  readonly framed = false;
  readonly asksUpgrade = false;
  readonly expectsContinue = false;
  readonly requestDone = true;
  abstract readonly isHead: boolean;
  protected over = false;
  private readonly request: RequestMessage;
  private readonly content: Buffer;
  private readonly timer: NodeJS.Timeout;
  private pool: UpstreamPool | null = null;
  private upstream: UpstreamStream | null = null;

  protected constructor(request: RequestMessage, content: Buffer, timeoutMs: number) {
    this.request = request;
    this.content = content;
    this.timer = setTimeout(() => this.giveUp('late'), timeoutMs);
    this.timer.unref();
  }

  /** Asks once. */
  ask(pool: UpstreamPool): void {
    this.pool = pool;
    pool.request(this);
  }

  granted(stream: UpstreamStream): void {
    if (this.over) {
      stream.abort();
      return;
    }
    this.upstream = stream;
    const { content } = this;
    if (stream.sendHead(this.request, content, 0, content.length, true) === null) {
      this.giveUp('unsendable');
    }
  }

  mayReplay(untouched: boolean): boolean {
    if (!untouched || this.over) return false;
    // It waits in the queue again, with nothing left of this stream.
    this.upstream = null;
    return true;
  }

  abstract head(
    head: ResponseMessage,
    buffer: Buffer,
    from: number,
    to: number,
    last: boolean,
  ): boolean;
  abstract body(buffer: Buffer, from: number, to: number, last: boolean): boolean;
  abstract trailers(trailers: Trailers): void;
  abstract failed(code: FailureCode): void;

  opened(): void {}
  interim(): void {}
  drained(): void {}
  tunnelEnded(): void {}

  upgraded(): boolean {
    return true;
  }

  protected abstract giveUp(why: 'late' | 'unsendable'): void;

  /** Leaves the stream, or the queue for one. */
  protected letGo(): void {
    if (this.upstream === null) this.pool?.cancel(this);
    else this.upstream.abort();
  }

  /** Whether it ends by this. */
  protected close(): boolean {
    if (this.over) return false;
    this.over = true;
    clearTimeout(this.timer);
    return true;
  }
}

/** Null: it is no head of a request. @param text all of it, with the empty line; characters stand for bytes */
export function ownHead(text: string, scheme: string): RequestHead | null {
  const bytes = Buffer.from(text, 'latin1');
  const head = new RequestHead({ ...http1Limits, headBytesMax: bytes.length + 1 });
  if (head.feed(bytes, 0, bytes.length) !== 'done') return null;
  head.scheme = scheme;
  return head;
}
