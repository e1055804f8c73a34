import { afterAll, expect, test } from 'vitest';

import { pageNames, stepsOf } from '../../docs/page.ts';
import { Session } from '../../docs/session.ts';
import { describeInCluster, kubectl } from './cluster.ts';

const pages = pageNames().filter((name) =>
  stepsOf(name).some((step) => step.kind === 'command' && step.where === 'cluster'),
);

describeInCluster('the docs', () => {
  // Each page begins with the shop as it is.
  afterAll(() =>
    kubectl('delete', 'namespace', 'web', 'billing', 'payments', '--ignore-not-found'),
  );

  test.each(pages)('%s', async (name) => {
    const session = new Session('cluster');
    try {
      for (const step of stepsOf(name)) expect(await session.run(step)).toBeNull();
    } finally {
      await session.close();
    }
  });
});
