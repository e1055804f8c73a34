// Why a pod that is to have a sidecar has none.
import { expect, test } from 'vitest';

import { missingSidecar } from '#cli/cluster/missing.ts';
import { barePod, hourMs, inventory, nowMs, pod } from '#test/cli/doctor/state.ts';

const asks = { annotations: { inject: 'true' } };
const young = { creationTimestamp: new Date(nowMs - hourMs).toISOString() };
const old = { creationTimestamp: new Date(nowMs - 3 * hourMs).toISOString() };
const silent = { labels: {} };
const restart = 'kubectl rollout restart -n shop deployment/web';

test.each([
  ['a pod with a sidecar', pod('a'), {}],
  ['a pod that nothing asks for', barePod('a'), silent],
  [
    'a pod that says no in a silent namespace',
    barePod('a', { annotations: { inject: 'false' } }),
    silent,
  ],
  ['a pod of kube-system that says nothing', barePod('a', { namespace: 'kube-system' }), {}],
  [
    'a pod that says nothing where the namespace is kept out',
    barePod('a'),
    { labels: { inject: 'false' } },
  ],
])('%s lacks none', (_, one, world) => {
  expect(missingSidecar(one, inventory([], world).value)).toBeNull();
});

test.each([
  [
    'older than the webhook',
    barePod('a', { ...asks, ...old }),
    silent,
    'it is older than the webhook',
    restart,
    false,
  ],
  [
    'no injector',
    barePod('a', asks),
    { webhookSinceMs: null },
    'no injector is configured in this cluster',
    'install Selvage',
    false,
  ],
  [
    'hostNetwork',
    barePod('a', asks, { hostNetwork: true }),
    silent,
    'it uses the network of its node',
    /without hostNetwork/,
    true,
  ],
  [
    'a no that wins',
    barePod('a', { annotations: { inject: 'false' } }),
    {},
    /it says inject: "false", though its namespace/,
    /meant/,
    true,
  ],
  [
    'a yes and a no',
    barePod('a', { annotations: { inject: 'true' }, labels: { inject: 'false' } }),
    silent,
    /"false" wins/,
    /meant/,
    true,
  ],
  [
    'a namespace that is kept out',
    barePod('a', asks),
    { labels: { 'istio-injection': 'disabled' } },
    /keeps the namespace shop out/,
    /label of the namespace shop/,
    true,
  ],
  [
    'a namespace of the cluster itself',
    barePod('a', { ...asks, namespace: 'kube-system' }),
    {},
    'nothing in kube-system gets one',
    /another namespace/,
    true,
  ],
  [
    'a workload that was marked later',
    barePod('a', young),
    { ...silent, ownerOf: () => asks },
    'its Deployment was marked after it was made',
    restart,
    false,
  ],
  [
    'a namespace that opted in later',
    barePod('a', young),
    {},
    /its namespace opted in after/,
    restart,
    false,
  ],
  [
    'an injector that was not asked',
    barePod('a', { ...asks, ...young }),
    silent,
    /the injector was not asked, or did not answer/,
    restart,
    false,
  ],
  [
    'an age that we may not know',
    barePod('a', { ...asks, ...old }),
    { ...silent, webhookSinceMs: undefined },
    /was not asked/,
    restart,
    false,
  ],
  [
    'a pod of its own',
    barePod('a', { ...asks, ...old, ownerReferences: [] }),
    silent,
    'it is older than the webhook',
    'delete the pod and create it again',
    false,
  ],
])('%s is told, with what to do', (_, one, world, why, mend, chosen) => {
  const found = missingSidecar(one, inventory([], world).value);
  expect(found).toMatchObject({
    why: expect.stringMatching(why),
    mend: expect.stringMatching(mend),
    chosen,
  });
});
