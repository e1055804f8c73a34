// The frames of a connection that carry no message: SETTINGS, PING, GOAWAY, windows and resets, both ways.
import type { FloodGuard } from './flood.ts';
import type { FrameWriter } from './frame-writer.ts';
import { code, flag, frame, frameHeadBytes, PREFACE, windowMax } from './frames.ts';
import type { Http2Limits } from './limits.ts';
import {
  defaultPeerSettings,
  readSettings,
  settingsBytes,
  type PeerSettings,
  type SettingEntries,
} from './settings.ts';

/** What control frames do to the session. */
export interface ControlOwner {
  readonly limits: Readonly<Http2Limits>;
  readonly flood: FloodGuard;
  fail(reason: number, message: string): void;
  isIdle(id: number): boolean;
  /** The peer ended a stream. */
  peerReset(id: number, reason: number): void;
  /** The peer lets us send more; @param id 0: on the connection */
  peerWindow(id: number, bytes: number): void;
  /** @param windowChange of every open stream */
  applyPeerSettings(windowChange: number): void;
  peerGoaway(lastId: number, reason: number): void;
  /** A stream depends on itself (RFC 7540 5.3.1): it ends, or the connection if it never began. */
  selfDependency(id: number): void;
}

type Pings = Pick<Http2Limits, 'pingEveryMs' | 'pingTimeoutMs'>;

const debugBytesMax = 256;
const pingBytes = 8;

export class Control {
  readonly peer: PeerSettings = defaultPeerSettings();
  /** The peer's SETTINGS have come; nothing else may come first (RFC 9113 3.4). */
  settled = false;

  private readonly owner: ControlOwner;
  private readonly writer: FrameWriter;
  private readonly server: boolean;
  private unsentAnswers = 0;
  private pingUnanswered = false;
  /** Since when nothing came, or a PING has waited for its answer; 0: something came since the last tick. */
  private silentSinceMs = 0;

  constructor(owner: ControlOwner, writer: FrameWriter, server: boolean) {
    this.owner = owner;
    this.writer = writer;
    this.server = server;
  }

  /** Our side's first bytes: the preface of a client, SETTINGS, the connection's window. */
  open(entries: SettingEntries, windowBytes: number): void {
    const payload = settingsBytes(entries);
    const { writer } = this;
    if (!this.server) {
      writer.reserve(PREFACE.length);
      writer.copy(PREFACE, 0, PREFACE.length);
    }
    writer.frame(payload.length, frame.settings, 0, 0);
    writer.copy(payload, 0, payload.length);
    if (windowBytes > 0) this.windowUpdate(0, windowBytes);
  }

  /** A byte came. */
  heard(): void {
    this.silentSinceMs = 0;
    this.pingUnanswered = false;
  }

  /** What waited has gone out. */
  answered(): void {
    this.unsentAnswers = 0;
  }

  /** Any frame but DATA, HEADERS and CONTINUATION. */
  read(type: number, flags: number, id: number, bytes: Buffer, from: number, to: number): void {
    if (!this.settled && type !== frame.settings) {
      this.owner.fail(code.protocol, 'the first frame is not SETTINGS');
      return;
    }
    switch (type) {
      case frame.windowUpdate:
        return this.readWindowUpdate(id, bytes, from, to);
      case frame.rstStream:
        return this.readReset(id, bytes, from, to);
      case frame.settings:
        return this.readSettings(flags, id, bytes, from, to);
      case frame.ping:
        return this.readPing(flags, id, bytes, from, to);
      case frame.goaway:
        return this.readGoaway(id, bytes, from, to);
      case frame.priority:
        return this.readPriority(id, bytes, from, to);
      case frame.pushPromise:
        return this.owner.fail(code.protocol, 'PUSH_PROMISE');
      default:
        // Unknown types are ignored (RFC 9113 4.1), but not for ever.
        return this.count();
    }
  }

  windowUpdate(id: number, bytes: number): void {
    this.writer.frame(4, frame.windowUpdate, 0, id);
    this.writer.u32(bytes);
  }

  resetStream(id: number, reason: number): void {
    this.writer.frame(4, frame.rstStream, 0, id);
    this.writer.u32(reason);
  }

  goaway(lastId: number, reason: number, message: string): void {
    const text = Buffer.from(message.slice(0, debugBytesMax), 'latin1');
    this.writer.frame(8 + text.length, frame.goaway, 0, 0);
    this.writer.u32(lastId);
    this.writer.u32(reason);
    this.writer.copy(text, 0, text.length);
  }

