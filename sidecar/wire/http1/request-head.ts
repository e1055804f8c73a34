// A request head: its line, `Host`, and the edited copy that goes upstream.
import type { TokenFacts } from '#policy/facts.ts';
import { AUTHORITY, CR, FOLD, LF, latin1At, SPACE, TARGET, writeLatin1 } from '../bytes.ts';

import type { HeadState } from './head.ts';
import { valueEnd, valueStart } from '../lines.ts';
import type { FieldEncoder } from '../lines.ts';
import { MessageHead } from './message.ts';
import { known } from '../names.ts';
import type { RequestMessage } from '../upstream.ts';

/** What the request line waits for. */
const beforeMethod = 0;
const inMethod = 1;
const inTarget = 2;
const atVersion = 3;

const version = Buffer.from('HTTP/1.');
/** Version digit, CR, LF. */
const versionBytes = version.length + 3;
/** Names and lengths of the four pseudo-header fields. */
const pseudoOverheadBytes = 128;
const upgradeLine = 'connection: upgrade\r\n';
const unsendable = /[^\x21-\x7e]/;

export class RequestHead extends MessageHead implements RequestMessage {
  method = '';
  rawTarget = '';
  path = '';
  authority = '';
  scheme = 'http';
  token: TokenFacts | null = null;
  upgrade = '';
  hasBody = false;
  /** `Expect: 100-continue`. */
  expectsContinue = false;
  /** Values of `Host`: one, or none. */
  hosts: readonly string[] = [];

  private step = beforeMethod;
  private targetStart = 0;
  private targetEnd = 0;
  /** Offset of the `Host` line, or -1. */
  private hostAt = -1;

  setPath(path: string): void {
    this.path = path;
  }

  setAuthority(authority: string): void {
    this.authority = authority;
  }

  callGrpc(path: string): void {
    this.method = 'POST';
    this.path = path;
    this.acceptTrailers();
  }

  /** Forgets what was read, for an exchange about something that is no request. */
  blank(): void {
    this.clear();
    this.reset();
    this.method = '';
    this.rawTarget = '';
    this.path = '';
    this.authority = '';
    this.upgrade = '';
    this.minor = 1;
    this.hasBody = false;
    this.hosts = [];
  }

  http1BytesMax(): number {
    if (!this.isSendable()) return -1;
    const edits = this.addedBytes() + this.path.length + this.authority.length;
    return this.end - this.start + edits + this.method.length + 64;
  }

  writeHttp1(out: Buffer, offset: number): number {
    const last = this.end - 2;
    if (this.path === this.rawTarget && this.authority === (this.hosts[0] ?? '')) {
      const lines = this.minor === 1 ? this.start : this.linesStart;
      if (this.minor !== 1) offset = this.writeLine(out, offset);
      offset = this.copyLines(out, offset, lines, last);
    } else {
      offset = this.writeLine(out, offset);
      if (this.hostAt === -1) {
        offset = writeLatin1(out, `host: ${this.authority}\r\n`, offset);
        offset = this.copyLines(out, offset, this.linesStart, last);
      } else {
        const host = this.index[this.hostAt + valueStart]!;
        offset = this.copyLines(out, offset, this.linesStart, host);
        offset = writeLatin1(out, this.authority, offset);
        offset = this.copyLines(out, offset, this.index[this.hostAt + valueEnd]!, last);
      }
    }
    offset = this.writeAdded(out, offset);
    if (this.upgradeAsked) offset = writeLatin1(out, upgradeLine, offset);
    out[offset++] = CR;
    out[offset++] = LF;
    return offset;
  }

  http2BytesMax(): number {
    if (!this.isSendable()) return -1;
    const pseudo = this.method.length + this.path.length + this.authority.length;
    return this.fieldBytesMax(this.end - this.linesStart + pseudo) + pseudoOverheadBytes;
  }

  writeHttp2(encoder: FieldEncoder, out: Buffer, offset: number): number {
    offset = encoder.method(out, offset, this.method);
    offset = encoder.scheme(out, offset, this.scheme);
    offset = encoder.text(out, offset, ':path', this.path);
    if (this.authority !== '') offset = encoder.text(out, offset, ':authority', this.authority);
    return this.writeFields(encoder, out, offset);
  }

  private isSendable(): boolean {
    if (this.path !== this.rawTarget && unsendable.test(this.path)) return false;
    return this.authority === (this.hosts[0] ?? '') || !unsendable.test(this.authority);
  }

