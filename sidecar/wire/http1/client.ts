// One upstream connection: writes requests, reads responses with a shared buffer, one exchange at a time.
import type { FailureCode } from '../../failures.ts';
import { readFailureId } from '../../failure-id.ts';
import { readUnanswered } from '../../unanswered.ts';
import { ReadTarget } from '../read-target.ts';
import { deadlineIn, sweepNowMs, unwatch, watch } from '../sweep.ts';
import type { Sweepable } from '../sweep.ts';

import type { UpstreamCall, UpstreamStream } from '../upstream.ts';

import { BodyCursor } from './body.ts';
import type { ConnectionOwner, OpenSocket } from './connection-owner.ts';
import { idleMsOf } from './keep-alive.ts';
import { RequestWriter } from './request-writer.ts';
import { ResponseHead } from './response-head.ts';

/** Interim heads for one request; more are an attack or a bug. */
const interimMax = 32;

export class UpstreamConnection extends RequestWriter implements UpstreamStream, Sweepable {
  deadlineMs: number;
  /** Open, its TLS handshake done. */
  connected = false;

  private call: UpstreamCall | null = null;
  private requests = 0;
  private readonly madeAtMs: number;
  private tcpConnected = false;
  /** A byte of the response to the present call has come. */
  private answered = false;
  private headDone = false;
  private interims = 0;
  private tunnel = false;
  private reusable = true;
  private readonly head: ResponseHead;
  private readonly bodyCursor: BodyCursor;
  private readonly owner: ConnectionOwner;

  /** @param adopted a socket that is open already */
  constructor(owner: ConnectionOwner, adopted: OpenSocket | null = null) {
    const read = adopted?.read ?? new ReadTarget();
    super(adopted?.socket ?? owner.connect(read.onread));
    this.owner = owner;
    this.head = new ResponseHead(owner.limits);
    this.bodyCursor = new BodyCursor(owner.limits);
    read.take = (size, buffer) => {
      if (!this.read(buffer, size)) this.socket.pause();
      return true;
    };
    this.deadlineMs = deadlineIn(owner.limits.connectTimeoutMs);
    this.listen();
    watch(this);
    this.madeAtMs = sweepNowMs();
  }

  /** Takes the call's exchange; the call writes its request at once. */
  take(call: UpstreamCall): void {
    this.call = call;
    this.requests++;
    this.answered = false;
    this.headDone = false;
    this.interims = 0;
    if (this.connected) this.deadlineMs = 0;
    call.granted(this);
  }

  override get framed(): boolean {
    // Also once the call has been released: its answer's last bytes are told after that.
    return this.call === null ? this.asFramed : this.call.framed;
  }

  abort(): void {
    this.call = null;
    this.destroy();
  }

  expire(): void {
    if (this.connected) this.destroy();
    else this.fail('connect-timeout');
  }

  /** Closes at once; a call that is under way fails. */
  destroy(): void {
    if (this.dead) return;
    this.discard();
    const call = this.call;
    this.call = null;
    this.owner.closed(this, null);
    if (call !== null) call.failed('upstream-reset');
  }

  /** Closes once the last bytes are out. */
  finishTunnel(): void {
    this.call = null;
    if (this.dead) return;
    this.dead = true;
    unwatch(this);
    this.socket.destroySoon();
    this.owner.closed(this, null);
  }

  get bodyBytes(): number {
    return this.bodyCursor.bytes;
  }

  get trailerGrpcStatus(): string {
    return this.bodyCursor.trailers?.grpcStatus() ?? '';
  }

  private discard(): void {
    this.dead = true;
    unwatch(this);
    this.socket.destroy();
  }

  private listen(): void {
    const { socket } = this;
    socket.on('connect', () => {
      this.tcpConnected = true;
      if (!('encrypted' in socket)) this.opened();
    });
    socket.on('secureConnect', () => this.opened());
    // Only for sockets that were made without `onread`.
    socket.on('data', (chunk: Buffer) => {
      if (!this.read(chunk, chunk.length)) socket.pause();
    });
    socket.on('drain', () => this.call?.drained());
    socket.on('error', () => this.lost());
    socket.on('end', () => this.ended());
    socket.on('close', () => this.lost());
    if (!socket.connecting) {
      this.tcpConnected = true;
      if (!('secureConnecting' in socket && socket.secureConnecting)) this.opened();
    }
  }

  private opened(): void {
    if (this.dead) return;
    this.connected = true;
    this.deadlineMs = 0;
    this.call?.opened();
  }

  /** @returns false: read no more for now */
  private read(buffer: Buffer, size: number): boolean {
    const call = this.call;
    if (call === null) {
      // Nothing was asked: an answer now could only be taken for that of the next request.
      this.destroy();
      return true;
    }
    this.answered = true;
    if (this.tunnel) return call.body(buffer, 0, size, false);
    return this.headDone ? this.readBody(call, buffer, 0, size) : this.readHead(call, buffer, size);
  }

