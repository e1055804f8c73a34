import { afterAll, beforeAll, expect, test } from 'vitest';

import { caller, service } from './apps.ts';
import { describeInCluster, Place, until } from './cluster.ts';

describeInCluster('authorization in a cluster', () => {
  let place: Place;

  beforeAll(async () => {
    place = await Place.create('authz');
    await place.apply(
      ...service({ name: 'payments' }),
      ...caller({ name: 'billing' }),
      ...caller({ name: 'web' }),
      ...caller({ name: 'outsider', inject: false }),
      {
        apiVersion: 'security.istio.io/v1',
        kind: 'PeerAuthentication',
        metadata: { name: 'strict' },
        spec: { mtls: { mode: 'STRICT' } },
      },
      {
        apiVersion: 'security.istio.io/v1',
        kind: 'AuthorizationPolicy',
        metadata: { name: 'no-web' },
        spec: {
          selector: { matchLabels: { app: 'payments' } },
          action: 'DENY',
          rules: [
            {
              from: [{ source: { principals: [`cluster.local/ns/${place.namespace}/sa/web`] } }],
            },
          ],
        },
      },
    );
    await place.ready(
      ...['payments', 'billing', 'web', 'outsider'].map((name) => `deployment/${name}`),
    );
    await place.enforced('authorizationpolicy/no-web');
  });
  afterAll(() => place.remove());

  test('whom the policy does not name is let through', async () => {
    expect(await place.call('deployment/billing', 'http://payments/')).toBe(200);
  });

  test('whom it denies gets 403, and the log of the callee names the policy', async () => {
    expect(await place.call('deployment/web', 'http://payments/')).toBe(403);
    const log = await until(
      'the access log',
      () => place.kubectl('logs', 'deployment/payments', '-c', 'selvage-proxy'),
      (text) => text.includes('rbac_access_denied_matched_policy'),
      10_000,
    );
    const policy = `ns[${place.namespace}]-policy[no-web]-rule[0]`;
    expect(log).toContain(`rbac_access_denied_matched_policy[${policy}]`);
  });

  test('plaintext is refused under STRICT, and the same caller reaches what is not in the mesh', async () => {
    expect(await place.call('deployment/outsider', 'http://payments/')).toBe(0);
  });
});
