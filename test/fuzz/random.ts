// A small generator of random numbers (sfc32) whose whole future follows from its seed.

export class Random {
  private a = 0;
  private b = 0;
  private c = 0;
  private d = 0;

  /** @param stream tells apart generators of one seed */
  constructor(seed: number, stream = 0) {
    this.seed(seed, stream);
  }

  seed(seed: number, stream = 0): void {
    this.a = seed | 0;
    this.b = Math.floor(seed / 0x1_0000_0000) | 0;
    this.c = Math.imul(stream ^ 0x5bf03635, 0x9e3779b1);
    this.d = 1;
    for (let i = 0; i < 12; i++) this.word();
  }

  /** 32 bits. */
  word(): number {
    const sum = (((this.a + this.b) | 0) + this.d) | 0;
    this.d = (this.d + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** A whole number from 0 to below `bound`. */
  below(bound: number): number {
    return Math.floor((this.word() / 0x1_0000_0000) * bound);
  }

  /** True once in `times`. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
}
