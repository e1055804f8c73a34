import { assert, property, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';

import { healthRequest, isServing } from '#sidecar/upstream/health/message.ts';

test('messages of the health service are those of protobuf', () => {
  expect(healthRequest('')).toEqual(Buffer.alloc(5));
  expect(healthRequest('ab')).toEqual(Buffer.from([0, 0, 0, 0, 4, 10, 2, 97, 98]));
  expect(healthRequest('a'.repeat(200)).subarray(4, 8)).toEqual(Buffer.from([203, 10, 0xc8, 1]));
  expect(isServing(Buffer.from([0, 0, 0, 0, 2, 8, 1]))).toBe(true);
  expect(isServing(Buffer.from([0, 0, 0, 0, 0]))).toBe(false);
  assert(
    property(uint8Array({ maxLength: 12 }), (bytes) => {
      const serving = bytes.length >= 7 && bytes[5] === 8 && bytes[6] === 1;
      expect(isServing(Buffer.from(bytes)) && !serving).toBe(false);
    }),
  );
});
