// One HTTP/2 stream: its windows, what waits to be sent, and who hears of it.
import type { Trailers } from '../trailers.ts';

/** Who uses a stream. */
export interface StreamHandler {
  /**
   * Content of the body. Bytes are good only during the call.
   * @param last the peer sends no more on this stream
   * @returns false: no more fits until `stream.resume()`
   */
  data(buffer: Buffer, from: number, to: number, last: boolean): boolean;
  /** More can be sent after `send` returned false. */
  writable(): void;
  /** The stream is gone: the peer reset it, or broke a rule, or the connection ended. */
  gone(code: number): void;
}

/** What a stream asks of its session. */
export interface StreamOwner {
  send(stream: Http2Stream, buffer: Buffer, from: number, to: number, last: boolean): boolean;
  sendTrailers(stream: Http2Stream, trailers: Trailers): void;
  /** `bytes` that came have gone on: the peer may send as many again. */
  credit(stream: Http2Stream, bytes: number): void;
  reset(stream: Http2Stream, code: number): void;
}

export class Http2Stream {
  readonly id: number;
  handler: StreamHandler | null = null;
  /** What the peer lets us send; SETTINGS can make it negative (RFC 9113 6.9.2). */
  sendWindow: number;
  /** What we let the peer send. */
  receiveWindow: number;
  /** Bytes that have gone on and were not told to the peer yet. */
  uncredited = 0;
  /** Neither side sends any more, or it was reset. */
  closed = false;
  localEnded = false;
  remoteEnded = false;
  /** Once our side has ended, nobody wants the rest of the peer's (RFC 9113 8.1). */
  dropsRest = false;
  /** `Content-Length` of what comes; -1: none was given. */
  expectedBytes = -1;
  receivedBytes = 0;
  /** performance.now() of the last byte in either direction, coarse. */
  activeAtMs = 0;

  /** Waiting to be sent; owned by the outbox. */
  readonly queue: Buffer[] = [];
  queueEnds = false;
  queueTrailers: Trailers | null = null;

  private readonly owner: StreamOwner;
  private heldBytes = 0;
  private paused = false;

  constructor(id: number, owner: StreamOwner, sendWindow: number, receiveWindow: number) {
    this.id = id;
    this.owner = owner;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
  }

  /** @param last our side ends with it. @returns false: send no more until `writable` */
  send(buffer: Buffer, from: number, to: number, last: boolean): boolean {
    return this.closed || this.owner.send(this, buffer, from, to, last);
  }

  sendTrailers(trailers: Trailers): void {
    if (!this.closed) this.owner.sendTrailers(this, trailers);
  }

  /** Gives bytes to the handler; what does not fit is not credited until there is room. */
  receive(buffer: Buffer, from: number, to: number, last: boolean): void {
    this.receivedBytes += to - from;
    const more = this.handler === null || this.handler.data(buffer, from, to, last);
    if (!more) this.paused = true;
    if (this.closed || !this.paused) this.owner.credit(this, to - from);
    else this.heldBytes += to - from;
  }

  /** Our side is complete, or will be: what still comes is dropped. */
  finish(): void {
    this.handler = null;
    this.resume();
    this.dropsRest = true;
    if (this.localEnded && !this.remoteEnded) this.reset(0);
  }

  /** There is room again. */
  resume(): void {
    this.paused = false;
    this.release();
  }

  /** Whoever resets it hears no more of it. */
  reset(code: number): void {
    this.handler = null;
    if (!this.closed) this.owner.reset(this, code);
  }

  /** Nobody will take what is held. */
  release(): void {
    const bytes = this.heldBytes;
    this.heldBytes = 0;
    if (bytes > 0) this.owner.credit(this, bytes);
  }
}
