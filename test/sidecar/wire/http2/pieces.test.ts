import { array, assert, constant, integer, oneof, property } from 'fast-check';
import { expect, test } from 'vitest';

import { addPiece } from '#sidecar/wire/http2/pieces.ts';

test('pieces keep their bytes and order, and those that were given out stay', () => {
  const sizes = array(oneof(constant(1), integer({ min: 1, max: 9_000 })), {
    maxLength: 400,
  });
  assert(
    property(sizes, integer({ min: 0, max: 200 }), (all, keptAfter) => {
      const pieces: Buffer[] = [];
      let kept: readonly Buffer[] = [];
      all.forEach((size, i) => {
        if (i === keptAfter) kept = [...pieces];
        addPiece(pieces, Buffer.alloc(size, i), kept.length);
      });
      expect(pieces.slice(0, kept.length)).toEqual(kept);
      const wanted = Buffer.concat(all.map((size, i) => Buffer.alloc(size, i)));
      expect(Buffer.concat(pieces).equals(wanted)).toBe(true);
    }),
  );
});

test('a window of single bytes is few pieces', () => {
  const pieces: Buffer[] = [];
  for (let i = 0; i < 256 * 1024; i++) addPiece(pieces, Buffer.alloc(1));
  expect(pieces.length).toBeLessThan(((256 * 1024) / 16_384) * 70);
});
