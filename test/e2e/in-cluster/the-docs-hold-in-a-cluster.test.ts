import { afterAll, afterEach, expect, test } from 'vitest';

import { pageNames, stepsOf } from '../../docs/page.ts';
import { Session } from '../../docs/session.ts';
import { describeInCluster, kubectl } from './cluster.ts';

const pages = pageNames().filter((name) =>
  stepsOf(name).some((step) => step.kind === 'command' && step.where === 'cluster'),
);

const namespaces = ['web', 'billing', 'payments'];
const kindsOfPages = [
  'authorizationpolicies.security.istio.io',
  'peerauthentications.security.istio.io',
  'requestauthentications.security.istio.io',
  'ratelimits.selvage.dev',
];

describeInCluster('the docs', () => {
  // Each page begins with the shop as it is, and no page's resources.
  afterEach(async () => {
    for (const namespace of namespaces) {
      await kubectl('-n', namespace, 'delete', kindsOfPages.join(','), '--all');
    }
  });
  afterAll(() => kubectl('delete', 'namespace', ...namespaces, '--ignore-not-found'));

  test.each(pages)('%s', async (name) => {
    const session = new Session('cluster');
    try {
      for (const step of stepsOf(name)) expect(await session.run(step)).toBeNull();
    } finally {
      await session.close();
    }
  });
});
