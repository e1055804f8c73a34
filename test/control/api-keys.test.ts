import { expect, test } from 'vitest';

import { loadText } from '#api/load.ts';
import { collectMesh, type MeshResources } from '#api/mesh.ts';
import { ApiKeyResolver, wantedSecrets } from '#control/api-keys.ts';
import { hashOf } from '#test/sidecar/credentials/keys.ts';

const policy = `
apiVersion: selvage.dev/v1alpha1
kind: ApiKeyAuthentication
metadata: { name: partners, namespace: shop }
spec:
  consumers: [{ name: acme, hashes: [${hashOf('old')}] }]
  secrets: [{ name: keys }, { name: more }]
`;

function secret(name: string, values: string, namespace = 'shop'): string {
  return `
---
apiVersion: v1
kind: Secret
metadata: { name: ${name}, namespace: ${namespace}, labels: { selvage.dev/api-keys: "true" } }
stringData: { ${values} }
`;
}

function meshOf(text: string): MeshResources {
  return collectMesh(loadText(text, 'x.yaml').resources);
}

test('keys of Secrets are put beside those of the policy, and a Secret that is not there is told', () => {
  const mesh = meshOf(
    policy +
      secret('keys', 'acme: new, globex: g, "-no-name-": x') +
      secret('more', 'x: y', 'other'),
  );
  const { extensions, problems } = new ApiKeyResolver().resolve(mesh.extensions, mesh.secrets);
  expect(extensions[0]?.spec).toMatchObject({
    consumers: [
      { name: 'acme', hashes: [hashOf('old'), hashOf('new')] },
      { name: 'globex', hashes: [hashOf('g')] },
    ],
  });
  expect(extensions[0]?.spec).not.toHaveProperty('secrets');
  expect(problems).toMatchObject([
    {
      code: 'secret-unavailable',
      line: 7,
      message: expect.stringContaining('there is no Secret shop/more with the label'),
      resource: 'ApiKeyAuthentication shop/partners',
    },
  ]);
  expect([...wantedSecrets(mesh.extensions)]).toEqual(['shop/keys', 'shop/more']);
});

test('what did not change stays the same object, and a changed Secret makes a new one', () => {
  const resolver = new ApiKeyResolver();
  const { extensions, secrets } = meshOf(policy + secret('keys', 'acme: a'));
  const [first] = resolver.resolve(extensions, secrets).extensions;
  expect(resolver.resolve(extensions, secrets).extensions[0]).toBe(first);
  const changed = meshOf(secret('keys', 'acme: b')).secrets;
  const [second] = resolver.resolve(extensions, changed).extensions;
  expect(second?.spec).toMatchObject({
    consumers: [{ name: 'acme', hashes: [hashOf('old'), hashOf('b')] }],
  });
});
