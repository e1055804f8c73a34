import { afterAll, beforeAll, expect, test } from 'vitest';

import { dashboard } from '#cli/dashboard.ts';
import { openSidecars } from '#cli/sidecars/open.ts';
import { testIo } from '#test/cli/output.ts';

import { service } from './apps.ts';
import { describeInCluster, kubeconfig, Place, until } from './cluster.ts';

describeInCluster('the dashboard of a cluster', () => {
  let place: Place;
  let ended: Promise<number>;
  let url: URL;
  const io = testIo();
  const interruption = new AbortController();

  beforeAll(async () => {
    place = await Place.create('dashed');
    const { namespace } = place;
    await place.apply(
      ...service({ name: 'payments', replicas: 2 }),
      ...service({ name: 'billing' }),
      ...service({ name: 'web' }),
      {
        apiVersion: 'security.istio.io/v1',
        kind: 'AuthorizationPolicy',
        metadata: { name: 'admit-billing' },
        spec: {
          selector: { matchLabels: { app: 'payments' } },
          rules: [
            { from: [{ source: { principals: [`cluster.local/ns/${namespace}/sa/billing`] } }] },
          ],
        },
      },
    );
    await place.ready('deployment/payments', 'deployment/billing', 'deployment/web');
    await place.enforced('authorizationpolicy/admit-billing');
    const args = ['--kubeconfig', kubeconfig, '--port', '0'];
    ended = dashboard(args, io, openSidecars, () => interruption.signal);
    const shown = await until(
      'the dashboard says where it is',
      () => Promise.resolve(io.out()),
      (text) => text.includes('?token='),
    );
    url = new URL(/http:\S+/.exec(shown)?.[0] ?? '');
  });
  afterAll(async () => {
    interruption.abort();
    await ended;
    await place.remove();
  });

  /** The page at a path, as who has the token sees it. */
  async function page(path: string): Promise<string> {
    const cookie = `selvage-dashboard-${url.port}=${url.searchParams.get('token')}`;
    const reply = await fetch(new URL(path, url), { headers: { cookie } });
    expect(reply.status).toBe(200);
    return reply.text();
  }

  /** An edge of the graph's table; '': it is not there. */
  async function edge(from: string): Promise<string> {
    const { namespace } = place;
    const text = await page('/');
    const id = `edge-${namespace}/${from}-${namespace}/payments`;
    return new RegExp(`<tr[^>]* id="${id}".*?</tr>`, 's').exec(text)?.[0] ?? '';
  }

  test('nobody sees it without the token', async () => {
    expect((await fetch(url.origin)).status).toBe(401);
  });

  test('the graph counts calls of all pods, with mutual TLS', async () => {
    await page('/');
    const [, refused] = await until(
      'both callers are there',
      async () => {
        await place.call('deployment/billing', 'http://payments/charges');
        await place.call('deployment/web', 'http://payments/charges');
        return [await edge('billing'), await edge('web')];
      },
      (rows) => rows.every((row) => row.includes('mTLS')),
    );
    expect(refused).toContain('payments');
  });

  test('a workload has its policy, its callers, and what it refused with the nearest rule', async () => {
    const { namespace } = place;
    expect(await place.call('deployment/web', 'http://payments/refused-here')).toBe(403);
    const text = await until(
      'the refusal is there',
      () => page(`/w/${namespace}/payments`),
      (body) => body.includes('/refused-here'),
    );
    expect(text).toContain(`spiffe://cluster.local/ns/${namespace}/sa/payments`);
    expect(text).toContain(`${namespace}/admit-billing`);
    expect(text).toContain(`cluster.local/ns/${namespace}/sa/web`);
    for (const pod of await podsOf('payments')) expect(text).toContain(pod);
    const id = /href="\/why\/([a-z0-9]+)"/.exec(text)?.[1] ?? '';
    expect(await page(`/why/${id}`)).toContain(`${namespace}/admit-billing`);
  });

  test('every sidecar is in sync, as control says', async () => {
    const pods = [
      ...(await podsOf('payments')),
      ...(await podsOf('billing')),
      ...(await podsOf('web')),
    ];
    expect(pods).toHaveLength(4);
    await until(
      'all are in sync',
      () => page('/sync'),
      (text) =>
        pods.every((pod) => {
          const row = text.split('<tr').find((one) => one.includes(pod)) ?? '';
          return row.includes('in sync') && row.includes('selvage-control-');
        }),
    );
  });

  async function podsOf(app: string): Promise<string[]> {
    const names = await place.kubectl('get', 'pods', '-l', `app=${app}`, '-o', 'name');
    return names.split('\n').map((name) => name.replace('pod/', ''));
  }
});
