// A connection to an upstream that carries many calls at once.
import type { Socket } from 'node:net';

import { deadlineIn, sweepNowMs, unwatch, watch } from '../sweep.ts';
import type { Sweepable } from '../sweep.ts';
import type { UpstreamCall } from '../upstream.ts';

import type { HeaderBlock } from './block.ts';
import { ClientStream } from './client-stream.ts';
import { code, setting, streamIdMax } from './frames.ts';
import type { FieldSink } from './hpack/decoder.ts';
import type { Http2Limits } from './limits.ts';
import { Http2Session } from './session.ts';
import type { Http2Stream } from './stream.ts';

/** What a connection tells its pool. */
export interface ClientOwner {
  readonly limits: Readonly<Http2Limits>;
  /** Another call fits that did not before. */
  roomFor(connection: Http2ClientConnection): void;
  /** No new call fits any more; those that it has go on. */
  retired(connection: Http2ClientConnection): void;
  closed(connection: Http2ClientConnection): void;
  /** The upstream did nothing with the call: it may go to another connection. */
  replay(call: UpstreamCall): void;
}

const tickMs = 250;

export class Http2ClientConnection extends Http2Session implements Sweepable {
  deadlineMs = deadlineIn(tickMs);

  private readonly owner: ClientOwner;
  private readonly calls = new Map<Http2Stream, ClientStream>();
  private nextId = 1;
  private retiring = false;
  private idleSinceMs = sweepNowMs();
  private readonly madeAtMs = sweepNowMs();
  private blockFor: ClientStream | null = null;

  /** @param socket connected, and for TLS proven */
  constructor(owner: ClientOwner, socket: Socket) {
    super(socket, owner.limits, false);
    this.owner = owner;
    const { streamWindowBytes, headBytesMax } = owner.limits;
    this.control.open(
      [
        [setting.enablePush, 0],
        [setting.initialWindowSize, streamWindowBytes],
        [setting.headerListSizeMax, headBytesMax],
      ],
      this.firstCredit(),
    );
    watch(this);
    socket.on('drain', () => this.drained());
    socket.on('end', () => this.end(code.cancel));
    socket.on('error', () => this.end(code.cancel));
    socket.on('close', () => this.end(code.cancel));
  }

  /** Another call can begin now. */
  get hasRoom(): boolean {
    if (this.retiring || this.ended) return false;
    const { callsMax } = this.limits;
    const { streamsMax } = this.control.peer;
    return this.streamCount < (callsMax === 0 ? streamsMax : Math.min(callsMax, streamsMax));
  }

  /** Calls under way. */
  get load(): number {
    return this.streamCount;
  }

  take(call: UpstreamCall): void {
    const stream = this.addStream(this.nextId);
    this.nextId += 2;
    const { requestsPerConnectionMax: max } = this.limits;
    if (this.nextId > streamIdMax - 2 || (max > 0 && this.nextId > 2 * max)) this.retire();
    const carrier = new ClientStream(this, stream, call);
    this.calls.set(stream, carrier);
    call.granted(carrier);
  }

  replay(call: UpstreamCall): void {
    this.owner.replay(call);
  }

  /** Takes no new call; closes after the present ones. */
  retire(): void {
    if (!this.retiring) {
      this.retiring = true;
      this.owner.retired(this);
    }
    if (this.streamCount === 0) this.fail(code.none, '');
  }

  expire(): void {
    this.deadlineMs = deadlineIn(tickMs);
    const { limits } = this;
    const nowMs = sweepNowMs();
    const idleMs = this.streamCount === 0 ? nowMs - this.idleSinceMs : 0;
    if (this.ended) this.socket.destroy();
    else if (idleMs > limits.idleTimeoutMs || this.isOld()) this.retire();
    else if (!this.control.tick(nowMs, limits)) {
      this.fail(code.none, 'a PING was not answered');
    }
  }

  override peerGoaway(lastId: number, reason: number): void {
    if (!this.retiring) {
      this.retiring = true;
      this.owner.retired(this);
    }
    for (const stream of this.calls.keys()) {
      // What the server did not take, it did nothing with (RFC 9113 6.8).
      if (stream.id > lastId) this.dropUntaken(stream);
    }
    if (reason !== code.none || this.streamCount === 0) this.end(code.cancel);
  }

  protected override openBlock(block: HeaderBlock): FieldSink | null {
    this.blockFor = null;
    const stream = this.streams.get(block.id);
    if (stream === undefined) {
      if (this.isIdle(block.id)) this.fail(code.protocol, `HEADERS on stream ${block.id}`);
      return null;
    }
    if (stream.remoteEnded) {
      this.reset(stream, code.streamClosed);
      return null;
    }
    const carrier = this.calls.get(stream) ?? null;
    const sink = carrier?.openBlock(block.endStream) ?? null;
    if (sink === null) this.reset(stream, code.protocol);
    this.blockFor = sink === null ? null : carrier;
    return sink;
  }

  protected override closeBlock(block: HeaderBlock): void {
    const { blockFor } = this;
    if (blockFor === null) return;
    const { stream } = blockFor;
    if (block.endStream) stream.remoteEnded = true;
    blockFor.closeBlock(block.endStream);
    this.closeIfDone(stream);
  }

  protected override peerGaveUp(): void {
    // The call hears of it; an upstream that resets is asked less by whoever balances.
  }

  protected override streamClosed(stream: Http2Stream): void {
    this.calls.delete(stream);
    this.idleSinceMs = sweepNowMs();
    if (this.ended) return;
    if (this.retiring && this.streamCount === 0) this.fail(code.none, '');
    else this.owner.roomFor(this);
  }

  protected override sessionEnded(): void {
    unwatch(this);
    this.retiring = true;
    this.socket.destroySoon();
    this.owner.closed(this);
  }

  protected override peerSettingsChanged(): void {
    this.owner.roomFor(this);
  }

  private isOld(): boolean {
    const { connectionMsMax } = this.limits;
    return connectionMsMax > 0 && sweepNowMs() - this.madeAtMs >= connectionMsMax;
  }

  private dropUntaken(stream: Http2Stream): void {
    const carrier = this.calls.get(stream);
    const call = carrier?.carried ?? null;
    carrier?.abort();
    if (call === null) return;
    if (call.mayReplay(true)) this.owner.replay(call);
    else call.failed('upstream-refused');
  }
}
