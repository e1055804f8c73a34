// A call of the sidecar's own to an upstream, with nobody downstream: a mirrored request, whose answer is thrown away.
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
}

/** Of framing and connections: they are said anew. */
const left: ReadonlySet<string> = new Set(
  (
    'host content-length transfer-encoding connection keep-alive upgrade expect te trailer ' +
    'proxy-connection'
  ).split(' '),
);

export class DetachedCall extends OwnCall {
  readonly isHead: boolean;
  private readonly onEnd: (outcome: number | FailureCode) => void;
  private status = 0;

  private constructor(
    { method, body }: DetachedRequest,
    request: RequestMessage,
    timeoutMs: number,
    onEnd: (outcome: number | FailureCode) => void,
  ) {
    super(request, body, timeoutMs);
    this.isHead = method === 'HEAD';
    this.onEnd = onEnd;
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

  head(head: ResponseMessage, _buffer: Buffer, _from: number, _to: number, last: boolean): boolean {
    this.status = head.status;
    if (last) this.end(this.status);
    return true;
  }

  body(_buffer: Buffer, _from: number, _to: number, last: boolean): boolean {
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
    if (this.close()) this.onEnd(outcome);
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
