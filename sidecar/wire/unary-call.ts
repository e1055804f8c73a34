// One call of the sidecar's own by gRPC: a message goes out over HTTP/2, one comes back.
import type { UpstreamPool } from '../exchange.ts';
import type { FailureCode } from '../failures.ts';

import { http1Limits } from './http1/limits.ts';
import { RequestHead } from './http1/request-head.ts';
import type { Trailers } from './trailers.ts';
import type { RequestMessage, ResponseMessage, UpstreamCall, UpstreamStream } from './upstream.ts';

export interface UnaryAsk {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  readonly message: Buffer;
  readonly timeoutMs: number;
  readonly answerBytesMax: number;
}

/** Compressed flag and length before each message. */
const prefixBytes = 5;

/** Resolves with the message of the answer; rejects with why there is none. */
export function callUnary(pool: UpstreamPool, ask: UnaryAsk): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  new UnaryCall(pool, ask, { resolve, reject }).begin();
  return promise;
}

interface Ends {
  readonly resolve: (message: Buffer) => void;
  readonly reject: (error: Error) => void;
}

class UnaryCall implements UpstreamCall {
  readonly framed = false;
  readonly asksUpgrade = false;
  readonly expectsContinue = false;
  readonly requestDone = true;
  readonly isHead = false;
  private readonly pool: UpstreamPool;
  private readonly ask: UnaryAsk;
  private readonly ends: Ends;
  private readonly request: RequestMessage;
  private readonly content: Buffer;
  private readonly timer: NodeJS.Timeout;
  private readonly pieces: Buffer[] = [];
  private bytes = 0;
  private status = 0;
  private grpcStatus = '';
  private upstream: UpstreamStream | null = null;
  private over = false;

  constructor(pool: UpstreamPool, ask: UnaryAsk, ends: Ends) {
    this.pool = pool;
    this.ask = ask;
    this.ends = ends;
    this.content = framed(ask.message);
    this.request = headOf(ask, this.content.length);
    this.timer = setTimeout(
      () => this.giveUp(`no answer within ${ask.timeoutMs} ms`),
      ask.timeoutMs,
    );
    this.timer.unref();
  }

  begin(): void {
    this.pool.request(this);
  }

  granted(stream: UpstreamStream): void {
    if (this.over) {
      stream.abort();
      return;
    }
    this.upstream = stream;
    const { content } = this;
    if (stream.sendHead(this.request, content, 0, content.length, true) === null) {
      this.giveUp('the call cannot be sent');
    }
  }

  mayReplay(untouched: boolean): boolean {
    return untouched && !this.over;
  }

  head(head: ResponseMessage, buffer: Buffer, from: number, to: number, last: boolean): boolean {
    this.status = head.status;
    this.grpcStatus = head.grpcStatus();
    return this.body(buffer, from, to, last);
  }

  body(buffer: Buffer, from: number, to: number, last: boolean): boolean {
    if (this.over) return true;
    if (to > from) this.pieces.push(Buffer.from(buffer.subarray(from, to)));
    this.bytes += to - from;
    if (this.bytes > this.ask.answerBytesMax + prefixBytes) {
      this.giveUp(`the answer has more than ${this.ask.answerBytesMax} bytes`);
    } else if (last) {
      this.settle();
    }
    return true;
  }

  trailers(trailers: Trailers): void {
    this.grpcStatus = trailers.grpcStatus() || this.grpcStatus;
    this.settle();
  }

  failed(code: FailureCode): void {
    this.end(code);
  }

  opened(): void {}
  interim(): void {}
  drained(): void {}
  tunnelEnded(): void {}

  upgraded(): boolean {
    return true;
  }

  private settle(): void {
    const answer = Buffer.concat(this.pieces, this.bytes);
    if (this.status !== 200) return this.end(`HTTP status ${this.status}`);
    if (this.grpcStatus !== '0') return this.end(`gRPC status ${this.grpcStatus || 'missing'}`);
    const whole = answer.length >= prefixBytes && answer.readUInt32BE(1) + prefixBytes;
    if (answer[0] !== 0 || whole !== answer.length) return this.end('no message came, or several');
    this.end('', answer.subarray(prefixBytes));
  }

  private giveUp(why: string): void {
    if (this.over) return;
    if (this.upstream === null) this.pool.cancel(this);
    else this.upstream.abort();
    this.end(why);
  }

  private end(why: string, message: Buffer | null = null): void {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.timer);
    if (message === null) this.ends.reject(new Error(why));
    else this.ends.resolve(message);
  }
}

function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function headOf({ path, authority, scheme, timeoutMs }: UnaryAsk, bytes: number): RequestHead {
  const lines = [
    `POST ${path} HTTP/1.1`,
    `host: ${authority}`,
    'te: trailers',
    'content-type: application/grpc',
    `grpc-timeout: ${Math.min(99_999_999, Math.max(1, Math.round(timeoutMs)))}m`,
    'user-agent: selvage',
    `content-length: ${bytes}`,
  ];
  const text = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  const head = new RequestHead({ ...http1Limits, headBytesMax: text.length + 1 });
  if (head.feed(text, 0, text.length) !== 'done') throw new Error('the call cannot be written');
  head.scheme = scheme;
  return head;
}
