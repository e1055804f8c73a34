// One call of the sidecar's own by gRPC: a message goes out over HTTP/2, one comes back.
import type { UpstreamPool } from '../exchange.ts';
import type { FailureCode } from '../failures.ts';

import type { RequestHead } from './http1/request-head.ts';
import { OwnCall, ownHead } from './own-call.ts';
import type { Trailers } from './trailers.ts';
import type { ResponseMessage } from './upstream.ts';

export interface UnaryAsk {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  /** Lines beside those of every call; lower-case names. */
  readonly metadata?: readonly (readonly [name: string, value: string])[];
  readonly message: Buffer;
  readonly timeoutMs: number;
  readonly answerBytesMax: number;
}

/** There was an answer, and it says that the call failed. */
export class UnaryRefusal extends Error {
  /** As gRPC has it, or '' where the answer is none of gRPC. */
  readonly grpcStatus: string;

  constructor(message: string, grpcStatus = '') {
    super(message);
    this.grpcStatus = grpcStatus;
  }
}

/** Compressed flag and length before each message. */
const prefixBytes = 5;
const noBytes = Buffer.alloc(0);

/** Resolves with the message of the answer; rejects with why there is none. */
export function callUnary(pool: UpstreamPool, ask: UnaryAsk): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  new UnaryCall(ask, { resolve, reject }).ask(pool);
  return promise;
}

interface Ends {
  readonly resolve: (message: Buffer) => void;
  readonly reject: (error: Error) => void;
}

class UnaryCall extends OwnCall {
  readonly isHead = false;
  private readonly bytesMax: number;
  private readonly timeoutMs: number;
  private readonly ends: Ends;
  private readonly pieces: Buffer[] = [];
  private bytes = 0;
  private status = 0;
  private grpcStatus = '';

  constructor(ask: UnaryAsk, ends: Ends) {
    const content = framed(ask.message);
    super(headOf(ask, content.length), content, ask.timeoutMs);
    this.bytesMax = ask.answerBytesMax;
    this.timeoutMs = ask.timeoutMs;
    this.ends = ends;
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
    if (this.bytes > this.bytesMax + prefixBytes) {
      this.leave(`the answer has more than ${this.bytesMax} bytes`);
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
    this.end(new Error(code));
  }

  protected giveUp(why: 'late' | 'unsendable'): void {
    this.leave(
      why === 'late' ? `no answer within ${this.timeoutMs} ms` : 'the call cannot be sent',
    );
  }

  private settle(): void {
    const answer = Buffer.concat(this.pieces, this.bytes);
    const { status, grpcStatus } = this;
    if (status !== 200) return this.end(new UnaryRefusal(`HTTP status ${status}`));
    if (grpcStatus !== '0') {
      return this.end(new UnaryRefusal(`gRPC status ${grpcStatus || 'missing'}`, grpcStatus));
    }
    const whole = answer.length >= prefixBytes && answer.readUInt32BE(1) + prefixBytes;
    if (answer[0] !== 0 || whole !== answer.length) {
      return this.end(new Error('no message came, or several'));
    }
    this.end(null, answer.subarray(prefixBytes));
  }

  private leave(why: string): void {
    if (this.over) return;
    this.letGo();
    this.end(new Error(why));
  }

  private end(why: Error | null, message: Buffer = noBytes): void {
    if (!this.close()) return;
    if (why === null) this.ends.resolve(message);
    else this.ends.reject(why);
  }
}

function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function headOf(ask: UnaryAsk, bytes: number): RequestHead {
  const { path, authority, scheme, timeoutMs, metadata = [] } = ask;
  const lines = [
    `POST ${path} HTTP/1.1`,
    `host: ${authority}`,
    'te: trailers',
    'content-type: application/grpc',
    `grpc-timeout: ${Math.min(99_999_999, Math.max(1, Math.round(timeoutMs)))}m`,
    'user-agent: selvage',
    `content-length: ${bytes}`,
    ...metadata.map(([name, value]) => `${name}: ${value}`),
  ];
  const head = ownHead(`${lines.join('\r\n')}\r\n\r\n`, scheme);
  if (head === null) throw new Error('the call cannot be written');
  return head;
}
