// A request head that came as HTTP/2 fields (RFC 9113 8.3.1), and the edited copy that goes upstream.
import type { TokenFacts } from '#policy/facts.ts';

import { CR, FOLD, latin1At, LF, TARGET, writeLatin1 } from '../bytes.ts';
import { stride, valueEnd, valueStart, type FieldEncoder } from '../lines.ts';
import { known } from '../names.ts';
import type { RequestMessage } from '../upstream.ts';

import { FieldLines, isAuthority, type BlockState } from './field-lines.ts';

/** Names and lengths of the pseudo-header fields, or of a request line. */
const overheadBytes = 160;
const unsendable = /[^\x21-\x7e]/;
const none: readonly string[] = Object.freeze([]);
const crumbGlue = Buffer.from('; ');

export class Http2RequestHead extends FieldLines implements RequestMessage {
  readonly minor = 1;
  method = '';
  rawTarget = '';
  path = '';
  authority = '';
  scheme = 'http';
  token: TokenFacts | null = null;
  /** `:protocol` of an extended CONNECT (RFC 8441): policies see the upgrade of HTTP/1.1 that it stands for. */
  upgrade = '';
  hasBody = false;
  expectsContinue = false;
  /** What was called, whatever edits make of it. */
  private sentAuthority = '';
  private sentScheme = '';
  private hosts: readonly string[] = none;
  private hostLine = -1;

  override begin(): void {
    super.begin();
    this.method = '';
    this.rawTarget = '';
    this.sentAuthority = '';
    this.sentScheme = '';
    this.token = null;
    this.upgrade = '';
    this.expectsContinue = false;
    this.hostLine = -1;
  }

  /** All fields were decoded. @param ends no body follows. @returns what became of the block */
  settle(ends: boolean): BlockState {
    if (this.state === 'ok' && !this.isSound(ends)) this.state = 'malformed';
    if (this.state !== 'ok') {
      // Heads are used again, and nobody may hear of the request before.
      this.path = '';
      this.authority = '';
      this.scheme = 'http';
      this.hosts = none;
      this.hasBody = false;
      return this.state;
    }
    this.joinCookies();
    this.path = this.rawTarget;
    this.authority = this.sentAuthority;
    this.scheme = this.sentScheme;
    if (this.hosts[0] !== this.authority) {
      this.hosts = this.authority === '' ? none : [this.authority];
    }
    this.hasBody = !ends && this.contentLength !== 0 && this.upgrade === '';
    return this.state;
  }

  override values(name: string): readonly string[] {
    if (name === 'host') return this.hosts;
    return super.values(name);
  }

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

  http1BytesMax(): number {
    if (!this.isSendable()) return -1;
    const line = this.method.length + this.path.length + this.authority.length;
    return this.length + this.addedBytes() + line + this.upgrade.length + overheadBytes;
  }

  writeHttp1(out: Buffer, offset: number): number {
    const { method, path, authority } = this;
    const host = authority === '' ? '' : `host: ${authority}\r\n`;
    offset = writeLatin1(out, `${method} ${path} HTTP/1.1\r\n${host}`, offset);
    offset = this.copyLines(out, offset, 0, this.length);
    offset = this.writeAdded(out, offset);
    if (this.upgrade !== '') {
      offset = writeLatin1(out, `connection: upgrade\r\nupgrade: ${this.upgrade}\r\n`, offset);
    }
    out[offset++] = CR;
    out[offset++] = LF;
    return offset;
  }

  http2BytesMax(): number {
    if (!this.isSendable()) return -1;
    const pseudo = this.method.length + this.path.length + this.authority.length;
    return this.fieldBytesMax(this.length + pseudo) + overheadBytes;
  }

  writeHttp2(encoder: FieldEncoder, out: Buffer, offset: number): number {
    offset = encoder.method(out, offset, this.method);
    offset = encoder.scheme(out, offset, this.scheme);
    offset = encoder.text(out, offset, ':path', this.path);
    if (this.authority !== '') offset = encoder.text(out, offset, ':authority', this.authority);
    return this.writeFields(encoder, out, offset);
  }

