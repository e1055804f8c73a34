// Fields of HPACK in tests: as pairs of text, decoded and encoded by the engine's own classes.
import * as fc from 'fast-check';

import { HpackDecoder } from '#sidecar/wire/http2/hpack/decoder.ts';
import type { FieldSink } from '#sidecar/wire/http2/hpack/decoder.ts';
import type { HpackEncoder } from '#sidecar/wire/http2/hpack/encoder.ts';

export type Field = readonly [name: string, value: string];

/** Keeps the fields it is given. */
export class FieldList implements FieldSink {
  readonly all: Field[] = [];

  field(
    names: Buffer,
    nameFrom: number,
    nameTo: number,
    values: Buffer,
    valueFrom: number,
    valueTo: number,
  ): void {
    const name = names.toString('latin1', nameFrom, nameTo);
    this.all.push([name, values.toString('latin1', valueFrom, valueTo)]);
  }
}

/** @returns the fields of a block, null when it is malformed */
export function decodeBlock(decoder: HpackDecoder, block: Buffer): readonly Field[] | null {
  const list = new FieldList();
  return decoder.decode(block, 0, block.length, list) ? list.all : null;
}

export function encodeBlock(encoder: HpackEncoder, fields: readonly Field[]): Buffer {
  const room = fields.reduce((sum, [name, value]) => sum + name.length + value.length + 16, 64);
  const out = Buffer.alloc(room);
  let offset = encoder.begin(out, 0);
  for (const [name, value] of fields) offset = encoder.text(out, offset, name, value);
  return out.subarray(0, offset);
}

export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}

/** Fields that come again and again, as those of real calls do, among others that do not. */
export const someFields: fc.Arbitrary<Field[]> = fc.array(
  fc.tuple(
    fc.oneof(
      fc.constantFrom('accept', 'user-agent', 'x-a', 'x-b', 'cookie', 'authorization', 'etag'),
      fc.stringMatching(/^[a-z0-9-]{1,12}$/),
    ),
    fc.oneof(
      fc.constantFrom('', '1', 'gzip, deflate', 'a'.repeat(60), 'b'.repeat(300), 'c'.repeat(1500)),
      fc.stringMatching(/^[\x21-\x7e\x80-\xff]{0,24}$/),
    ),
  ),
  { maxLength: 14 },
);
