import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import {
  eventually,
  type InjectorInTest,
  type KubeResource,
  noCluster,
  podNamed,
  refusalOf,
  startInjectorInTest,
} from './injector-in-test.ts';

const carried = 'selvage.dev/workload-inject';

describe.skipIf(noCluster)('injection by a real API server', () => {
  let cluster: InjectorInTest;
  beforeAll(async () => {
    cluster = await startInjectorInTest();
  });
  afterAll(() => cluster.close());

  const injected = ['selvage-init', 'selvage-proxy'];

  /** But of pods that were injected: those of Deployments come whenever their controller likes. */
  async function reviews(): Promise<number> {
    const page = await fetch(`http://127.0.0.1:${cluster.injector.adminPort}/stats/prometheus`);
    const lines = (await page.text()).matchAll(/^selvage_injector_reviews_total(\{.*\}) (\d+)$/gm);
    return [...lines]
      .filter(([, labels]) => labels?.includes('outcome="injected"') === false)
      .reduce((sum, [, , count]) => sum + Number(count), 0);
  }

  test.each([
    ['annotation inject', { annotations: { inject: 'true' } }],
    ['label inject', { labels: { inject: 'true' } }],
    ["annotation of Istio's", { annotations: { 'sidecar.istio.io/inject': 'true' } }],
    ["label of Istio's", { labels: { 'sidecar.istio.io/inject': 'true' } }],
    ['annotation that a workload left', { annotations: { [carried]: 'true' } }],
  ])('a Pod with the %s has a sidecar, and is taken by the API server', async (_, marks) => {
    const namespace = await cluster.namespace();
    const pod = await cluster.create(podNamed('asks', namespace, marks));
    expect(sidecars(pod)).toEqual(injected);
    const [, proxy] = pod.spec['initContainers'] as Record<string, unknown>[];
    expect(proxy).toMatchObject({
      restartPolicy: 'Always',
      startupProbe: { failureThreshold: 600 },
    });
  });

  test('whoever asks for nothing is never sent to the injector', async () => {
    const namespace = await cluster.namespace();
    const before = await reviews();
    const marks = [
      {},
      { annotations: { inject: 'false' } },
      { annotations: { inject: 'true' }, labels: { 'sidecar.istio.io/inject': 'false' } },
      { annotations: { inject: 'true', [carried]: 'false' } },
      { labels: { inject: 'yes' } },
    ];
    for (const [i, mark] of marks.entries()) {
      const pod = await cluster.create(podNamed(`silent-${i}`, namespace, mark));
      expect(sidecars(pod)).toEqual([]);
    }
    await cluster.create(deployment('silent', namespace, {}));
    await cluster.create(podNamed('guard', 'kube-system', { annotations: { inject: 'true' } }));
    await cluster.client.delete('/api/v1/namespaces/kube-system/pods/guard');
    expect(await reviews()).toBe(before);
  });

  test.each<Record<string, string>>([{ inject: 'true' }, { 'istio-injection': 'enabled' }])(
    'a namespace with the label %o opts its pods in, but those that say no',
    async (labels) => {
      const namespace = await cluster.namespace(labels);
      expect(sidecars(await cluster.create(podNamed('silent', namespace)))).toEqual(injected);
      const no = { annotations: { inject: 'false' } };
      expect(sidecars(await cluster.create(podNamed('no', namespace, no)))).toEqual([]);
    },
  );

  test.each<Record<string, string>>([
    { inject: 'false' },
    { 'istio-injection': 'disabled', inject: 'true' },
  ])('a namespace with the labels %o keeps its pods out', async (labels) => {
    const namespace = await cluster.namespace(labels);
    const pod = podNamed('asks', namespace, { annotations: { inject: 'true' } });
    expect(sidecars(await cluster.create(pod))).toEqual([]);
  });

  test('a Deployment annotated inject: "true" has pods with sidecars, named after it', async () => {
    const namespace = await cluster.namespace();
    const made = await cluster.create(deployment('web', namespace, { inject: 'true' }));
    expect(templateAnnotations(made)).toEqual({ [carried]: 'true' });
    const [pod] = await podsOf(namespace, 1);
    expect(sidecars(pod!)).toEqual(injected);
    expect(pod!.metadata.annotations).toMatchObject({ 'selvage.dev/workload': 'web' });
    expect(pod!.metadata.labels).toMatchObject({ 'service.istio.io/canonical-name': 'web' });
  });

  test('a mark that is taken away from a Deployment goes from its template', async () => {
    const namespace = await cluster.namespace();
    // Paused: its controller would copy each mark to a ReplicaSet whenever it likes, for another review.
    await cluster.create(deployment('web', namespace, { inject: 'true' }, { paused: true }));
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/web`;
    const annotate = (inject: string | null): Promise<KubeResource> =>
      cluster.client.patch(path, { metadata: { annotations: { inject } } }, 'merge');
    expect(templateAnnotations(await annotate(null))).toEqual({});
    expect(templateAnnotations(await annotate('false'))).toEqual({ [carried]: 'false' });
    expect(templateAnnotations(await annotate('true'))).toEqual({ [carried]: 'true' });
    // What has nothing to be changed does not come to the injector at all.
    const before = await reviews();
    await cluster.client.patch(path, { metadata: { labels: { tier: 'front' } } }, 'merge');
    await cluster.client.patch(`${path}/scale`, { spec: { replicas: 0 } }, 'merge');
    expect(await reviews()).toBe(before);
  });

  test('kubectl apply of the same manifest again starts no pod anew', async () => {
    const namespace = await cluster.namespace();
    const manifest = deployment('web', namespace, { inject: 'true' });
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/web`;
    const apply = (): Promise<KubeResource & { metadata: { generation: number } }> =>
      cluster.client.patch(path, manifest, 'apply', { fieldManager: 'test', force: 'true' });
    const first = await apply();
    expect(templateAnnotations(first)).toEqual({ [carried]: 'true' });
    expect((await apply()).metadata.generation).toBe(first.metadata.generation);
    // As `kubectl replace`, whose manifest does not have what the webhook added.
    const replaced = await cluster.client.replace<typeof first>(path, manifest);
    expect(replaced.spec).toEqual(first.spec);
  });

  test.each(['StatefulSet', 'DaemonSet', 'ReplicaSet', 'Job', 'CronJob'])(
    'the mark of a %s is carried onto its template',
    async (kind) => {
      const namespace = await cluster.namespace();
      const made = await cluster.create(workload(kind, namespace));
      expect(templateAnnotations(made)).toEqual({ [carried]: 'true' });
    },
  );

  test('the template of a Job that is there stays as it is', async () => {
    const namespace = await cluster.namespace();
    await cluster.create(workload('Job', namespace));
    const path = `/apis/batch/v1/namespaces/${namespace}/jobs/job`;
    const annotations = { annotations: { inject: 'false' } };
    const changed = await cluster.client.patch<KubeResource>(
      path,
      { metadata: annotations },
      'merge',
    );
    expect(templateAnnotations(changed)).toEqual({ [carried]: 'true' });
  });

  test('a pod on the network of its node is refused with a reason', async () => {
    const namespace = await cluster.namespace();
    const pod = podNamed('node', namespace, { annotations: { inject: 'true' } }) as {
      spec: Record<string, unknown>;
    };
    pod.spec['hostNetwork'] = true;
    expect(await refusalOf(cluster.create(pod))).toContain(
      `Pod ${namespace}/node cannot have a sidecar: it has hostNetwork: true`,
    );
  });

  test('a dry run answers the same and leaves nothing', async () => {
    const namespace = await cluster.namespace();
    const pod = podNamed('dry', namespace, { annotations: { inject: 'true' } });
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const made = await cluster.client.create<KubeResource>(path, pod, { dryRun: 'All' });
    expect(sidecars(made)).toEqual(injected);
    const { items } = await cluster.client.get<{ items: unknown[] }>(path);
    expect(items).toEqual([]);
  });

  test('a pod as it came back from the API server is not injected again', async () => {
    const namespace = await cluster.namespace();
    const asks = { annotations: { inject: 'true' } };
    const { metadata, spec } = await cluster.create(podNamed('first', namespace, asks));
    const { labels, annotations } = metadata;
    const again = await cluster.create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'again', namespace, labels, annotations },
      spec,
    });
    expect(again.spec).toEqual(spec);
    expect(again.metadata.annotations).toEqual(annotations);
  });

  async function podsOf(namespace: string, count: number): Promise<KubeResource[]> {
    return eventually(async () => {
      const path = `/api/v1/namespaces/${namespace}/pods`;
      const { items } = await cluster.client.get<{ items: KubeResource[] }>(path);
      if (items.length < count) throw new Error(`${items.length} pods`);
      return items;
    });
  }
});

