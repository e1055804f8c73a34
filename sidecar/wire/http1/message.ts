// What the headers of either kind of message say about framing and the connection (RFC 9112 6, 9).
import { SPACE } from '../bytes.ts';
import { lineEnd, nameEnd, valueEnd, valueStart } from '../lines.ts';
import { known } from '../names.ts';
import { eachElement, Head, lengthAt } from './head.ts';

/** More names than this in `Connection` is nobody's need. */
const nominatedMax = 32;
/** To strip these would change what the message means to the next hop. */
const indispensable: readonly string[] = ['host', 'content-length', 'transfer-encoding', 'expect'];

export abstract class MessageHead extends Head {
  /** -1: no Content-Length. */
  contentLength = -1;
  chunked = false;
  /** `Connection: close`. */
  close = false;
  keepAlive = false;
  /** `Upgrade` is there and `Connection` names it. */
  upgradeAsked = false;
  /** `Keep-Alive: timeout=…`, seconds; -1: not said. */
  keepAliveTimeoutSeconds = -1;

  private upgradeNamed = false;
  /** Offset of the first `Upgrade` line, or -1. */
  protected upgradeAt = -1;
  /** Further names in `Connection`, lower-case. */
  private readonly nominated: string[] = [];

  /** The body goes on as content. @param bytes -1: its length is not known yet, and chunks go on coming */
  reframe(bytes: number): void {
    this.reframeLines(bytes);
    this.contentLength = bytes;
    if (bytes >= 0) this.chunked = false;
  }

  protected override reset(): void {
    this.contentLength = -1;
    this.chunked = false;
    this.close = false;
    this.keepAlive = false;
    this.upgradeAsked = false;
    this.keepAliveTimeoutSeconds = -1;
    this.upgradeNamed = false;
    this.upgradeAt = -1;
    this.nominated.length = 0;
  }

  protected override note(id: number, at: number): boolean {
    const from = this.index[at + valueStart]!;
    const to = this.index[at + valueEnd]!;
    switch (id) {
      case known.contentLength:
        // A second one is refused even if it agrees: not every hop would read the same one.
        if (this.contentLength !== -1 || !this.isPlain(at)) return false;
        this.contentLength = lengthAt(this.buffer, from, to);
        return this.contentLength !== -1;
      case known.transferEncoding:
        if (this.chunked || !this.isPlain(at) || !this.valueIs(from, to, 'chunked')) return false;
        this.chunked = true;
        return true;
      case known.connection:
        this.cutAt(at);
        return this.noteConnection(from, to);
      case known.keepAlive:
        this.cutAt(at);
        this.noteKeepAlive(from, to);
        return true;
      case known.proxyConnection:
        this.cutAt(at);
        return true;
      case known.te:
        if (!this.valueIs(from, to, 'trailers')) this.cutAt(at);
        return true;
      case known.upgrade:
        // A second line would be forwarded beside the one that policy saw.
        if (this.upgradeAt !== -1) return false;
        this.upgradeAt = at;
        return true;
      default:
        return true;
    }
  }

  /**
   * Once all lines are known: refuses contradictions, cuts what `Connection` names.
   * @returns false: malformed
   */
  protected settle(): boolean {
    if (this.chunked && (this.contentLength !== -1 || this.minor === 0)) return false;
    if (this.upgradeAt !== -1) {
      if (this.upgradeNamed && this.minor === 1) this.upgradeAsked = true;
      else this.cutAt(this.upgradeAt);
    }
    for (const name of this.nominated) {
      if (indispensable.includes(name)) return false;
      this.cutName(name);
    }
    return true;
  }

  /**
   * Whether nothing but spaces surrounds a value. Tabs are legal (RFC 9110 5.5), but the line goes on as
   * it is, and an application that reads no framing in it would take the body for its next request.
   */
  private isPlain(at: number): boolean {
    const { buffer, index } = this;
    const to = index[at + lineEnd]! - 2;
    for (let i = index[at + nameEnd]! + 1; i < index[at + valueStart]!; i++)
      if (buffer[i] !== SPACE) return false;
    for (let i = index[at + valueEnd]!; i < to; i++) if (buffer[i] !== SPACE) return false;
    return true;
  }

  private noteConnection(from: number, to: number): boolean {
    if (this.valueIs(from, to, 'keep-alive')) this.keepAlive = true;
    else if (this.valueIs(from, to, 'close')) this.close = true;
    else eachElement(this.buffer, from, to, (from, to) => this.noteOption(from, to));
    return this.nominated.length <= nominatedMax;
  }

  private noteOption(from: number, to: number): void {
    if (this.valueIs(from, to, 'close')) this.close = true;
    else if (this.valueIs(from, to, 'keep-alive')) this.keepAlive = true;
    else if (this.valueIs(from, to, 'upgrade')) this.upgradeNamed = true;
    else if (this.valueIs(from, to, 'te')) return;
    else if (this.nominated.length <= nominatedMax) {
      this.nominated.push(this.buffer.toString('latin1', from, to).toLowerCase());
    }
  }

  private noteKeepAlive(from: number, to: number): void {
    const name = 'timeout';
    let at = from;
    while (at < to && !this.valueIs(at, Math.min(to, at + name.length), name)) at++;
    at += name.length + 1;
    if (at >= to) return;
    let seconds = 0;
    for (; at < to && seconds < 100_000; at++) {
      const digit = this.buffer[at]! - 48;
      if (digit < 0 || digit > 9) break;
      seconds = seconds * 10 + digit;
    }
    this.keepAliveTimeoutSeconds = seconds;
  }
}
