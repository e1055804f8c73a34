import { expect, test } from 'vitest';

import { pageNames, stepsOf } from '../docs/page.ts';
import { Session } from '../docs/session.ts';

test.each(pageNames())('%s', async (name) => {
  const session = new Session('local');
  try {
    for (const step of stepsOf(name)) expect(await session.run(step)).toBeNull();
  } finally {
    await session.close();
  }
});