function sidecars(pod: KubeResource): string[] {
  const { initContainers } = pod.spec as { initContainers?: { name: string }[] };
  return initContainers?.map(({ name }) => name) ?? [];
}

const pods = { containers: [{ name: 'app', image: 'app:1' }] };
const template = { metadata: { labels: { app: 'web' } }, spec: pods };
const selector = { matchLabels: { app: 'web' } };

function deployment(
  name: string,
  namespace: string,
  annotations: object,
  over: object = {},
): object {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace, annotations },
    spec: { replicas: 1, selector, template, ...over },
  };
}

function workload(kind: string, namespace: string): object {
  const annotations = { inject: 'true' };
  const metadata = { name: kind.toLowerCase(), namespace, annotations };
  const job = { template: { spec: { ...pods, restartPolicy: 'Never' } } };
  if (kind === 'Job') return { apiVersion: 'batch/v1', kind, metadata, spec: job };
  if (kind === 'CronJob') {
    const spec = { schedule: '0 0 1 1 *', jobTemplate: { spec: job } };
    return { apiVersion: 'batch/v1', kind, metadata, spec };
  }
  return { apiVersion: 'apps/v1', kind, metadata, spec: { selector, template } };
}

interface Templated {
  readonly template?: { readonly metadata?: { readonly annotations?: Record<string, string> } };
  readonly jobTemplate?: { readonly spec: Templated };
}

function templateAnnotations({ spec }: KubeResource): Record<string, string> {
  const { jobTemplate, template } = spec as Templated;
  return (jobTemplate?.spec.template ?? template)?.metadata?.annotations ?? {};
}
