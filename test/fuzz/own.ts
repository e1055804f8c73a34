// Our HTTP/1.1 parser over a connection's bytes in any split, as the engine drives it, without sockets.
import { admitHead } from '#sidecar/admit-head.ts';
import { BodyCursor } from '#sidecar/wire/http1/body.ts';
import { closesAfter } from '#sidecar/wire/http1/keep-alive.ts';
import { http1Limits } from '#sidecar/wire/http1/limits.ts';
import { RequestHead } from '#sidecar/wire/http1/request-head.ts';

import type { FuzzReading, FuzzReadings } from './reading.ts';
import { emptyReadings, utf8Text } from './reading.ts';

/** A request that goes on to the application. */
export interface Forwarded {
  readonly reading: FuzzReading;
  /** As it goes out. */
  readonly bytes: Buffer;
}

export class OwnReader {
  readings: FuzzReadings = emptyReadings();
  /** Those of `readings` that admission lets pass. */
  forwarded: Forwarded[] = [];

  private readonly head = new RequestHead(http1Limits);
  private readonly cursor = new BodyCursor(http1Limits);
  private current: FuzzReading | null = null;
  private admitted: { target: string; host: string; head: Buffer } | null = null;
  private raw: Buffer[] = [];
  private bodies: string[] = [];

  begin(): void {
    this.head.clear();
    this.readings = emptyReadings();
    this.forwarded = [];
    this.current = null;
  }

  /** @throws an invariant of the parser that does not hold */
  take(chunk: Buffer, from: number, to: number): void {
    const { readings, head, cursor } = this;
    let buffer = chunk;
    while (from < to && (readings.end === 'more' || readings.end === 'whole')) {
      if (this.current === null) {
        const state = head.feed(buffer, from, to);
        readings.end = state;
        if (state !== 'done') return;
        ({ buffer, end: from, limit: to } = head);
        readings.end = 'more';
        if (from > to) throw new Error('a head ends beyond its bytes');
        this.beginBody();
        if (this.current === null) return;
      }
      const end = cursor.done ? from : cursor.take(buffer, from, to, this.collect);
      if (end < 0) {
        readings.end = 'malformed body';
        return;
      }
      if (end < from || end > to) throw new Error('a body ends outside its bytes');
      if (!head.chunked) this.bodies.push(buffer.toString('latin1', from, end));
      this.raw.push(Buffer.from(buffer.subarray(from, end)));
      from = end;
      if (cursor.done) this.complete();
      else if (from !== to) throw new Error('a body that goes on leaves bytes');
    }
  }

  private readonly collect = (buffer: Buffer, from: number, to: number): void => {
    this.bodies.push(buffer.toString('latin1', from, to));
  };

  private beginBody(): void {
    const { head, cursor } = this;
    cursor.begin(head.chunked, Math.max(0, head.contentLength));
    const { method, rawTarget: target, minor, upgradeAsked: upgrade } = head;
    const lines = rawLines(head);
    this.current = { method, target, minor, lines, body: '', trailers: [], upgrade };
    this.bodies = [];
    this.raw = [];
    this.admitted = null;
    const refusal = admitHead(head, 'DEFAULT');
    if (refusal === 'malformed' || refusal === 'version-unsupported') {
      this.readings.end = refusal;
      this.current = null;
    }
    if (refusal !== '') return;
    this.admitted = { target: head.path, host: head.authority, head: writtenHead(head) };
  }

  private complete(): void {
    const { head, readings, admitted, current } = this;
    if (current === null) throw new Error('a body without a head is complete');
    current.body = this.bodies.join('');
    readings.requests.push(current);
    const raw = Buffer.concat(this.raw);
    if (head.chunked) current.trailers.push(...trailersOf(raw));
    if (admitted !== null) {
      const lines = current.lines.map(([name, value]): [string, string] => [
        name,
        name === 'host' ? admitted.host : value,
      ]);
      if (!lines.some(([name]) => name === 'host')) lines.unshift(['host', admitted.host]);
      const reading = { ...current, target: admitted.target, minor: 1, lines };
      this.forwarded.push({ reading, bytes: Buffer.concat([admitted.head, raw]) });
    }
    const closes = closesAfter(head, this.cursor);
    if (readings.end === 'more') {
      readings.end = !closes ? 'whole' : current.upgrade ? 'upgrade' : 'close';
    }
    head.clear();
    this.current = null;
  }
}

/** The edited head, as it goes upstream. */
function writtenHead(head: RequestHead): Buffer {
  const bytesMax = head.http1BytesMax();
  if (bytesMax < 0) throw new Error('an admitted head cannot be sent');
  const out = Buffer.alloc(bytesMax);
  return out.subarray(0, head.writeHttp1(out, 0));
}

/** The lines that forwarding keeps. */
function rawLines(head: RequestHead): [string, string][] {
  return head.lines().map(([name, value]) => [name.toLowerCase(), value]);
}

/** Trailer lines of a chunked body that was found whole: those between its last size line and its end. */
function trailersOf(raw: Buffer): [string, string][] {
  const lines: [string, string][] = [];
  for (const line of utf8Text(raw.toString('latin1', 0, raw.length - 4))
    .split('\r\n')
    .toReversed()) {
    if (/^0+(;|$)/.test(line)) break;
    const colon = line.indexOf(':');
    lines.unshift([line.slice(0, colon).toLowerCase(), line.slice(colon + 1)]);
  }
  return lines;
}
