// Stands between an upstream and a call whose answer a layer wants whole before it goes on.
import type { ResponseTap } from '../response-tap.ts';
import type { FailureCode } from '../failures.ts';

import type { Call } from './call.ts';
import { http1PoolLimits } from './http1/limits.ts';
import { ResponseHead } from './http1/response-head.ts';
import type { Trailers } from './trailers.ts';
import type { ResponseMessage, UpstreamCall, UpstreamStream } from './upstream.ts';

export class CollectingCall implements UpstreamCall {
  /** Content is wanted of every upstream. */
  readonly framed = false;
  private readonly call: Call;
  private readonly tap: ResponseTap;
  /** The head and what came of the body, while it is held back; null: everything passes. */
  private held: { readonly head: ResponseHead; readonly pieces: Buffer[]; bytes: number } | null =
    null;
  private bytesMax = 0;

  constructor(call: Call, tap: ResponseTap) {
    this.call = call;
    this.tap = tap;
  }

  get isHead(): boolean {
    return this.call.isHead;
  }

  get asksUpgrade(): boolean {
    return false;
  }

  get expectsContinue(): boolean {
    return this.call.expectsContinue;
  }

  get requestDone(): boolean {
    return this.call.requestDone;
  }

  granted(stream: UpstreamStream): void {
    // Chunks of the client's own do not go to an upstream that is given content.
    const { request } = this.call;
    if (request.contentLength < 0) request.reframe(-1);
    this.call.granted(stream);
  }

  opened(): void {
    this.call.opened();
  }

  mayReplay(untouched: boolean): boolean {
    return this.call.mayReplay(untouched);
  }

  interim(head: ResponseMessage): void {
    this.call.interim(head);
  }

  head(head: ResponseMessage, buffer: Buffer, from: number, to: number, last: boolean): boolean {
    const { status } = head;
    const bodyless = this.isHead || status === 204 || status === 304;
    const unasked = bodyless && status !== 304;
    const wanted = unasked ? 0 : this.tap.begin(this.call.exchange, head);
    if (typeof wanted === 'string') return this.refuse(wanted);
    if (typeof wanted === 'function') {
      this.call.answerInstead(wanted, last);
      return true;
    }
    this.bytesMax = bodyless ? 0 : wanted;
    if (this.bytesMax === 0) return this.call.head(head, buffer, from, to, last);
    this.held = { head: copyOf(head), pieces: [], bytes: 0 };
    return this.body(buffer, from, to, last);
  }

  body(buffer: Buffer, from: number, to: number, last: boolean): boolean {
    const { held } = this;
    if (held === null) return this.call.body(buffer, from, to, last);
    if (to > from) held.pieces.push(Buffer.from(buffer.subarray(from, to)));
    held.bytes += to - from;
    if (held.bytes > this.bytesMax) return this.letGo(last);
    if (last) void this.pass(null);
    return true;
  }

  trailers(trailers: Trailers): void {
    if (this.held === null) this.call.trailers(trailers);
    else void this.pass(trailers);
  }

  upgraded(): boolean {
    return true;
  }

  tunnelEnded(): void {
    this.call.tunnelEnded();
  }

  drained(): void {
    this.call.drained();
  }

  failed(code: FailureCode, id = ''): void {
    this.held = null;
    this.call.failed(code, id);
  }

  /** It is longer than the layer wants it: it passes as it comes. */
  private letGo(last: boolean): boolean {
    const { held } = this;
    this.held = null;
    if (held === null) return true;
    const refusal = this.tap.tooLong(this.call.exchange);
    if (refusal !== undefined) return this.refuse(refusal);
    const body = Buffer.concat(held.pieces, held.bytes);
    return this.call.head(held.head, body, 0, body.length, last);
  }

  /** The upstream's answer is let go, and another given. */
  private refuse(code: FailureCode): boolean {
    this.call.fail(code);
    return true;
  }

  private async waitFor<T>(given: Promise<T>): Promise<T> {
    const { call } = this;
    call.layerWaits = true;
    const made = await given;
    call.layerWaits = false;
    return made;
  }

  private async pass(trailers: Trailers | null): Promise<void> {
    const { held, call } = this;
    if (held === null) return;
    const body = Buffer.concat(held.pieces, held.bytes);
    // Its connection may serve another call by now.
    call.answerHeld(held.bytes);
    try {
      const given = this.tap.whole(call.exchange, held.head, body, trailers);
      const next = given instanceof Promise ? await this.waitFor(given) : given;
      // Its time ran out while the layer worked on it, or the path would rather have another answer.
      if (!call.listensTo(this)) return;
      if (!Buffer.isBuffer(next)) {
        call.answerInstead(() => next.answer(call.exchange), true);
        return;
      }
      held.head.reframe(next.length);
      const ends = trailers === null;
      call.head(held.head, next, 0, next.length, ends);
      if (!ends && call.listensTo(this)) call.trailers(trailers);
    } catch (error) {
      if (!call.listensTo(this)) return;
      call.failed(this.tap.failed(call.exchange, error) ?? 'internal');
    }
  }
}

/** The connection reads the next answer into its own head. */
function copyOf(head: ResponseMessage): ResponseHead {
  const bytes = Buffer.allocUnsafe(head.http1BytesMax(''));
  const copy = new ResponseHead({ ...http1PoolLimits, headBytesMax: bytes.length + 1 });
  copy.feed(bytes, 0, head.writeHttp1(bytes, 0, ''));
  return copy;
}

/** What is left of an upstream whose answer has been taken whole. */
export function finishedStream(bodyBytes: number): UpstreamStream {
  return {
    framed: false,
    connected: true,
    bodyBytes,
    trailerGrpcStatus: '',
    sendHead: () => true,
    send: () => true,
    sendTrailers: () => undefined,
    resume: () => undefined,
    abort: () => undefined,
    endTunnel: () => undefined,
    finishTunnel: () => undefined,
  };
}
