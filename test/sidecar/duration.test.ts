import { expect, test } from 'vitest';

import { durationMs } from '#sidecar/duration.ts';

test.each([
  ['5s', 5000],
  ['250ms', 250],
  ['1m30s', 90_000],
  ['1.5h', 5_400_000],
  ['10us', 0.01],
  ['', 7],
  ['5', 7],
  ['5 s', 7],
  ['-5s', 7],
])('%j is %d ms, where 7 stands for no duration', (text, ms) => {
  expect(durationMs(text, 7)).toBe(ms);
});