  ping(): void {
    this.writer.frame(pingBytes, frame.ping, 0, 0);
    this.writer.u32(0x73656c76);
    this.writer.u32(0x61676521);
  }

  /** Keeps a silent connection honest. @returns false: the last PING was not answered */
  tick(nowMs: number, { pingEveryMs, pingTimeoutMs }: Pings): boolean {
    if (pingEveryMs === 0) return true;
    if (this.silentSinceMs === 0) this.silentSinceMs = nowMs;
    const silentMs = nowMs - this.silentSinceMs;
    if (this.pingUnanswered) return silentMs < (pingTimeoutMs || pingEveryMs);
    if (silentMs < pingEveryMs) return true;
    this.silentSinceMs = nowMs;
    this.pingUnanswered = true;
    this.ping();
    return true;
  }

  private count(): void {
    if (!this.owner.flood.control()) this.owner.fail(code.enhanceYourCalm, 'too many frames');
  }

  /** An answer that waits costs memory while the peer reads nothing. */
  private countAnswer(): void {
    this.unsentAnswers = this.writer.full ? this.unsentAnswers + 1 : 0;
    if (this.unsentAnswers > this.owner.limits.pendingAnswersMax) {
      this.owner.fail(code.enhanceYourCalm, 'too many answers are not read');
    }
    this.count();
  }

  private readWindowUpdate(id: number, bytes: Buffer, from: number, to: number): void {
    const { owner } = this;
    if (to - from !== 4) return owner.fail(code.frameSize, 'WINDOW_UPDATE');
    const increment = bytes.readUInt32BE(from) & windowMax;
    if (id !== 0 && owner.isIdle(id)) return owner.fail(code.protocol, 'WINDOW_UPDATE when idle');
    if (!owner.flood.windowUpdate()) {
      return owner.fail(code.enhanceYourCalm, 'too many WINDOW_UPDATE frames');
    }
    return owner.peerWindow(id, increment);
  }

  private readReset(id: number, bytes: Buffer, from: number, to: number): void {
    const { owner } = this;
    if (id === 0 || owner.isIdle(id)) return owner.fail(code.protocol, 'RST_STREAM when idle');
    if (to - from !== 4) return owner.fail(code.frameSize, 'RST_STREAM');
    return owner.peerReset(id, bytes.readUInt32BE(from));
  }

  private readSettings(flags: number, id: number, bytes: Buffer, from: number, to: number): void {
    const { owner, peer } = this;
    if (id !== 0) return owner.fail(code.protocol, 'SETTINGS on a stream');
    if ((flags & flag.ack) !== 0) {
      return to === from ? this.count() : owner.fail(code.frameSize, 'SETTINGS acknowledged');
    }
    const before = peer.streamWindowBytes;
    const error = readSettings(peer, bytes, from, to, !this.server);
    if (error !== code.none) return owner.fail(error, 'SETTINGS');
    this.settled = true;
    this.writer.frame(0, frame.settings, flag.ack, 0);
    this.countAnswer();
    return owner.applyPeerSettings(peer.streamWindowBytes - before);
  }

  private readPing(flags: number, id: number, bytes: Buffer, from: number, to: number): void {
    if (id !== 0) return this.owner.fail(code.protocol, 'PING on a stream');
    if (to - from !== pingBytes) return this.owner.fail(code.frameSize, 'PING');
    if ((flags & flag.ack) !== 0) return this.count();
    this.writer.frame(pingBytes, frame.ping, flag.ack, 0);
    this.writer.copy(bytes, from, to);
    return this.countAnswer();
  }

  private readGoaway(id: number, bytes: Buffer, from: number, to: number): void {
    if (id !== 0) return this.owner.fail(code.protocol, 'GOAWAY on a stream');
    if (to - from < frameHeadBytes - 1) return this.owner.fail(code.frameSize, 'GOAWAY');
    const lastId = bytes.readUInt32BE(from) & windowMax;
    this.count();
    return this.owner.peerGoaway(lastId, bytes.readUInt32BE(from + 4));
  }

  private readPriority(id: number, bytes: Buffer, from: number, to: number): void {
    const { owner } = this;
    if (id === 0) return owner.fail(code.protocol, 'PRIORITY on the connection');
    if (to - from !== 5) return owner.fail(code.frameSize, 'PRIORITY');
    if ((bytes.readUInt32BE(from) & windowMax) === id) owner.selfDependency(id);
    return this.count();
  }
}
