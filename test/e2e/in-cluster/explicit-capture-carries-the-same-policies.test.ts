import { afterAll, beforeAll, expect, test } from 'vitest';

import { caller, service } from './apps.ts';
import { describeInCluster, Place, until } from './cluster.ts';

/** Of a pod of this test: does nothing with the network that it is not told to. */
interface Pod {
  readonly spec: {
    readonly initContainers: readonly { readonly name: string }[];
    readonly containers: readonly { readonly name: string }[];
  };
}

describeInCluster('explicit capture, in a namespace that allows no rights', () => {
  let place: Place;
  /** Where pods may have their connections captured. */
  let captured: Place;

  beforeAll(async () => {
    place = await Place.create('explicit', { 'pod-security.kubernetes.io/enforce': 'restricted' });
    await place.apply(
      {
        apiVersion: 'security.istio.io/v1',
        kind: 'PeerAuthentication',
        metadata: { name: 'strict' },
        spec: { mtls: { mode: 'STRICT' } },
      },
      {
        apiVersion: 'security.istio.io/v1',
        kind: 'AuthorizationPolicy',
        metadata: { name: 'no-stranger' },
        spec: {
          action: 'DENY',
          selector: { matchLabels: { app: 'web' } },
          rules: [{ from: [{ source: { serviceAccounts: ['stranger'] } }] }],
        },
      },
      ...service({ name: 'web', explicit: true, replicas: 2 }),
      ...service({ name: 'orders', explicit: true }),
      ...caller({ name: 'client', explicit: true }),
      ...caller({ name: 'stranger', explicit: true }),
      ...caller({ name: 'outsider', explicit: true, inject: false }),
    );
    captured = await Place.create('captured');
    await captured.apply(...caller({ name: 'client' }));
    await captured.ready('deployment/client');
    const names = ['web', 'orders', 'client', 'stranger', 'outsider'];
    await place.ready(...names.map((name) => `deployment/${name}`));
    await place.enforced('authorizationpolicy/no-stranger');
  });
  afterAll(() => Promise.all([place.remove(), captured.remove()]));

  async function callerOf(from: string, url: string, at = place): Promise<string> {
    const script = `fetch('${url}').then((reply) => reply.json())
      .then(({ headers }) => console.log(headers['x-forwarded-client-cert'] ?? ''))`;
    return at.exec(from, 'node', '-e', script);
  }

  test('nothing sets rules, and the pod runs without any right', async () => {
    const list = JSON.parse(await place.kubectl('get', 'pods', '-o', 'json')) as { items: Pod[] };
    const inits = list.items.map(({ spec }) => (spec.initContainers ?? []).map(({ name }) => name));
    expect(new Set(inits.flat())).toEqual(new Set(['selvage-proxy']));
    expect(inits.filter((names) => names.length > 0)).toHaveLength(5);
  });

  test('calls have the identity of the caller, both ways', async () => {
    const uri = (name: string, { namespace } = place): string =>
      `URI=spiffe://cluster.local/ns/${namespace}/sa/${name}`;
    await until(
      'client to web',
      () => callerOf('deployment/client', 'http://web/'),
      (xfcc) => xfcc.includes(uri('client')),
    );
    const web = `http://web.${place.namespace}/`;
    const seen = await callerOf('deployment/client', web, captured);
    expect(seen).toContain(uri('client', captured));
    expect(await callerOf('deployment/web', 'http://orders/')).toContain(uri('web'));
    expect(await callerOf('deployment/orders', `http://web.${place.namespace}.svc/`)).toContain(
      uri('orders'),
    );
  });

  test('a caller that a policy denies gets 403', async () => {
    expect(await place.call('deployment/stranger', 'http://web/')).toBe(403);
    expect(await place.call('deployment/stranger', 'http://orders/')).toBe(200);
  });

  test('who is not in the mesh reaches nobody', async () => {
    expect(await place.call('deployment/outsider', 'http://web/')).toBe(0);
    expect(await place.call('deployment/client', 'http://web/')).toBe(200);
  });
});
