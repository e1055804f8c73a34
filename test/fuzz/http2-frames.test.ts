import { expect, test } from 'vitest';

import { fuzzHttp2 } from './http2-frames.ts';

test('whatever frames a client sends, a connection goes on or ends in good order', () => {
  expect(fuzzHttp2(9113, 400)).toBe(400);
});
