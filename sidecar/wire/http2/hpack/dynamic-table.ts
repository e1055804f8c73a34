// The dynamic table of HPACK (RFC 7541 2.3.2), as bytes in one buffer: entries are added and evicted without allocation.

/** What the size of an entry counts beside its bytes (RFC 7541 4.1). */
const entryOverheadBytes = 32;

export class DynamicTable {
  /** Where names and values are. */
  bytes: Buffer;
  /** Entries that are in it; the one with index 0 is the newest. */
  count = 0;
  /** Entries that ever were added: the newest is number `added - 1`. */
  added = 0;

  private sizeBytes = 0;
  private maxBytes: number;
  /** A ring of entries by their number. */
  private readonly capacity: number;
  private readonly nameFrom: Int32Array;
  private readonly nameTo: Int32Array;
  private readonly valueTo: Int32Array;
  /** End of the newest entry. */
  private end = 0;

  /** @param limitBytes the most that `resize` will ever be given */
  constructor(limitBytes: number) {
    this.maxBytes = limitBytes;
    this.capacity = Math.floor(limitBytes / entryOverheadBytes) + 1;
    this.nameFrom = new Int32Array(this.capacity);
    this.nameTo = new Int32Array(this.capacity);
    this.valueTo = new Int32Array(this.capacity);
    this.bytes = Buffer.alloc(0);
  }

  get size(): number {
    return this.sizeBytes;
  }

  get max(): number {
    return this.maxBytes;
  }

  /** Number of the oldest entry. */
  get oldest(): number {
    return this.added - this.count;
  }

  /** Evicts what does not fit any more. */
  resize(maxBytes: number): void {
    this.maxBytes = maxBytes;
    this.evict(0);
  }

  nameStart(number: number): number {
    return this.nameFrom[number % this.capacity]!;
  }

  /** Also where the value begins. */
  nameEnd(number: number): number {
    return this.nameTo[number % this.capacity]!;
  }

  valueEnd(number: number): number {
    return this.valueTo[number % this.capacity]!;
  }

  /**
   * Adds an entry; one that is larger than the table empties it (RFC 7541 4.4). The bytes may lie in
   * `this.bytes`, in an entry that is evicted for it.
   */
  add(
    names: Buffer,
    nameFrom: number,
    nameTo: number,
    values: Buffer,
    valueFrom: number,
    valueTo: number,
  ): void {
    const length = nameTo - nameFrom + valueTo - valueFrom;
    const size = length + entryOverheadBytes;
    if (size > this.maxBytes) {
      this.evict(this.maxBytes);
      return;
    }
    if (this.bytes.length - this.end < length) {
      // Entries that are copied from may move.
      const own = names === this.bytes || values === this.bytes;
      const text = own ? gather(names, nameFrom, nameTo, values, valueFrom, valueTo) : null;
      this.evict(size);
      this.makeRoom(length);
      const split = nameTo - nameFrom;
      if (text === null) this.append(names, nameFrom, nameTo, values, valueFrom, valueTo);
      else this.append(text, 0, split, text, split, text.length);
      return;
    }
    this.evict(size);
    this.append(names, nameFrom, nameTo, values, valueFrom, valueTo);
  }

  private append(
    names: Buffer,
    nameFrom: number,
    nameTo: number,
    values: Buffer,
    valueFrom: number,
    valueTo: number,
  ): void {
    const at = this.added % this.capacity;
    this.nameFrom[at] = this.end;
    this.end += names.copy(this.bytes, this.end, nameFrom, nameTo);
    this.nameTo[at] = this.end;
    this.end += values.copy(this.bytes, this.end, valueFrom, valueTo);
    this.valueTo[at] = this.end;
    this.sizeBytes += this.end - this.nameFrom[at] + entryOverheadBytes;
    this.added++;
    this.count++;
  }

  /** Evicts the oldest until `bytes` more fit. */
  private evict(bytes: number): void {
    while (this.count > 0 && this.sizeBytes + bytes > this.maxBytes) {
      const at = this.oldest % this.capacity;
      this.sizeBytes -= this.valueTo[at]! - this.nameFrom[at]! + entryOverheadBytes;
      this.count--;
    }
    if (this.count === 0) this.end = 0;
  }

  /** Moves what is in the table to the front of a buffer with room for `bytes` more. */
  private makeRoom(bytes: number): void {
    if (this.bytes.length - this.end >= bytes) return;
    const first = this.count === 0 ? this.end : this.nameFrom[this.oldest % this.capacity]!;
    const live = this.end - first;
    // Twice the limit, so that entries are moved once for a whole table's worth of them.
    const wanted = Math.min(
      Math.max(256, 4 * (live + bytes)),
      2 * this.capacity * entryOverheadBytes,
    );
    const room = this.bytes.length >= wanted ? this.bytes : Buffer.allocUnsafeSlow(wanted);
    this.bytes.copy(room, 0, first, this.end);
    for (let number = this.oldest; number < this.added; number++) {
      const at = number % this.capacity;
      this.nameFrom[at] = this.nameFrom[at]! - first;
      this.nameTo[at] = this.nameTo[at]! - first;
      this.valueTo[at] = this.valueTo[at]! - first;
    }
    this.bytes = room;
    this.end = live;
  }
}

function gather(
  names: Buffer,
  nameFrom: number,
  nameTo: number,
  values: Buffer,
  valueFrom: number,
  valueTo: number,
): Buffer {
  return Buffer.concat([names.subarray(nameFrom, nameTo), values.subarray(valueFrom, valueTo)]);
}
