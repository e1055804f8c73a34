import { expect, test } from 'vitest';

import { deadlineIn, unwatch, watch } from '#sidecar/wire/sweep.ts';

test('what is watched expires once, not before its time; what is not watched never', async () => {
  const began = performance.now();
  const expired: string[] = [];
  const item = (name: string, afterMs: number) => ({
    deadlineMs: deadlineIn(afterMs),
    expire: () => void expired.push(`${name} ${performance.now() - began >= afterMs}`),
  });
  const none = item('none', 0);
  const soon = item('soon', 50);
  const gone = item('gone', 50);
  const late = item('late', 60_000);
  for (const one of [none, soon, gone, late]) watch(one);
  unwatch(gone);
  await new Promise((resolve) => setTimeout(resolve, 900));
  expect(expired).toEqual(['soon true']);
  for (const one of [none, soon, late]) unwatch(one);
});