  protected override pseudo(name: string, values: Buffer, from: number, to: number): boolean {
    if (from === to) return false;
    switch (name) {
      case ':method':
        if (this.method !== '' || !isToken(values, from, to)) return false;
        this.method = latin1At(values, from, to);
        return true;
      case ':path':
        if (this.rawTarget !== '' || !isTarget(values, from, to)) return false;
        this.rawTarget = latin1At(values, from, to);
        return true;
      case ':authority':
        if (this.sentAuthority !== '' || !isAuthority(values, from, to)) return false;
        this.sentAuthority = latin1At(values, from, to);
        return true;
      case ':scheme': {
        const scheme = latin1At(values, from, to);
        if (this.sentScheme !== '' || (scheme !== 'http' && scheme !== 'https')) return false;
        this.sentScheme = scheme;
        return true;
      }
      case ':protocol':
        if (this.upgrade !== '' || !isToken(values, from, to)) return false;
        this.upgrade = latin1At(values, from, to).toLowerCase();
        return true;
      default:
        return false;
    }
  }

  protected override note(id: number, at: number): boolean {
    if (id === known.expect) {
      this.expectsContinue = true;
      return true;
    }
    if (this.hostLine !== -1) return false;
    this.hostLine = at;
    return true;
  }

  /** Whether the fields make a request. */
  private isSound(ends: boolean): boolean {
    // Nothing but its tunnel follows an extended CONNECT.
    const bodyless = ends || this.upgrade !== '';
    if (!this.isWhole() || (bodyless && this.contentLength > 0)) return false;
    return this.hostLine < 0 || this.takeHost(this.hostLine);
  }

  /** Which pseudo-header fields there must be depends on the method (RFC 9113 8.3.1, 8.5; RFC 8441). */
  private isWhole(): boolean {
    const { method, rawTarget, sentScheme, sentAuthority, upgrade } = this;
    if (method === 'CONNECT' && upgrade === '') {
      this.rawTarget = sentAuthority;
      return sentAuthority !== '' && rawTarget === '' && sentScheme === '';
    }
    if (method === '' || sentScheme === '' || rawTarget === '') return false;
    if (upgrade !== '') {
      if (method !== 'CONNECT') return false;
      // What it stands for in HTTP/1.1, which policies are written for, and Envoy makes of it too.
      this.method = 'GET';
    }
    return rawTarget[0] === '/' || (rawTarget === '*' && method === 'OPTIONS');
  }

  /** `Host` beside `:authority` must say the same; alone it stands for it (RFC 9113 8.3.1). */
  private takeHost(at: number): boolean {
    const from = this.index[at + valueStart]!;
    const to = this.index[at + valueEnd]!;
    const host = latin1At(this.buffer, from, to);
    this.cutAt(at);
    if (this.sentAuthority === '' && isAuthority(this.buffer, from, to)) this.sentAuthority = host;
    return this.sentAuthority === host;
  }

  /** Crumbs become one line again before anybody looks (RFC 9113 8.2.3). */
  private joinCookies(): void {
    const first = this.find('cookie', 0);
    if (first < 0) return;
    const parts: Buffer[] = [];
    for (let at = first; at >= 0; at = this.find('cookie', at + stride)) {
      if (parts.length > 0) parts.push(crumbGlue);
      const { index } = this;
      parts.push(this.buffer.subarray(index[at + valueStart], index[at + valueEnd]));
    }
    if (parts.length === 1) return;
    const value = Buffer.concat(parts);
    this.cutName('cookie');
    const name = Buffer.from('cookie');
    this.addLine(name, 0, name.length, value, 0, value.length);
  }

  private isSendable(): boolean {
    if (this.path !== this.rawTarget && unsendable.test(this.path)) return false;
    return this.authority === this.sentAuthority || !unsendable.test(this.authority);
  }
}

function isToken(buffer: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    if (FOLD[buffer[i]!] === 0) return false;
  }
  return true;
}

function isTarget(buffer: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    if (TARGET[buffer[i]!] === 0) return false;
  }
  return true;
}
