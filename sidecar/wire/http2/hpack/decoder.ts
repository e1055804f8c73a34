// Decodes header blocks (RFC 7541): fields as ranges of bytes, copied no more than they must be.
import { DynamicTable } from './dynamic-table.ts';
import { decodedBytesMax, decodeHuffman } from './huffman.ts';
import { staticBytes, staticCount, staticNameFrom, staticNameTo } from './static-table.ts';

export interface FieldSink {
  /** One field, in order. Bytes are good only during the call. */
  field(
    names: Buffer,
    nameFrom: number,
    nameTo: number,
    values: Buffer,
    valueFrom: number,
    valueTo: number,
  ): void;
}

/** As SETTINGS_HEADER_TABLE_SIZE unless told otherwise. */
const defaultTableBytes = 4096;
/** An integer has at most this many bytes after its first: under 2^28. */
const integerBytesMax = 4;
/** More in one block is of no use to anybody (RFC 7541 4.2). */
const sizeUpdatesMax = 2;
const nothing: Buffer = Buffer.alloc(0);

export class HpackDecoder {
  private readonly table: DynamicTable;
  private readonly tableBytesMax: number;
  private block: Buffer = nothing;
  private at = 0;
  private end = 0;
  /** The string that `readString` read. */
  private text: Buffer = nothing;
  private textFrom = 0;
  private textTo = 0;
  /** Strings that were Huffman-encoded: names in one, values in the other. */
  private readonly scratch: [Buffer, Buffer] = [nothing, nothing];

  /** @param tableBytesMax what our SETTINGS_HEADER_TABLE_SIZE allows */
  constructor(tableBytesMax = defaultTableBytes) {
    this.tableBytesMax = tableBytesMax;
    this.table = new DynamicTable(tableBytesMax);
  }

  /** Decodes one whole header block. @returns false: COMPRESSION_ERROR, of which there is no way back */
  decode(block: Buffer, from: number, to: number, sink: FieldSink): boolean {
    this.block = block;
    this.at = from;
    this.end = to;
    let updates = 0;
    let begun = false;
    while (this.at < this.end) {
      const byte = block[this.at]!;
      if ((byte & 0xe0) === 0x20) {
        // Only at the beginning of a block (RFC 7541 4.2).
        if (begun || ++updates > sizeUpdatesMax || !this.updateSize()) return false;
        continue;
      }
      begun = true;
      const good = (byte & 0x80) !== 0 ? this.indexed(sink) : this.literal(sink, byte);
      if (!good) return false;
    }
    this.block = nothing;
    return true;
  }

  private updateSize(): boolean {
    const size = this.readInteger(5);
    if (size < 0 || size > this.tableBytesMax) return false;
    this.table.resize(size);
    return true;
  }

  private indexed(sink: FieldSink): boolean {
    const index = this.readInteger(7);
    if (index <= 0) return false;
    if (index <= staticCount) {
      const split = staticNameTo[index]!;
      sink.field(
        staticBytes,
        staticNameFrom[index]!,
        split,
        staticBytes,
        split,
        staticNameFrom[index + 1]!,
      );
      return true;
    }
    const { table } = this;
    const number = table.added - (index - staticCount);
    if (number < table.oldest) return false;
    const split = table.nameEnd(number);
    sink.field(
      table.bytes,
      table.nameStart(number),
      split,
      table.bytes,
      split,
      table.valueEnd(number),
    );
    return true;
  }

  private literal(sink: FieldSink, first: number): boolean {
    const adds = (first & 0x40) !== 0;
    const index = this.readInteger(adds ? 6 : 4);
    if (index < 0) return false;
    let names: Buffer;
    let nameFrom: number;
    let nameTo: number;
    const { table } = this;
    if (index === 0) {
      if (!this.readString(0)) return false;
      names = this.text;
      nameFrom = this.textFrom;
      nameTo = this.textTo;
    } else if (index <= staticCount) {
      names = staticBytes;
      nameFrom = staticNameFrom[index]!;
      nameTo = staticNameTo[index]!;
    } else {
      const number = table.added - (index - staticCount);
      if (number < table.oldest) return false;
      names = table.bytes;
      nameFrom = table.nameStart(number);
      nameTo = table.nameEnd(number);
    }
    if (!this.readString(1)) return false;
    sink.field(names, nameFrom, nameTo, this.text, this.textFrom, this.textTo);
    if (adds) table.add(names, nameFrom, nameTo, this.text, this.textFrom, this.textTo);
    return true;
  }

  /** @returns -1: it does not end here, or is larger than anything can be */
  private readInteger(prefixBits: number): number {
    const { block } = this;
    const mask = (1 << prefixBits) - 1;
    let value = block[this.at++]! & mask;
    if (value < mask) return value;
    for (let i = 0; i < integerBytesMax; i++) {
      if (this.at === this.end) return -1;
      const byte = block[this.at++]!;
      value += (byte & 0x7f) << (7 * i);
      if ((byte & 0x80) === 0) return value;
    }
    return -1;
  }

  private readString(part: 0 | 1): boolean {
    if (this.at === this.end) return false;
    const huffman = (this.block[this.at]! & 0x80) !== 0;
    const length = this.readInteger(7);
    const from = this.at;
    if (length < 0 || length > this.end - from) return false;
    this.at = from + length;
    if (!huffman) {
      this.text = this.block;
      this.textFrom = from;
      this.textTo = this.at;
      return true;
    }
    const room = decodedBytesMax(length);
    if (this.scratch[part].length < room) {
      this.scratch[part] = Buffer.allocUnsafeSlow(Math.max(256, room));
    }
    this.text = this.scratch[part];
    this.textFrom = 0;
    this.textTo = decodeHuffman(this.block, from, this.at, this.text);
    return this.textTo >= 0;
  }
}
