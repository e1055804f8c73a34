import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import {
  eventually,
  type InjectorInTest,
  type KubeResource,
  noCluster,
  podNamed,
  startInjectorInTest,
} from './injector-in-test.ts';

describe.skipIf(noCluster)('the caBundle of the webhooks', () => {
  let cluster: InjectorInTest;
  beforeAll(async () => {
    cluster = await startInjectorInTest();
  });
  afterAll(() => cluster.close());

  const pathOf = (kind: string): string =>
    `/apis/admissionregistration.k8s.io/v1/${kind}webhookconfigurations/${cluster.name}`;

  async function bundles(kind: string): Promise<Set<string>> {
    const { webhooks } = await cluster.client.get<{
      webhooks: { clientConfig: { caBundle?: string } }[];
    }>(pathOf(kind));
    return new Set(webhooks.map(({ clientConfig }) => clientConfig.caBundle ?? ''));
  }

  async function untilBundlesAre(pem: string): Promise<void> {
    const wanted = new Set([Buffer.from(pem).toString('base64')]);
    for (const kind of ['mutating', 'validating']) {
      await eventually(async () => expect(await bundles(kind)).toEqual(wanted));
    }
  }

  async function inject(namespace: string): Promise<void> {
    const pod = podNamed('asks', namespace, { annotations: { inject: 'true' } });
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const made = await cluster.client.create<KubeResource>(path, pod, { dryRun: 'All' });
    expect(made.spec['initContainers']).toHaveLength(2);
  }

  test('a rotation of the root, step by step, fails no injection', async () => {
    const namespace = await cluster.namespace();
    const { identity } = cluster;
    let done = false;
    let count = 0;
    const pods = (async () => {
      for (; !done; count++) await inject(namespace);
    })();
    await untilBundlesAre(identity.current().trustBundlePem);
    await identity.addRoot();
    expect(identity.current().trustBundlePem.match(/BEGIN/g)).toHaveLength(2);
    await untilBundlesAre(identity.current().trustBundlePem);
    // The API server sees a configuration a moment after it is stored; the CA leaves a minute.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await identity.sign();
    await inject(namespace);
    identity.dropOldRoots();
    await untilBundlesAre(identity.current().trustBundlePem);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    done = true;
    await pods;
    expect(count).toBeGreaterThan(20);
  });

  test('a bundle that somebody wipes is written again', async () => {
    const patch = [{ op: 'remove', path: '/webhooks/0/clientConfig/caBundle' }];
    await cluster.client.patch(pathOf('mutating'), patch, 'json');
    await untilBundlesAre(cluster.identity.current().trustBundlePem);
  });
});
