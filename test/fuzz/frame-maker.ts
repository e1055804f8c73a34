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

  constructor(dice: Dice) {
    this.dice = dice;
  }

  opening(): Buffer {
    const { dice } = this;
    const entries: Buffer[] = [];
    while (dice.oneIn(2)) {
      entries.push(
        settingBytes(dice.of(Object.values(setting)), dice.below(2) * dice.below(2 ** 32)),
      );
    }
    if (dice.oneIn(3)) entries.push(settingBytes(setting.initialWindowSize, dice.below(1000)));
    const first = frameOf(frame.settings, 0, 0, Buffer.concat(entries.slice(0, dice.below(4))));
    return Buffer.concat([PREFACE, first]);
  }

  next(): Buffer {
    const { dice } = this;
    const one = this.honest();
    if (!dice.oneIn(25)) return one;
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
        return this.data();
      case 6:
        return frameOf(
          frame.windowUpdate,
          0,
          dice.below(2) * this.someId(),
          u32(1 + dice.below(70_000)),
        );
      case 7:
        return frameOf(frame.rstStream, 0, this.someId(), u32(dice.below(14)));
      case 8:
        return frameOf(frame.ping, dice.below(2), 0, dice.bytes(8));
      case 9:
        return this.trailers();
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
    const method = dice.of(['GET', 'GET', 'POST', 'HEAD', 'CONNECT']);
    const fields: (readonly [string, string])[] = [
      [':method', method],
      [':authority', 'a:80'],
    ];
    if (method !== 'CONNECT' || dice.oneIn(2)) fields.push([':scheme', 'http'], [':path', '/p']);
    if (method === 'CONNECT' && dice.oneIn(2)) fields.push([':protocol', 'websocket']);
    fields.push(...dice.of(heads));
    return this.block(id, fields, dice.below(2));
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
    const end = dice.below(2);
    if (!dice.oneIn(4)) return frameOf(frame.data, end, this.someId(), Buffer.alloc(size, 'd'));
    const pad = dice.below(20);
    const padded = Buffer.concat([Buffer.from([pad]), Buffer.alloc(size, 'd'), Buffer.alloc(pad)]);
    return frameOf(frame.data, end | flag.padded, this.someId(), padded);
  }

  private trailers(): Buffer {
    return this.block(this.someId(), [['x-sum', '1']], flag.endStream);
  }

  private settings(): Buffer {
    const { dice } = this;
    if (dice.oneIn(3)) return frameOf(frame.settings, flag.ack, 0);
    const bytes = dice.of([0, 1, 1_000, 65_535, 1_000_000]);
    return frameOf(frame.settings, 0, 0, settingBytes(dice.of([1, 4, 4, 5, 9]), bytes));
  }

  private rare(): Buffer {
    const { dice } = this;
    switch (dice.below(5)) {
      case 0:
        return frameOf(frame.goaway, 0, 0, Buffer.concat([u32(0), u32(dice.below(14))]));
      case 1:
        return frameOf(frame.pushPromise, 4, this.someId(), u32(2));
      default:
        return frameOf(
          frame.priority,
          0,
          this.someId(),
          Buffer.concat([u32(this.someId()), u32(0).subarray(3)]),
        );
    }
  }

  /** Of a stream that was opened lately, most often. */
  private someId(): number {
    const { dice } = this;
    return Math.max(1, this.nextId - 2 - 2 * dice.below(dice.oneIn(10) ? 40 : 4));
  }
}
