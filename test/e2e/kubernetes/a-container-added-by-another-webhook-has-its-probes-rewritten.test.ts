import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { readReview, writeReview } from '#api/admission-review.ts';
import { startWebhookServer, type WebhookServer } from '#injector/server.ts';
import { silentLog } from '#runtime/log.ts';

import { issue, makeTestCa } from '../../tls/fixtures.ts';
import {
  eventually,
  type InjectorInTest,
  type KubeResource,
  noCluster,
  podNamed,
  startInjectorInTest,
} from './injector-in-test.ts';

const configurations = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
const late = {
  name: 'late',
  image: 'late:1',
  readinessProbe: { httpGet: { path: '/ready', port: 9000 } },
};

/** As other products do it: adds a container to each pod that has none of its own yet. */
function addLate(body: string): string {
  const { uid, object } = readReview(body);
  const { spec } = object as { spec: { containers: { name: string }[] } };
  const isThere = spec.containers.some(({ name }) => name === late.name);
  const add = { op: 'add', path: '/spec/containers/0', value: late } as const;
  return writeReview(uid, { allowed: true, patch: isThere ? [] : [add] });
}

describe.skipIf(noCluster)('another webhook after ours', () => {
  let cluster: InjectorInTest;
  let other: WebhookServer;
  let name = '';
  let namespace = '';

  beforeAll(async () => {
    cluster = await startInjectorInTest();
    const ca = await makeTestCa();
    const { keyPem, certPem } = await issue(ca, { ip: [cluster.host] });
    other = await startWebhookServer({
      host: cluster.host,
      port: 0,
      certificate: { key: keyPem, cert: certPem },
      answer: (_, body) => ({ status: 200, body: addLate(body) }),
      log: silentLog,
    });
    namespace = await cluster.namespace();
    // Webhooks are called in the order of their names.
    name = `z-${cluster.name}`;
    await cluster.client.create(configurations, {
      metadata: { name },
      webhooks: [
        {
          name: 'late.example.com',
          clientConfig: {
            url: `https://${cluster.host}:${other.port}/`,
            caBundle: Buffer.from(ca.certPem).toString('base64'),
          },
          rules: [
            { apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], operations: ['CREATE'] },
          ],
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
          admissionReviewVersions: ['v1'],
          sideEffects: 'None',
        },
      ],
    });
  });
  afterAll(async () => {
    await cluster.client.delete(`${configurations}/${name}`);
    await other.close(0);
    await cluster.close();
  });

  test('its container is asked by the sidecar, and nothing is there twice', async () => {
    const pod = podNamed('both', namespace, { annotations: { inject: 'true' } });
    const path = `/api/v1/namespaces/${namespace}/pods`;
    await eventually(async () => {
      const made = await cluster.client.create<KubeResource>(path, pod, { dryRun: 'All' });
      const { containers, initContainers } = made.spec as Record<string, Container[]>;
      expect(containers?.map((one) => one.name)).toEqual(['late', 'app']);
      expect(containers?.[0]?.readinessProbe?.httpGet).toMatchObject({
        path: '/app-health/late/readyz',
        port: 15_020,
      });
      expect(initContainers?.map((one) => one.name)).toEqual(['selvage-init', 'selvage-proxy']);
      const told = initContainers?.[1]?.env?.filter((one) => one.name === 'SELVAGE_APP_PROBES');
      expect(told).toHaveLength(1);
      expect(told?.[0]?.value).toContain(
        '"/app-health/late/readyz":{"httpGet":{"path":"/ready","port":9000',
      );
    });
  });
});

interface Container {
  readonly name: string;
  readonly readinessProbe?: { readonly httpGet?: object };
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
}
