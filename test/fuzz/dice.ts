// Randomness that a seed repeats, for fuzzing (mulberry32).

export class Dice {
  private state: number;

  constructor(seed: number) {
    this.state = seed | 0;
  }

  /** 0 to `count - 1`. */
  below(count: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * count);
  }

  /** True once in `count` times. */
  oneIn(count: number): boolean {
    return this.below(count) === 0;
  }

  of<T>(all: readonly T[]): T {
    return all[this.below(all.length)]!;
  }

  bytes(count: number): Buffer {
    const bytes = Buffer.allocUnsafe(count);
    for (let i = 0; i < count; i++) bytes[i] = this.below(256);
    return bytes;
  }

  /** Changes, adds or cuts a few bytes. */
  mutate(bytes: Buffer): Buffer {
    let changed = Buffer.from(bytes);
    for (let left = 1 + this.below(4); left > 0; left--) {
      const at = this.below(changed.length + 1);
      const kind = this.below(4);
      if (kind === 0) {
        const more = this.bytes(1 + this.below(3));
        changed = Buffer.concat([changed.subarray(0, at), more, changed.subarray(at)]);
      } else if (kind === 1) {
        const end = at + 1 + this.below(3);
        changed = Buffer.concat([changed.subarray(0, at), changed.subarray(end)]);
      } else if (at < changed.length) {
        changed[at] = kind === 2 ? this.below(256) : changed[at]! ^ (1 << this.below(8));
      }
    }
    return changed;
  }
}