  protected override startLine(): HeadState {
    const { buffer, limit } = this;
    let i = this.scanned;
    if (this.step === beforeMethod) {
      if (i === limit) return 'more';
      // One empty line is forgiven (RFC 9112 2.2): old clients end a POST with it.
      if (buffer[i] === CR) {
        if (limit - i < 2) return 'more';
        if (buffer[i + 1] !== LF) return 'malformed';
        i += 2;
      }
      this.start = i;
      this.step = inMethod;
    }
    if (this.step === inMethod) {
      while (i < limit && FOLD[buffer[i]!] !== 0) i++;
      if (i === limit) return this.wait(i);
      if (i === this.start || buffer[i] !== SPACE) return 'malformed';
      this.method = textAt(buffer, this.start, i, this.method);
      this.targetStart = ++i;
      this.step = inTarget;
    }
    if (this.step === inTarget) {
      while (i < limit && TARGET[buffer[i]!] === 1) i++;
      if (i === limit) return this.wait(i);
      if (i === this.targetStart || buffer[i] !== SPACE) return 'malformed';
      this.targetEnd = i++;
      this.step = atVersion;
    }
    if (limit - i < versionBytes) return this.wait(i);
    for (let at = 0; at < version.length; at++) {
      if (buffer[i + at] !== version[at]) return 'malformed';
    }
    i += version.length;
    this.minor = buffer[i]! - 48;
    if (this.minor !== 0 && this.minor !== 1) return 'malformed';
    if (buffer[i + 1] !== CR || buffer[i + 2] !== LF) return 'malformed';
    this.scanned = i + 3;
    return 'done';
  }

  protected override reset(): void {
    super.reset();
    this.step = beforeMethod;
    this.hostAt = -1;
    this.expectsContinue = false;
    this.token = null;
  }

  protected override note(id: number, at: number): boolean {
    if (id === known.host) {
      if (this.hostAt !== -1) return false;
      this.hostAt = at;
      const to = this.index[at + valueEnd]!;
      for (let i = this.index[at + valueStart]!; i < to; i++) {
        if (AUTHORITY[this.buffer[i]!] === 0) return false;
      }
      return true;
    }
    if (id === known.expect) {
      const from = this.index[at + valueStart]!;
      const to = this.index[at + valueEnd]!;
      // Another line beside it takes nothing back.
      if (this.valueIs(from, to, '100-continue')) this.expectsContinue = true;
      return true;
    }
    return super.note(id, at);
  }

  protected override interpret(): HeadState {
    if (!this.settle()) return 'malformed';
    const { buffer, index, hostAt } = this;
    this.rawTarget = textAt(buffer, this.targetStart, this.targetEnd, this.rawTarget);
    this.path = this.rawTarget;
    this.hasBody = this.chunked || this.contentLength > 0;
    // What follows CONNECT is the tunnel's (RFC 9110 9.3.6).
    if (this.hasBody && this.method === 'CONNECT') return 'malformed';
    this.upgrade = this.upgradeAsked ? this.valueAt(this.upgradeAt).toLowerCase() : '';
    if (this.upgrade === 'h2c') this.ignoreUpgrade();
    // Where the application takes the body for the tunnel's first bytes, they would be no request's.
    if (this.hasBody && this.upgrade === 'websocket') return 'malformed';
    if (hostAt === -1) {
      this.authority = '';
      if (this.hosts.length > 0) this.hosts = [];
      return 'done';
    }
    const previous = this.hosts[0] ?? '';
    this.authority = textAt(
      buffer,
      index[hostAt + valueStart]!,
      index[hostAt + valueEnd]!,
      previous,
    );
    if (this.authority !== previous || this.hosts.length === 0) this.hosts = [this.authority];
    return 'done';
  }

  protected override moved(by: number): void {
    this.targetStart += by;
    this.targetEnd += by;
  }

  /** HTTP/2 by an upgrade (gone from RFC 9113) would be a tunnel that no policy sees into. */
  private ignoreUpgrade(): void {
    this.cutAt(this.upgradeAt);
    this.upgradeAsked = false;
    this.upgrade = '';
  }

  private wait(scanned: number): HeadState {
    this.scanned = scanned;
    return 'more';
  }

  private writeLine(out: Buffer, offset: number): number {
    return writeLatin1(out, `${this.method} ${this.path} HTTP/1.1\r\n`, offset);
  }
}

/** The bytes as latin-1; `previous` itself if it says the same, which on one connection is likely. */
function textAt(buffer: Buffer, from: number, to: number, previous: string): string {
  const length = to - from;
  if (previous.length !== length) return latin1At(buffer, from, to);
  for (let i = 0; i < length; i++) {
    if (buffer[from + i] !== previous.charCodeAt(i)) return latin1At(buffer, from, to);
  }
  return previous;
}
