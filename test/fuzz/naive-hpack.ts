// HPACK as RFC 7541 words it, without a thought of speed: what the engine's decoder is compared with.
import { decodedBytesMax, decodeHuffman } from '#sidecar/wire/http2/hpack/huffman.ts';
import {
  staticBytes,
  staticCount,
  staticNameFrom,
  staticNameTo,
} from '#sidecar/wire/http2/hpack/static-table.ts';

export type NaiveField = readonly [name: string, value: string];

const staticFields: readonly NaiveField[] = Array.from({ length: staticCount }, (_, i) => {
  const split = staticNameTo[i + 1]!;
  return [
    staticBytes.toString('latin1', staticNameFrom[i + 1], split),
    staticBytes.toString('latin1', split, staticNameFrom[i + 2]),
  ];
});

class Malformed extends Error {}

export class NaiveDecoder {
  private table: NaiveField[] = [];
  private readonly maxEver: number;
  private max: number;

  constructor(max: number) {
    this.maxEver = max;
    this.max = max;
  }

  /** @returns null: a compression error */
  decode(block: Buffer): NaiveField[] | null {
    try {
      return this.fieldsOf([...block]);
    } catch (error) {
      if (error instanceof Malformed) return null;
      throw error;
    }
  }

  private fieldsOf(bytes: number[]): NaiveField[] {
    const fields: NaiveField[] = [];
    let updates = 0;
    while (bytes.length > 0) {
      const first = bytes[0]!;
      if (first >= 0x80) fields.push(this.entry(integer(bytes, 7)));
      else if (first >= 0x40) this.add(this.literal(bytes, 6), fields);
      else if (first >= 0x20) {
        const max = integer(bytes, 5);
        if (fields.length > 0 || ++updates > 2 || max > this.maxEver) throw new Malformed();
        this.max = max;
        this.evict(0);
      } else fields.push(this.literal(bytes, 4));
    }
    return fields;
  }

  private literal(bytes: number[], bits: number): NaiveField {
    const index = integer(bytes, bits);
    const name = index === 0 ? text(bytes) : this.entry(index)[0];
    return [name, text(bytes)];
  }

  private entry(index: number): NaiveField {
    const found = [...staticFields, ...this.table][index - 1];
    if (found === undefined) throw new Malformed();
    return found;
  }

  private add(field: NaiveField, fields: NaiveField[]): void {
    fields.push(field);
    this.evict(sizeOf(field));
    if (sizeOf(field) <= this.max) this.table = [field, ...this.table];
  }

  private evict(bytes: number): void {
    const size = (): number => this.table.reduce((sum, field) => sum + sizeOf(field), bytes);
    while (this.table.length > 0 && size() > this.max) this.table.pop();
  }
}

function sizeOf([name, value]: NaiveField): number {
  return name.length + value.length + 32;
}

function integer(bytes: number[], bits: number): number {
  const mask = 2 ** bits - 1;
  let value = (bytes.shift() ?? fail()) & mask;
  if (value < mask) return value;
  // Four more bytes are what we take; the RFC leaves the limit to us.
  for (let i = 0; i < 4; i++) {
    const byte = bytes.shift() ?? fail();
    value += (byte & 127) * 128 ** i;
    if (byte < 128) return value;
  }
  throw new Malformed();
}

function text(bytes: number[]): string {
  const huffman = (bytes[0] ?? fail()) >= 128;
  const length = integer(bytes, 7);
  if (length > bytes.length) throw new Malformed();
  const raw = Buffer.from(bytes.splice(0, length));
  if (!huffman) return raw.toString('latin1');
  const out = Buffer.alloc(decodedBytesMax(length));
  const decoded = decodeHuffman(raw, 0, length, out);
  if (decoded < 0) throw new Malformed();
  return out.toString('latin1', 0, decoded);
}

function fail(): never {
  throw new Malformed();
}
