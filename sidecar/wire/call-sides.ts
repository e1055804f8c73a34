// The two sides of an exchange: what is known of it, and what each protocol has to do for it in its own way.
import { Exchange } from '../exchange.ts';
import type {
  BodyRead,
  Downstream,
  RequestPath,
  RequestStream,
  UpstreamPool,
} from '../exchange.ts';
import type { FailureCode } from '../failures.ts';

import type { BodyCollector } from './body-collector.ts';
import type { ByteStream } from './tcp.ts';
import type { Trailers } from './trailers.ts';
import type { RequestMessage, ResponseMessage, UpstreamCall, UpstreamStream } from './upstream.ts';

/**
 * Lives for one exchange, so that a layer that calls late, when the client is gone or the
 * connection is at its next request, reaches nobody.
 */
export abstract class CallSides implements RequestStream, UpstreamCall {
  readonly exchange: Exchange;
  readonly request: RequestMessage;
  /** Not a request at all, so the layers never hear of it. */
  unheard = false;
  /** Request bytes can go upstream. */
  sending = false;
  /** After an upgrade bytes go both ways as they are. */
  tunnelled = false;

  protected readonly path: RequestPath;
  protected upstream: UpstreamStream | null = null;
  protected over = false;
  protected headSent = false;
  /** A layer has decided what becomes of the request. */
  protected decided = false;
  /** Body bytes went upstream that are not kept for a replay. */
  protected bodySent = false;
  /** What a layer has read of the body, or put in its place, as content; null: it passes as it comes. */
  protected content: Buffer | null = null;
  protected collector: BodyCollector | null = null;
  /** A layer works on the answer, and may look at the request: no other may be in it then. */
  layerWaits = false;

  constructor(
    path: RequestPath,
    downstream: Downstream,
    request: RequestMessage,
    protocol: string,
    startedAtMs: number,
  ) {
    this.path = path;
    this.request = request;
    const x = new Exchange(downstream, request, this, protocol);
    x.startedAtMs = startedAtMs;
    this.exchange = x;
  }

  abstract get framed(): boolean;
  abstract get requestDone(): boolean;
  /** Content of the request's body that has been read. */
  protected abstract get requestBodyBytes(): number;

  abstract forward(upstream: UpstreamPool): void;
  abstract readBody(bytesMax: number, waitMs?: number): Promise<BodyRead>;
  abstract bodyStart(): Buffer;
  abstract replaceBody(body: Buffer): void;
  abstract limitTime(totalMs: number, perTryMs: number): void;
  abstract cutOff(): void;
  abstract granted(stream: UpstreamStream): void;
  abstract opened(): void;
  abstract mayReplay(untouched: boolean): boolean;
  abstract tunnelEnded(): void;
  abstract failed(code: FailureCode): void;
  abstract reply(status: number, headers: string, body: string | Buffer, close: boolean): void;
  abstract tunnel(upstream: ByteStream): void;
  abstract serveInside(): void;
  abstract interim(head: ResponseMessage): void;
  abstract head(
    head: ResponseMessage,
    buffer: Buffer,
    from: number,
    to: number,
    last: boolean,
  ): boolean;
  abstract body(buffer: Buffer, from: number, to: number, last: boolean): boolean;
  abstract trailers(trailers: Trailers): void;
  abstract upgraded(head: ResponseMessage, buffer: Buffer, from: number, to: number): boolean;
  abstract drained(): void;

  /** What came of the body is in `content` now. */
  protected abstract contentTaken(): void;
  /** Writes the head, and what was read of the body. @returns as UpstreamStream.sendHead */
  protected abstract sendRequest(upstream: UpstreamStream): boolean | null;
  /** Request bytes may go. @param more false: not before `drained` */
  protected abstract startSending(more: boolean): void;
  /** The upstream ended its side of a tunnel. */
  protected abstract endDownstream(): void;
  /** The answer has begun and cannot be completed: the client must not take it for whole. */
  protected abstract breakOff(): void;
  /** A layer may still wait, and edit the request later: no other may be in it then. */
  protected abstract abandon(): void;
  /** All is over. @param keep the connection may go on */
  protected abstract release(keep: boolean): void;

  /** What goes upstream of the body is worth keeping: the request may have to go once more. */
  protected get mayKeep(): boolean {
    const goes = this.content === null && !this.tunnelled && !this.bodySent && !this.headSent;
    return goes && this.path.retry !== undefined;
  }

  /** No more follows what is in `content`: it is asked as the head goes out. */
  protected contentEnds(): boolean {
    return this.requestDone;
  }

  get isHead(): boolean {
    return this.request.method === 'HEAD';
  }

  get expectsContinue(): boolean {
    return this.request.expectsContinue;
  }

  get asksUpgrade(): boolean {
    return !this.over && this.request.upgrade !== '';
  }
}
