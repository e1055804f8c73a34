import { expect, test } from 'vitest';

import { pageNames, stepsOf } from '../docs/page.ts';
import { withFreePorts } from '../docs/ports.ts';
import { Session } from '../docs/session.ts';

test.each(pageNames())('%s', async (name) => {
  const session = new Session('local');
  try {
    for (const step of await withFreePorts(stepsOf(name)))
      expect(await session.run(step)).toBeNull();
  } finally {
    await session.close();
  }
});
