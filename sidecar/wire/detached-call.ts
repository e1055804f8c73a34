// A call of the sidecar's own to an upstream, with nobody downstream: a mirrored request, whose answer is thrown away.
import type { UpstreamPool } from '../exchange.ts';
import type { FailureCode } from '../failures.ts';

import { http1Limits } from './http1/limits.ts';
import { RequestHead } from './http1/request-head.ts';
import type { RequestMessage, ResponseMessage, UpstreamCall, UpstreamStream } from './upstream.ts';

/** What is asked. Its lines are those of a request that was admitted. */
export interface DetachedRequest {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  readonly lines: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

/** Of framing and connections: they are said anew. */
const left: ReadonlySet<string> = new Set(
  (
    'host content-length transfer-encoding connection keep-alive upgrade expect te trailer ' +
    'proxy-connection'
  ).split(' '),
);

export class DetachedCall implements UpstreamCall {
  readonly framed = false;
  readonly asksUpgrade = false;
  readonly expectsContinue = false;
  readonly requestDone = true;
  readonly isHead: boolean;
  private readonly request: RequestMessage;
  private readonly content: Buffer;
  private pool: UpstreamPool | null = null;
  private readonly onEnd: (outcome: number | FailureCode) => void;
  private readonly timer: NodeJS.Timeout;
  private upstream: UpstreamStream | null = null;
  private over = false;
  private status = 0;

  private constructor(
    asked: DetachedRequest,
    request: RequestMessage,
    timeoutMs: number,
    onEnd: (outcome: number | FailureCode) => void,
  ) {
    this.content = asked.body;
    this.isHead = asked.method === 'HEAD';
    this.request = request;
    this.onEnd = onEnd;
    this.timer = setTimeout(() => this.giveUp(), timeoutMs);
    this.timer.unref();
  }

  /** Null: the request cannot be written, by its edits. @param onEnd told the status, or the failure, once */
  static of(
    asked: DetachedRequest,
    timeoutMs: number,
    onEnd: (outcome: number | FailureCode) => void,
  ): DetachedCall | null {
    const request = headOf(asked);
    return request === null ? null : new DetachedCall(asked, request, timeoutMs, onEnd);
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
    if (stream.sendHead(this.request, content, 0, content.length, true) === null) this.giveUp();
  }

  mayReplay(untouched: boolean): boolean {
    return untouched && !this.over;
  }

  head(head: ResponseMessage, _buffer: Buffer, _from: number, _to: number, last: boolean): boolean {
    this.status = head.status;
    if (last) this.end(this.status);
    return true;
  }

  body(_buffer: Buffer, _from: number, _to: number, last: boolean): boolean {
    if (last) this.end(this.status);
    return true;
  }

  opened(): void {}
  interim(): void {}
  drained(): void {}
  tunnelEnded(): void {}

  upgraded(): boolean {
    return true;
  }

  trailers(): void {
    this.end(this.status);
  }

  failed(code: FailureCode): void {
    this.end(code);
  }

  private giveUp(): void {
    if (this.over) return;
    if (this.upstream === null) this.pool?.cancel(this);
    else this.upstream.abort();
    this.end('upstream-timeout');
  }

  private end(outcome: number | FailureCode): void {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.timer);
    this.onEnd(outcome);
  }
}

function headOf({
  method,
  path,
  authority,
  scheme,
  lines,
  body,
}: DetachedRequest): RequestHead | null {
  const kept = lines.filter(([name]) => !left.has(name.toLowerCase()));
  const length = body.length > 0 ? `content-length: ${body.length}\r\n` : '';
  const fields = kept.map(([name, value]) => `${name}: ${latin1(value)}\r\n`).join('');
  const text = `${method} ${path} HTTP/1.1\r\nhost: ${authority}\r\n${fields}${length}\r\n`;
  const bytes = Buffer.from(text, 'latin1');
  const head = new RequestHead({ ...http1Limits, headBytesMax: bytes.length + 1 });
  if (head.feed(bytes, 0, bytes.length) !== 'done') return null;
  head.scheme = scheme;
  return head;
}

/** Values are given as UTF-8, and go out as they came. */
function latin1(value: string): string {
  return Buffer.from(value).toString('latin1');
}
