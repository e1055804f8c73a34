import { expect, test } from 'vitest';

import { sourcePorts } from '#sidecar/dns/source-ports.ts';

test.each(['32768 60999', '32768\t65535', '1024 40000', '10000 20000'])(
  'questions never come from a port that programs get (%s)',
  (range) => {
    const [first = 0, last = 0] = range.split(/\s/).map(Number);
    const port = sourcePorts(range);
    for (let i = 0; i < 2000; i++) {
      const one = port();
      expect(one < first || one > last).toBe(true);
      expect(one >= 10_000 && one <= 65_535).toBe(true);
    }
  },
);

test('where programs get all ports, any will do', () => {
  expect(sourcePorts('1024 65535')()).toBe(0);
});