  private readHead(call: UpstreamCall, chunk: Buffer, size: number): boolean {
    const { head } = this;
    let buffer = chunk;
    let from = 0;
    let to = size;
    while (from < to) {
      const state = head.feed(buffer, from, to);
      if (state === 'more') return true;
      if (state !== 'done') return this.fail('upstream-malformed');
      ({ buffer, end: from, limit: to } = head);
      if (head.status >= 200) return this.startBody(call, buffer, from, to);
      if (head.status === 101) return this.startTunnel(call, buffer, from, to);
      if (++this.interims > interimMax) return this.fail('upstream-malformed');
      call.interim(head);
      if (this.call !== call) return true;
    }
    return true;
  }

  private startTunnel(call: UpstreamCall, buffer: Buffer, from: number, to: number): boolean {
    if (!call.asksUpgrade || !call.requestDone || !this.head.upgradeAsked)
      return this.fail('upstream-malformed');
    this.tunnel = true;
    this.socket.allowHalfOpen = true;
    const more = call.upgraded(this.head, buffer, from, to);
    this.head.clear();
    return more;
  }

  private startBody(call: UpstreamCall, buffer: Buffer, from: number, to: number): boolean {
    const { head, bodyCursor } = this;
    const { status, chunked } = head;
    if (status === 503 && 'encrypted' in this.socket) {
      const unanswered = readUnanswered(head);
      if (unanswered !== null) return this.fail(unanswered, readFailureId(head));
    }
    const bodyless = call.isHead || status === 204 || status === 304;
    bodyCursor.begin(chunked && !bodyless, bodyless ? 0 : head.contentLength);
    const { requestsPerConnectionMax: max, idleTimeoutMs } = this.owner.limits;
    const young = this.msLeft() > 0;
    // An application that refused an upgrade may have handed the socket to what would have served it.
    // One that never said "continue" may not have read the body: it would be the next request.
    const bodyRead = !call.expectsContinue || this.interims > 0;
    const open = head.minor === 1 && !head.close && !call.asksUpgrade && bodyRead;
    this.reusable = open && young && (max === 0 || this.requests < max) && idleTimeoutMs > 0;
    this.headDone = true;
    if (chunked && !bodyless && !call.framed) {
      const more = call.head(head, buffer, from, from, false);
      return this.call !== call || (this.readBody(call, buffer, from, to) && more);
    }
    const end = bodyCursor.done ? from : bodyCursor.take(buffer, from, to);
    if (end < 0) return this.fail('upstream-malformed');
    const { done } = bodyCursor;
    if (end < to) this.reusable = false;
    if (done) this.release(call);
    const more = call.head(head, buffer, from, end, done);
    return done || more;
  }

  private readBody(call: UpstreamCall, buffer: Buffer, from: number, to: number): boolean {
    const { bodyCursor } = this;
    let more = true;
    if (bodyCursor.framing === 'chunked' && !call.framed) {
      const end = bodyCursor.take(buffer, from, to, (buffer, from, to) => {
        if (this.call === call) more = call.body(buffer, from, to, false);
      });
      if (this.call !== call) return true;
      if (end < 0) return this.fail('upstream-malformed');
      if (end < to) this.reusable = false;
      if (!bodyCursor.done) return more;
      const { trailers } = bodyCursor;
      this.release(call);
      if (trailers === null) call.body(buffer, end, end, true);
      else call.trailers(trailers);
      return true;
    }
    const end = bodyCursor.take(buffer, from, to);
    if (end < 0) return this.fail('upstream-malformed');
    if (end < to) this.reusable = false;
    const { done } = bodyCursor;
    if (done) this.release(call);
    more = call.body(buffer, from, end, done);
    return done || more;
  }

  /** The response is complete. The call hears of it after this, and may start another at once. */
  private release(call: UpstreamCall): void {
    this.call = null;
    if (!this.reusable || !call.requestDone) {
      this.destroy();
      return;
    }
    const { keepAliveTimeoutSeconds } = this.head;
    const idleMs = idleMsOf(keepAliveTimeoutSeconds, this.owner.limits.idleTimeoutMs);
    this.deadlineMs = deadlineIn(Math.max(1, Math.min(idleMs, this.msLeft())));
    this.owner.released(this);
  }

  /** How long the connection still takes requests. */
  private msLeft(): number {
    const { connectionMsMax } = this.owner.limits;
    return connectionMsMax === 0 ? Infinity : this.madeAtMs + connectionMsMax - sweepNowMs();
  }

  private ended(): void {
    if (this.tunnel) {
      this.call?.tunnelEnded();
      return;
    }
    const call = this.call;
    if (call !== null && this.headDone && this.bodyCursor.framing === 'until-close') {
      this.call = null;
      this.destroy();
      call.body(noBytes, 0, 0, true);
      return;
    }
    this.lost();
  }

  /** The socket failed or closed under us. */
  private lost(): void {
    if (this.dead) return;
    const { call } = this;
    // The upstream closed an idle connection just as we wrote (RFC 9112 9.3.1).
    if (call !== null && !this.answered && this.requests > 1 && call.mayReplay(false)) {
      this.call = null;
      this.discard();
      this.owner.closed(this, call);
      return;
    }
    if (this.connected) this.fail('upstream-reset');
    else this.fail(this.tcpConnected ? 'upstream-tls' : 'upstream-connect');
  }

  private fail(code: FailureCode, id = ''): true {
    const call = this.call;
    this.call = null;
    this.destroy();
    call?.failed(code, id);
    return true;
  }
}

const noBytes: Buffer = Buffer.alloc(0);
