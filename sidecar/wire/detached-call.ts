// A call of the sidecar's own to an upstream, with nobody downstream: a mirrored request, whose answer is thrown away, or spans.
import type { FailureCode } from '../failures.ts';

import type { RequestHead } from './http1/request-head.ts';
import { OwnCall, ownHead } from './own-call.ts';
import type { RequestMessage, ResponseMessage } from './upstream.ts';

/** What is asked. Its lines are those of a request that was admitted. */
export interface DetachedRequest {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  readonly lines: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
  /** A body of the answer that is no longer is kept; left out: none is. */
  readonly answerBytesMax?: number;
}

/** Told the status, or the failure, and what was kept of the answer's body; once. */
export type DetachedEnd = (outcome: number | FailureCode, body: Buffer) => void;

/** Of framing and connections: they are said anew. */
const left: ReadonlySet<string> = new Set(
  (
    'host content-length transfer-encoding connection keep-alive upgrade expect te trailer ' +
    'proxy-connection'
  ).split(' '),
);

export class DetachedCall extends OwnCall {
  readonly isHead: boolean;
  private readonly bytesMax: number;
  private readonly onEnd: DetachedEnd;
  private readonly pieces: Buffer[] = [];
  private bytes = 0;
  private status = 0;

  private constructor(
    { method, body, answerBytesMax = 0 }: DetachedRequest,
    request: RequestMessage,
    timeoutMs: number,
    onEnd: DetachedEnd,
  ) {
    super(request, body, timeoutMs);
    this.isHead = method === 'HEAD';
    this.bytesMax = answerBytesMax;
    this.onEnd = onEnd;
  }

  /** Null: the request cannot be written, by its edits. */
  static of(asked: DetachedRequest, timeoutMs: number, onEnd: DetachedEnd): DetachedCall | null {
    const request = headOf(asked);
    return request === null ? null : new DetachedCall(asked, request, timeoutMs, onEnd);
  }

  head(head: ResponseMessage, buffer: Buffer, from: number, to: number, last: boolean): boolean {
    this.status = head.status;
    return this.body(buffer, from, to, last);
  }

  body(buffer: Buffer, from: number, to: number, last: boolean): boolean {
    this.bytes += to - from;
    if (this.bytes > this.bytesMax) this.pieces.length = 0;
    else if (to > from) this.pieces.push(Buffer.from(buffer.subarray(from, to)));
    if (last) this.end(this.status);
    return true;
  }

  trailers(): void {
    this.end(this.status);
  }

  failed(code: FailureCode): void {
    this.end(code);
  }

  protected giveUp(): void {
    if (this.over) return;
    this.letGo();
    this.end('upstream-timeout');
  }

  private end(outcome: number | FailureCode): void {
    if (this.close()) this.onEnd(outcome, Buffer.concat(this.pieces));
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
  return ownHead(text, scheme);
}

/** Values are given as UTF-8, and go out as they came. */
function latin1(value: string): string {
  return Buffer.from(value).toString('latin1');
}
