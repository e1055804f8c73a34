// DATA that comes: held to its windows and lengths, given to its stream, and credited once it has gone on.
import type { Control } from './control.ts';
import type { FloodGuard } from './flood.ts';
import { code, flag } from './frames.ts';
import { sweepNowMs } from '../sweep.ts';
import type { Http2Limits } from './limits.ts';
import type { Http2Stream } from './stream.ts';

/** What DATA does to the session. */
export interface InflowOwner {
  readonly limits: Readonly<Http2Limits>;
  readonly flood: FloodGuard;
  readonly ended: boolean;
  fail(reason: number, message: string): void;
  reset(stream: Http2Stream, reason: number): void;
  isIdle(id: number): boolean;
  wasReset(id: number): boolean;
  closeIfDone(stream: Http2Stream): void;
}

export class Inflow {
  private readonly owner: InflowOwner;
  private readonly control: Control;
  /** What the peer may still send on all streams together. */
  private window: number;
  private uncredited = 0;
  /** The stream that the present DATA is for; null: none that wants it. */
  private stream: Http2Stream | null = null;
  private ends = false;
  /** Of the present DATA's payload what is not content, as far as is known. */
  private padding = 0;
  private payload = 0;

  constructor(owner: InflowOwner, control: Control) {
    this.owner = owner;
    this.control = control;
    this.window = owner.limits.connectionWindowBytes;
  }

  /** @param bytes the payload, padding included: what flow control counts */
  begin(stream: Http2Stream | undefined, flags: number, id: number, bytes: number): void {
    const { owner } = this;
    this.ends = (flags & flag.endStream) !== 0;
    this.stream = null;
    this.window -= bytes;
    if (id === 0 || owner.isIdle(id)) owner.fail(code.protocol, `DATA on stream ${id}`);
    else if (this.window < 0) owner.fail(code.flowControl, 'the connection window is exceeded');
    else if (bytes === 0 && !this.ends && !owner.flood.control()) {
      owner.fail(code.enhanceYourCalm, 'empty DATA frames');
    } else if (stream === undefined) {
      this.creditConnection(bytes);
      if (!owner.wasReset(id)) owner.fail(code.streamClosed, 'DATA on a closed stream');
    } else if (stream.remoteEnded || bytes > stream.receiveWindow) {
      this.creditConnection(bytes);
      owner.reset(stream, stream.remoteEnded ? code.streamClosed : code.flowControl);
    } else {
      stream.receiveWindow -= bytes;
      stream.activeAtMs = sweepNowMs();
      this.stream = stream;
      this.padding = bytes;
      this.payload = bytes;
    }
  }

  /** @param last of this frame */
  part(buffer: Buffer, from: number, to: number, last: boolean): void {
    const { stream, owner } = this;
    if (stream === null) return;
    this.padding -= to - from;
    const ends = last && this.ends;
    const total = stream.receivedBytes + to - from;
    const { expectedBytes } = stream;
    const wrong = expectedBytes >= 0 && (ends ? total !== expectedBytes : total > expectedBytes);
    if (wrong) owner.reset(stream, code.protocol);
    if (stream.closed) this.creditConnection(to - from);
    else {
      if (ends) stream.remoteEnded = true;
      stream.receive(buffer, from, to, ends);
    }
    if (!last) return;
    this.stream = null;
    if (this.padding > 0 && this.padding === this.payload && !ends && !owner.flood.control()) {
      owner.fail(code.enhanceYourCalm, 'DATA frames of padding');
    }
    if (this.padding > 0) this.credit(stream, this.padding);
    if (ends) owner.closeIfDone(stream);
  }

  /** Bytes that came have gone on: the peer may send as many again. */
  credit(stream: Http2Stream, bytes: number): void {
    this.creditConnection(bytes);
    if (stream.closed || stream.remoteEnded) return;
    stream.uncredited += bytes;
    if (stream.uncredited * 2 < this.owner.limits.streamWindowBytes) return;
    stream.receiveWindow += stream.uncredited;
    this.control.windowUpdate(stream.id, stream.uncredited);
    stream.uncredited = 0;
  }

  private creditConnection(bytes: number): void {
    this.uncredited += bytes;
    if (this.owner.ended || this.uncredited * 2 < this.owner.limits.connectionWindowBytes) return;
    this.window += this.uncredited;
    this.control.windowUpdate(0, this.uncredited);
    this.uncredited = 0;
  }
}
