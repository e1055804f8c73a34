import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import {
  type InjectorInTest,
  type KubeResource,
  noCluster,
  refusalOf,
  startInjectorInTest,
} from './injector-in-test.ts';

describe.skipIf(noCluster)('Pod Security and the sidecar', () => {
  let cluster: InjectorInTest;
  beforeAll(async () => {
    cluster = await startInjectorInTest();
  });
  afterAll(() => cluster.close());

  async function create(level: string, annotations: object): Promise<KubeResource> {
    const namespace = await cluster.namespace({ 'pod-security.kubernetes.io/enforce': level });
    return cluster.create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'app', namespace, annotations: { inject: 'true', ...annotations } },
      spec: { containers: [{ name: 'app', image: 'app:1', ...strict }] },
    });
  }

  test('with explicit capture the whole pod is "restricted"', async () => {
    const pod = await create('restricted', { 'selvage.dev/capture': 'explicit' });
    expect(pod.spec['initContainers']).toMatchObject([{ name: 'selvage-proxy' }]);
  });

  test('with transparent capture nothing but the init container is beyond "baseline"', async () => {
    const refusal = await refusalOf(create('baseline', {}));
    expect(refusal).toMatch(/container "selvage-init" must not include "NET_ADMIN"/);
    expect(refusal).not.toContain('selvage-proxy');
    expect((await create('privileged', {})).spec['initContainers']).toHaveLength(2);
  });
});

const strict = {
  securityContext: {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    runAsNonRoot: true,
    runAsUser: 1000,
    seccompProfile: { type: 'RuntimeDefault' },
  },
};
