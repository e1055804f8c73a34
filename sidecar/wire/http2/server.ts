// A connection that a client opened: its streams become exchanges, it drains and ends in good order.
import type { Socket } from 'node:net';

import type { Downstream, RequestPath } from '../../exchange.ts';
import { deadlineIn, sweepNowMs, unwatch, watch } from '../sweep.ts';
import type { Sweepable } from '../sweep.ts';

import type { HeaderBlock } from './block.ts';
import { code, setting, streamIdMax } from './frames.ts';
import type { FieldSink } from './hpack/decoder.ts';
import type { Http2Limits } from './limits.ts';
import { Http2RequestHead } from './request-head.ts';
import { Http2Session } from './session.ts';
import type { Http2Stream } from './stream.ts';
import { TrailerSink } from './trailer-sink.ts';
import { Http2Turn } from './turn.ts';

/** What a connection needs of its server. */
export interface Http2Host {
  readonly limits: Readonly<Http2Limits>;
  readonly path: RequestPath;
  closed(connection: Http2Connection): void;
}

const tickMs = 250;
/** Heads that nobody uses, for the next requests on any connection. */
const idleHeads: Http2RequestHead[] = [];
const idleHeadsMax = 256;
/** How long a connection that was ended may take to hear of it. */
const lingerMs = 2_000;
const discardedBytesMax = 1024 * 1024;

export class Http2Connection extends Http2Session implements Sweepable {
  readonly downstream: Downstream;
  readonly path: RequestPath;
  deadlineMs = deadlineIn(tickMs);

  private readonly host: Http2Host;
  private readonly turns = new Map<Http2Stream, Http2Turn>();
  private readonly openedAtMs = sweepNowMs();
  private newHead: Http2RequestHead | null = null;
  private newTrailers: TrailerSink | null = null;
  private requests = 0;
  private draining = false;
  /** No stream after this one is taken. */
  private lastTaken = streamIdMax;
  private drainAtMs = 0;
  private lingerUntilMs = 0;
  private discardedBytes = 0;
  private activeAtMs = sweepNowMs();
  private readonly onData = (chunk: Buffer): void => this.read(chunk);

  constructor(host: Http2Host, socket: Socket, downstream: Downstream) {
    super(socket, host.limits, true);
    this.host = host;
    this.path = host.path;
    this.downstream = downstream;
    const { limits } = host;
    this.control.open(
      [
        [setting.concurrentStreamsMax, limits.streamsMax],
        [setting.initialWindowSize, limits.streamWindowBytes],
        [setting.headerListSizeMax, limits.headBytesMax],
        [setting.enableConnectProtocol, 1],
      ],
      this.firstCredit(),
    );
    watch(this);
    socket.on('data', this.onData);
    socket.on('end', () => this.peerEnded());
    socket.on('drain', () => this.drained());
    socket.on('close', () => this.socketClosed());
    // 'close' follows, and says all that matters.
    socket.on('error', () => {});
  }

  /** Ends the connection now; exchanges that are under way are cut off. */
  close(): void {
    for (const turn of this.turns.values()) turn.cutOff();
    this.fail(code.none, 'closing');
  }

  /**
   * Takes no new stream, ends after the present ones.
   * @param begun false: what is on its way is not served either
   */
  drain(begun = true): void {
    if (this.ended || (this.draining && begun)) return;
    if (!begun || this.draining) {
      this.draining = true;
      this.lastCall();
      return;
    }
    this.draining = true;
    // Streams that are on their way are still taken (RFC 9113 6.8).
    this.control.goaway(streamIdMax, code.none, 'draining');
    this.drainAtMs = sweepNowMs() + this.limits.drainGraceMs;
  }

  /** Keeps a head for another request. */
  recycle(head: Http2RequestHead): void {
    if (idleHeads.length < idleHeadsMax) idleHeads.push(head);
  }

  expire(): void {
    const nowMs = sweepNowMs();
    this.deadlineMs = deadlineIn(tickMs);
    const { limits } = this;
    if (this.lingerUntilMs > 0) {
      if (nowMs > this.lingerUntilMs) this.socket.destroy();
    } else if (this.drainAtMs > 0 && nowMs > this.drainAtMs) this.lastCall();
    else if (this.begun && nowMs - this.activeAtMs > limits.headTimeoutMs) {
      this.fail(code.enhanceYourCalm, 'a head did not come in time');
    } else if (!this.control.settled && nowMs - this.openedAtMs > limits.headTimeoutMs) {
      this.fail(code.settingsTimeout, 'no SETTINGS');
    } else if (this.streamCount === 0 && nowMs - this.activeAtMs > limits.idleTimeoutMs) {
      this.lastCall();
    } else if (!this.control.tick(nowMs, limits)) {
      this.fail(code.none, 'a PING was not answered');
    } else this.expireStreams(nowMs);
  }

  override peerGoaway(): void {
    // It opens no more streams; those that it has go on.
    this.drain();
  }

