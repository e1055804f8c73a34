// Bytes that were good once: one of them is another now, and the end may be missing.
import * as fc from 'fast-check';

export function damaged(good: Buffer): fc.Arbitrary<Buffer> {
  return fc
    .tuple(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length))
    .map(([at, byte, end]) => {
      const copy = Buffer.from(good);
      copy[at] = byte;
      return copy.subarray(0, end);
    });
}
