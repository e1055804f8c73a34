import { expect, test } from 'vitest';

import { fuzzOpening, fuzzTlsHello } from './tls-hello.ts';

test('hellos read the same wherever they are split, and broken ones break nothing', () => {
  expect(fuzzTlsHello(1, 2000)).toBeGreaterThan(800);
});

test('what a connection begins with does not depend on where its bytes are split', () => {
  expect(fuzzOpening(1, 5000)).toBeGreaterThan(2000);
});
