import { afterAll, afterEach, expect, test } from 'vitest';

import { pageNames, stepsOf } from '../../docs/page.ts';
import { Session } from '../../docs/session.ts';
import { describeInCluster, kubectl } from './cluster.ts';

const pages = pageNames().filter((name) =>
  stepsOf(name).some((step) => step.kind === 'command' && step.where === 'cluster'),
);

const namespaces = ['web', 'billing', 'payments'];
/** What pages apply to the shop. */
const kinds =
  'authorizationpolicies,peerauthentications,requestauthentications,ratelimits,telemetries';

describeInCluster('the docs', () => {
  // Each page begins with the shop as it is; its pods serve the next page too.
  afterEach(async () => {
    for (const namespace of namespaces) await kubectl('-n', namespace, 'delete', kinds, '--all');
    await kubectl('-n', 'selvage-system', 'delete', 'configmap', 'istio', '--ignore-not-found');
  });
  afterAll(() => kubectl('delete', 'namespace', ...namespaces, 'store', '--ignore-not-found'));

  test.each(pages)('%s', async (name) => {
    const session = new Session('cluster');
    try {
      for (const step of stepsOf(name)) expect(await session.run(step)).toBeNull();
    } finally {
      await session.close();
    }
  });
});
