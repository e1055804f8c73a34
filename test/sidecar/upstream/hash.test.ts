import { expect, test } from 'vitest';

import { hashText } from '#sidecar/upstream/hash.ts';

test('the hash is the same in every release: keys stay with their endpoints across an upgrade', () => {
  const known = ['', 'a', 'ab', 'abc', 'user-42', 'grüße', '\u{1f600}'].map((text) =>
    hashText(text),
  );
  expect(known).toMatchInlineSnapshot(`
    [
      0,
      1867108634,
      374890698,
      1118836419,
      2703341929,
      2116407466,
      1443257913,
    ]
  `);
});

test('each bit is set in half of the hashes of texts that differ little', () => {
  const ones = Array.from({ length: 32 }, () => 0);
  const seen = new Set<number>();
  for (let i = 0; i < 20_000; i += 1) {
    const hash = hashText(`10.0.0.1:8080_${i}`);
    seen.add(hash);
    for (let bit = 0; bit < 32; bit += 1) ones[bit]! += (hash >>> bit) & 1;
  }
  expect(seen.size).toBeGreaterThan(19_990);
  for (const count of ones) expect(Math.abs(count / 20_000 - 0.5)).toBeLessThan(0.02);
});

test('a seed gives another hash', () => {
  expect(hashText('a', 1)).not.toBe(hashText('a', 2));
});
