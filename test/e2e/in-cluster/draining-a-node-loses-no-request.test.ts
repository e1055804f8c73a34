import { afterAll, beforeAll, expect, test } from 'vitest';

import { service } from './apps.ts';
import { describeInCluster, kubectl, kubectlOutcome, Place, until } from './cluster.ts';
import { Load } from './load.ts';

describeInCluster('draining a node', () => {
  let place: Place;
  let node = '';

  beforeAll(async () => {
    const nodes = (await kubectl('get', 'nodes', '-o', 'name')).split('\n');
    node = nodes.length > 1 ? (nodes.at(-1) ?? '') : '';
    place = await Place.create('drain');
    const spread = {
      maxSkew: 1,
      topologyKey: 'kubernetes.io/hostname',
      whenUnsatisfiable: 'ScheduleAnyway',
      labelSelector: { matchLabels: { app: 'callee' } },
    };
    await place.apply(...service({ name: 'callee', replicas: 4, spread: [spread] }), {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name: 'callee' },
      spec: { minAvailable: 2, selector: { matchLabels: { app: 'callee' } } },
    });
    await place.ready('deployment/callee');
  });
  afterAll(async () => {
    if (node !== '') await kubectl('uncordon', node);
    await place.remove();
  });

  test('loses no request', async (context) => {
    if (node === '') context.skip('the cluster has one node: nothing can be drained');
    const load = await Load.start(place, { url: 'http://callee/', replicas: 2 });
    const args = ['drain', node, '--ignore-daemonsets', '--delete-emptydir-data', '--timeout=120s'];
    expect(await kubectlOutcome(args)).toMatchObject({ status: 0 });
    await until(
      'all pods elsewhere',
      () => place.kubectl('get', 'pods', '-o', 'jsonpath={.items[*].spec.nodeName}'),
      (nodes) => !nodes.includes(node.replace('node/', '')),
    );
    await load.more(300);
    expect(await load.end()).toMatchObject({ failures: [], silent: [] });
  });
});