  protected override openBlock(block: HeaderBlock): FieldSink | null {
    const { id } = block;
    this.newHead = null;
    this.newTrailers = null;
    if (id % 2 === 0) {
      this.fail(code.protocol, 'an even stream');
      return null;
    }
    const stream = this.streams.get(id);
    if (stream !== undefined) return this.openTrailers(stream, block);
    if (id <= this.lastId) {
      if (this.wasReset(id)) return null;
      const ended = this.closedStreams.hasEnded(id);
      this.fail(ended ? code.streamClosed : code.protocol, `HEADERS on stream ${id}`);
      return null;
    }
    if (!this.mayOpen(block)) return null;
    const head = idleHeads.pop() ?? new Http2RequestHead(this.limits);
    head.begin();
    this.newHead = head;
    return head;
  }

  protected override closeBlock(block: HeaderBlock): void {
    const { newHead, newTrailers } = this;
    if (newTrailers !== null) this.takeTrailers(block.id, newTrailers);
    else if (newHead !== null) this.takeRequest(block, newHead);
  }

  protected override peerGaveUp(stream: Http2Stream): void {
    const turn = this.turns.get(stream);
    if (turn !== undefined && !turn.answered && !this.flood.reset()) {
      this.fail(code.enhanceYourCalm, 'too many streams were reset');
    }
  }

  protected override streamClosed(stream: Http2Stream): void {
    this.turns.delete(stream);
    this.activeAtMs = sweepNowMs();
    if (this.draining && this.drainAtMs === 0 && this.streamCount === 0) this.lastCall();
  }

  protected override sessionEnded(): void {
    this.lingerUntilMs = sweepNowMs() + lingerMs;
    this.socket.end();
  }

  protected override peerSettingsChanged(): void {
    // Nothing of a server depends on them but windows.
  }

  private read(chunk: Buffer): void {
    if (this.ended) {
      this.discard(chunk.length);
      return;
    }
    if (this.streamCount === 0) this.activeAtMs = sweepNowMs();
    this.push(chunk, 0, chunk.length);
  }

  /** What comes after the end is read so that GOAWAY arrives, but not for ever (RFC 9112 9.6). */
  private discard(bytes: number): void {
    this.discardedBytes += bytes;
    if (this.discardedBytes > discardedBytesMax) this.socket.destroy();
  }

  private openTrailers(stream: Http2Stream, block: HeaderBlock): FieldSink | null {
    if (stream.remoteEnded || !block.endStream) {
      this.reset(stream, stream.remoteEnded ? code.streamClosed : code.protocol);
      return null;
    }
    this.newTrailers = new TrailerSink(this.limits.trailerBytesMax);
    return this.newTrailers;
  }

  /** Whether another stream may be opened; if not, it is refused or ignored. */
  private mayOpen(block: HeaderBlock): boolean {
    const { id } = block;
    const late = id > this.lastTaken;
    const refused = this.streamCount >= this.limits.streamsMax;
    if (!late && !refused && block.dependsOn !== id) return true;
    this.lastId = id;
    this.closedStreams.add(id, true);
    if (late) return false;
    this.control.resetStream(id, refused ? code.refusedStream : code.protocol);
    if (!this.flood.reset()) this.fail(code.enhanceYourCalm, 'too many streams were refused');
    return false;
  }

  private takeRequest(block: HeaderBlock, head: Http2RequestHead): void {
    const stream = this.addStream(block.id);
    stream.remoteEnded = block.endStream;
    const state = head.settle(block.endStream);
    const turn = new Http2Turn(this, stream, head);
    this.turns.set(stream, turn);
    const { requestsPerConnectionMax: max } = this.limits;
    if (++this.requests === max) this.drain();
    if (state === 'ok') {
      this.path.start(turn.exchange);
      return;
    }
    turn.unheard = true;
    if (state === 'malformed') turn.refuse('malformed', code.protocol);
    else turn.fail('head-too-large');
  }

  private takeTrailers(id: number, sink: TrailerSink): void {
    const stream = this.streams.get(id);
    if (stream === undefined) return;
    const { expectedBytes, receivedBytes } = stream;
    if (sink.malformed || (expectedBytes >= 0 && receivedBytes !== expectedBytes)) {
      this.reset(stream, code.protocol);
      return;
    }
    stream.remoteEnded = true;
    this.turns.get(stream)?.requestTrailers(sink.trailers);
    this.closeIfDone(stream);
  }

  /** From here on no stream is taken; the connection ends with the last one that there is. */
  private lastCall(): void {
    this.drainAtMs = 0;
    this.draining = true;
    if (this.lastTaken === streamIdMax) {
      this.lastTaken = this.lastId;
      this.control.goaway(this.lastId, code.none, 'draining');
    }
    if (this.streamCount === 0) this.end(code.none);
  }

  private expireStreams(nowMs: number): void {
    const { streamIdleTimeoutMs: idleMs } = this.limits;
    if (idleMs === 0) return;
    for (const [stream, turn] of this.turns) {
      if (nowMs - stream.activeAtMs < idleMs) continue;
      turn.fail(stream.remoteEnded ? 'upstream-timeout' : 'request-timeout');
    }
  }

  private peerEnded(): void {
    this.end(code.cancel);
  }

  private socketClosed(): void {
    this.end(code.cancel);
    unwatch(this);
    this.host.closed(this);
  }
}
