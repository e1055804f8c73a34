import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { problemText } from '#api/problem-text.ts';
import { validateResource } from '#api/read-resource.ts';

import {
  eventually,
  type InjectorInTest,
  noCluster,
  refusalOf,
  startInjectorInTest,
} from './injector-in-test.ts';

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'authorizationpolicies.security.istio.io' },
  spec: {
    group: 'security.istio.io',
    scope: 'Namespaced',
    names: {
      kind: 'AuthorizationPolicy',
      plural: 'authorizationpolicies',
      singular: 'authorizationpolicy',
    },
    versions: ['v1', 'v1beta1'].map((name) => ({
      name,
      served: true,
      storage: name === 'v1',
      schema: {
        openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      },
    })),
  },
};

describe.skipIf(noCluster)('validation by a real API server', () => {
  let cluster: InjectorInTest;
  let namespace = '';
  /** It was not there before. */
  let isOurs = false;

  beforeAll(async () => {
    cluster = await startInjectorInTest();
    const installed = await cluster.client.get<{ items: { metadata: { name: string } }[] }>(
      definitions,
    );
    isOurs = !installed.items.some(({ metadata }) => metadata.name === definition.metadata.name);
    if (isOurs) await cluster.client.create(definitions, definition);
    namespace = await cluster.namespace();
    await eventually(() => cluster.client.get(policies()));
    // The webhook, too, is seen a moment later.
    await eventually(() => refusalOf(cluster.client.create(policies(), bad, { dryRun: 'All' })));
  });
  afterAll(async () => {
    // Whatever came of the tests: a definition whose resources have finalizers never goes.
    const { items } = await cluster.client.get<{ items: unknown[] }>(policies());
    const freed = { metadata: { finalizers: null } };
    if (items.length > 0) await cluster.client.patch(`${policies()}/policy`, freed, 'merge');
    if (isOurs) await cluster.client.delete(`${definitions}/${definition.metadata.name}`);
    await cluster.close();
  });

  const policies = (): string =>
    `/apis/security.istio.io/v1/namespaces/${namespace}/authorizationpolicies`;
  const bad = policy({ action: 'DENY' });

  test('what selvage check refuses is refused in the same words', async () => {
    const named = { ...bad, metadata: { name: 'policy', namespace } };
    const [problem] = validateResource({ value: named });
    expect(await refusalOf(cluster.client.create(policies(), bad))).toContain(
      problemText(problem!),
    );
  });

  test('an older version that is served is looked at as well', async () => {
    const path = policies().replace('/v1/', '/v1beta1/');
    const message = await refusalOf(
      cluster.client.create(path, policy({ action: 'DENY' }, 'v1beta1')),
    );
    expect(message).toContain('[rules-missing]');
  });

  test('what is bad by now can still be labelled, freed of its finalizers and deleted', async () => {
    const path = `${policies()}/policy`;
    // As if it had been stored before there was a check: its webhook does not see it.
    const configurations = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
    const excluded = { matchExpressions: [{ key: 'unchecked', operator: 'DoesNotExist' }] };
    const select = (objectSelector: object | null): Promise<unknown> =>
      eventually(async () => {
        const url = `${configurations}/${cluster.name}`;
        const patch = [{ op: 'add', path: '/webhooks/0/objectSelector', value: objectSelector }];
        await cluster.client.patch(url, patch, 'json');
      });
    await select(excluded);
    const metadata = {
      name: 'policy',
      labels: { unchecked: 'true' },
      finalizers: ['selvage.dev/test'],
    };
    await eventually(() => cluster.client.create(policies(), { ...bad, metadata }));
    await select({});
    await eventually(async () => {
      const message = await refusalOf(
        cluster.client.patch(
          path,
          { spec: { action: 'DENY', selector: null, rules: [] } },
          'merge',
          {
            dryRun: 'All',
          },
        ),
      );
      expect(message).toContain('[rules-missing]');
    });
    await cluster.client.patch(path, { metadata: { labels: { more: 'true' } } }, 'merge');
    await cluster.client.delete(path);
    await cluster.client.patch(path, { metadata: { finalizers: null } }, 'merge');
    expect(await refusalOf(cluster.client.get(path))).toContain('not found');
  });
});

function policy(spec: object, version = 'v1'): object {
  return {
    apiVersion: `security.istio.io/${version}`,
    kind: 'AuthorizationPolicy',
    metadata: { name: 'policy', finalizers: ['selvage.dev/test'] },
    spec,
  };
}
