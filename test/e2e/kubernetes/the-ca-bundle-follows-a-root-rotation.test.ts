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

  async function injectUntil(end: AbortSignal, namespace: string): Promise<number> {
    let count = 0;
    for (; !end.aborted; count++) await inject(namespace);
    return count;
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
    const end = new AbortController();
    const pods = injectUntil(end.signal, namespace);
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
    end.abort();
    expect(await pods).toBeGreaterThan(20);
  });

  test('a bundle that somebody wipes is written again', async () => {
    const patch = [{ op: 'remove', path: '/webhooks/0/clientConfig/caBundle' }];
    await cluster.client.patch(pathOf('mutating'), patch, 'json');
    const wanted = Buffer.from(cluster.identity.current().trustBundlePem).toString('base64');
    await eventually(async () => expect(await bundles('mutating')).toEqual(new Set([wanted])));
    expect(await bundles('mutating')).toEqual(new Set([wanted]));
  });
});
