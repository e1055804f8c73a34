// Frames that a client could send, among others that none should.
import { flag, frame, PREFACE, setting } from '#sidecar/wire/http2/frames.ts';
import { HpackEncoder } from '#sidecar/wire/http2/hpack/encoder.ts';
import { frameOf, literal, settingBytes, u32 } from '#test/sidecar/wire/http2/rig.ts';

import type { Dice } from './dice.ts';

const heads: readonly (readonly (readonly [string, string])[])[] = [
  [],
  [['content-length', '5']],
  [['te', 'trailers']],
  [
    ['cookie', 'a=1'],
    ['cookie', 'b=2'],
  ],
  [['expect', '100-continue']],
  [['content-type', 'application/grpc']],
  [['connection', 'close']],
  [['X', '1']],
  [['host', 'a']],
  [['host', 'b']],
  [['x', 'v'.repeat(3_000)]],
];

export class FrameMaker {
  private readonly dice: Dice;
  private readonly encoder = new HpackEncoder();
  private nextId = 1;
  /** Streams that we have not ended. */
  private open: number[] = [];

  constructor(dice: Dice) {
    this.dice = dice;
  }

  opening(): Buffer {
    const { dice } = this;
    const entries: Buffer[] = [];
    while (dice.oneIn(2)) {
      const bytes = dice.of([0, 1, 1_000, 65_535, 1_000_000]);
      entries.push(
        settingBytes(dice.of([setting.headerTableSize, setting.initialWindowSize]), bytes),
      );
    }
    return Buffer.concat([PREFACE, frameOf(frame.settings, 0, 0, Buffer.concat(entries))]);
  }

  next(): Buffer {
    const { dice } = this;
    const one = this.nextId === 1 ? this.request() : this.honest();
    if (!dice.oneIn(60)) return one;
    if (dice.oneIn(2)) return dice.mutate(one);
    const payload = dice.bytes(dice.below(40));
    return frameOf(dice.below(12), dice.below(256), dice.below(this.nextId + 4), payload);
  }

  private honest(): Buffer {
    const { dice } = this;
    switch (dice.below(12)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return this.request();
      case 4:
      case 5:
        return this.open.length === 0 ? this.request() : this.data();
      case 6:
        return frameOf(
          frame.windowUpdate,
          0,
          dice.below(2) * this.someId(),
          u32(1 + dice.below(70_000)),
        );
      case 7:
        if (this.open.length === 0) return this.request();
        return frameOf(frame.rstStream, 0, this.openId(true), u32(dice.below(14)));
      case 8:
        return frameOf(frame.ping, dice.below(2), 0, dice.bytes(8));
      case 9:
        return this.open.length === 0 ? this.request() : this.trailers();
      case 10:
        return this.settings();
      default:
        return this.rare();
    }
  }

  private request(): Buffer {
    const { dice } = this;
    const id = this.nextId;
    this.nextId += 2;
    const method = dice.of(['GET', 'POST', 'PUT', 'HEAD', 'CONNECT']);
    const fields: (readonly [string, string])[] = [
      [':method', method],
      [':authority', 'a:80'],
    ];
    const extended = method === 'CONNECT' && !dice.oneIn(3);
    if (method !== 'CONNECT' || extended) fields.push([':scheme', 'http'], [':path', '/p']);
    if (extended) fields.push([':protocol', 'websocket']);
    if (dice.oneIn(2)) fields.push(...dice.of(heads));
    const ends = dice.oneIn(3);
    if (!ends) this.open.push(id);
    return this.block(id, fields, ends ? flag.endStream : 0);
  }

  /** HEADERS, and CONTINUATION at times. @param flags END_STREAM or none */
  private block(id: number, fields: (readonly [string, string])[], flags: number): Buffer {
    const { dice, encoder } = this;
    let bytes = literal(fields);
    if (dice.oneIn(2)) {
      const out = Buffer.alloc(8_192);
      let offset = encoder.begin(out, 0);
      for (const [name, value] of fields) offset = encoder.text(out, offset, name, value);
      bytes = out.subarray(0, offset);
    }
    if (!dice.oneIn(5)) return frameOf(frame.headers, flags | flag.endHeaders, id, bytes);
    const cut = dice.below(bytes.length + 1);
    const first = frameOf(frame.headers, flags, id, bytes.subarray(0, cut));
    const rest = frameOf(frame.continuation, flag.endHeaders, id, bytes.subarray(cut));
    return Buffer.concat([first, rest]);
  }

  private data(): Buffer {
    const { dice } = this;
    const size = dice.oneIn(8) ? dice.below(16_000) : dice.below(12);
    const end = dice.oneIn(4) ? flag.endStream : 0;
    const id = this.openId(end !== 0);
    if (!dice.oneIn(4)) return frameOf(frame.data, end, id, Buffer.alloc(size, 'd'));
    const pad = dice.below(20);
    const padded = Buffer.concat([Buffer.from([pad]), Buffer.alloc(size, 'd'), Buffer.alloc(pad)]);
    return frameOf(frame.data, end | flag.padded, id, padded);
  }

  private trailers(): Buffer {
    return this.block(this.openId(true), [['x-sum', '1']], flag.endStream);
  }

  private settings(): Buffer {
    const { dice } = this;
    if (dice.oneIn(3)) return frameOf(frame.settings, flag.ack, 0);
    const bytes = dice.of([0, 1, 1_000, 65_535, 1_000_000]);
    return frameOf(frame.settings, 0, 0, settingBytes(dice.of([1, 4, 4, 9]), bytes));
  }

  private rare(): Buffer {
    const { dice } = this;
    switch (dice.below(40)) {
      case 0:
        return frameOf(frame.goaway, 0, 0, Buffer.concat([u32(0), u32(dice.below(14))]));
      case 1:
        return frameOf(frame.pushPromise, flag.endHeaders, this.someId(), u32(2));
      case 2:
        return frameOf(dice.of([2, 3, 4, 6, 7, 8]), 0, 0, dice.bytes(dice.below(10)));
      case 3:
        return this.opening();
      default:
        return this.priority();
    }
  }

  private priority(): Buffer {
    const { dice } = this;
    const on = dice.oneIn(4) ? this.someId() : 0;
    return frameOf(frame.priority, 0, this.someId(), Buffer.concat([u32(on), dice.bytes(1)]));
  }

  /** Of a stream that is open as far as we know, most often. */
  private openId(ends: boolean): number {
    const { dice, open } = this;
    if (open.length === 0 || dice.oneIn(60)) return this.someId();
    const id = dice.of(open);
    if (ends) this.open = open.filter((one) => one !== id);
    return id;
  }

  /** Of a stream that was opened lately, most often. */
  private someId(): number {
    const { dice } = this;
    return Math.max(1, this.nextId - 2 - 2 * dice.below(dice.oneIn(10) ? 40 : 4));
  }
}
