import { expect, test } from 'vitest';

import { kinds } from '#api/kinds/table.ts';
import { mutatingWebhooks, validatedResources, validatingWebhooks } from '#injector/webhooks.ts';

interface Configuration {
  readonly webhooks: readonly {
    readonly name: string;
    readonly failurePolicy: string;
    readonly sideEffects: string;
    readonly clientConfig: object;
    readonly matchConditions: readonly { readonly name: string; readonly expression: string }[];
    readonly namespaceSelector?: { readonly matchExpressions: readonly object[] };
  }[];
}

function plural(kind: string): string {
  return `${kind.toLowerCase()}s`.replace(/ys$/, 'ies');
}

const target = { service: { name: 'selvage-injector', namespace: 'selvage-system' } };
const mutating = mutatingWebhooks(target) as Configuration;
const validating = validatingWebhooks(target) as Configuration;

test('every kind whose fields are all known and whose CRD is ours is checked, and no other', () => {
  const known = [...kinds.values()].filter(
    ({ complete, foreignCrd }) => complete && foreignCrd !== true,
  );
  const wanted = known.map(({ group, kind }) => `${group}/${plural(kind)}`);
  const checked = validatedResources.flatMap(([group, resources]) =>
    resources.map((resource) => `${group}/${resource}`),
  );
  expect(new Set(checked)).toEqual(new Set(wanted));
});

test('no webhook changes anything, and each keeps out whoever does not ask', () => {
  for (const webhook of [...mutating.webhooks, ...validating.webhooks]) {
    expect(webhook).toMatchObject({ sideEffects: 'None', failurePolicy: 'Fail' });
    expect(webhook.matchConditions.length).toBeGreaterThan(0);
    expect(webhook.clientConfig).not.toHaveProperty('caBundle');
  }
});

test('nothing comes from the namespaces that the cluster and the mesh live in', () => {
  for (const { namespaceSelector } of mutating.webhooks) {
    expect(namespaceSelector?.matchExpressions).toContainEqual({
      key: 'kubernetes.io/metadata.name',
      operator: 'NotIn',
      values: ['kube-system', 'kube-public', 'kube-node-lease', 'selvage-system'],
    });
  }
});
