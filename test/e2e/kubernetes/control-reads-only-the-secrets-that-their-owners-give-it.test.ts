// API keys of Secrets in a real API server, read with the rights that the manifests give control, and no others.
import { randomBytes } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { collectMesh } from '#api/mesh.ts';
import { untilEstablished } from '#cli/install/apply.ts';
import { crdObjects } from '#cli/install/objects.ts';
import { rightsObjects } from '#cli/install/rights.ts';
import { KubernetesSource } from '#control/sources/kubernetes.ts';
import { createKubeClient, type KubeClient } from '#runtime/kubernetes/client.ts';
import { KubeError } from '#runtime/kubernetes/kube-error.ts';
import { silentLog } from '#runtime/log.ts';
import { hashOf } from '#test/sidecar/credentials/keys.ts';

import { reachedApiServer } from './api-server.ts';

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const rbac = '/apis/rbac.authorization.k8s.io/v1';
const api = 'rbac.authorization.k8s.io';
const access = await reachedApiServer();

describe.skipIf(access === null)('Secrets of API keys', () => {
  const namespace = `secrets-${randomBytes(3).toString('hex')}`;
  const core = `/api/v1/namespaces/${namespace}`;
  const made: string[] = [];
  let admin: KubeClient;
  let control: KubeClient;
  let source: KubernetesSource;

  beforeAll(async () => {
    admin = createKubeClient(access!);
    await admin.create('/api/v1/namespaces', { metadata: { name: namespace } });
    for (const crd of crdObjects()) {
      await admin
        .create(definitions, crd)
        .then(() => made.push(crd.metadata.name))
        .catch((error: unknown) => {
          if (!(error instanceof KubeError) || error.reason !== 'AlreadyExists') throw error;
        });
      await untilEstablished(admin, crd);
    }
    const role = rightsObjects().find(
      ({ kind, metadata }) => kind === 'ClusterRole' && metadata.name === 'selvage-control',
    ) as unknown as { readonly rules: unknown };
    const subjects = [{ kind: 'ServiceAccount', name: 'control', namespace }];
    await admin.create(`${core}/serviceaccounts`, { metadata: { name: 'control' } });
    const metadata = { name: namespace };
    await admin.create(`${rbac}/clusterroles`, { metadata, rules: role.rules });
    const roleRef = { apiGroup: api, kind: 'ClusterRole', name: namespace };
    await admin.create(`${rbac}/clusterrolebindings`, { metadata, roleRef, subjects });
    const { status } = await admin.create<{ status: { token: string } }>(
      `${core}/serviceaccounts/control/token`,
      { spec: { expirationSeconds: 3600 } },
    );
    const { server, caPem } = access!;
    control = createKubeClient({ server, caPem, namespace, token: async () => status.token });
    source = new KubernetesSource({
      client: control,
      namespace: 'selvage-system',
      onChange: () => undefined,
      log: silentLog,
      timing: { quietMs: 20, waitMaxMs: 500 },
    });
  });
  afterAll(async () => {
    source.stop();
    await control.close();
    for (const name of made) await admin.delete(`${definitions}/${name}`);
    await admin.delete(`${rbac}/clusterrolebindings/${namespace}`);
    await admin.delete(`${rbac}/clusterroles/${namespace}`);
    await admin.delete(`/api/v1/namespaces/${namespace}`);
    await admin.close();
  });

  function hashes(): unknown {
    return collectMesh(source.resources()).secrets.map(({ metadata, spec }) => [
      metadata.name,
      spec.hashes,
    ]);
  }

  test('a Secret is read when a Role of its namespace names it, and no other is', async () => {
    for (const name of ['keys', 'other']) {
      const labels = { 'selvage.dev/api-keys': 'true' };
      await admin.create(`${core}/secrets`, {
        metadata: { name, labels },
        stringData: { acme: name },
      });
    }
    await admin.create(`/apis/selvage.dev/v1alpha1/namespaces/${namespace}/apikeyauthentications`, {
      apiVersion: 'selvage.dev/v1alpha1',
      kind: 'ApiKeyAuthentication',
      metadata: { name: 'partners' },
      spec: { secrets: [{ name: 'keys' }, { name: 'other' }] },
    });
    await source.start();
    expect(hashes()).toEqual([]);
    const metadata = { name: 'keys' };
    const verbs = ['get', 'list', 'watch'];
    const rules = [{ apiGroups: [''], resources: ['secrets'], resourceNames: ['keys'], verbs }];
    await admin.create(`${rbac}/namespaces/${namespace}/roles`, { metadata, rules });
    await admin.create(`${rbac}/namespaces/${namespace}/rolebindings`, {
      metadata,
      roleRef: { apiGroup: api, kind: 'Role', name: 'keys' },
      subjects: [{ kind: 'ServiceAccount', name: 'control', namespace }],
    });
    await expect.poll(hashes, { timeout: 20_000 }).toEqual([['keys', { acme: hashOf('keys') }]]);
    const patch = { stringData: { acme: 'changed' } };
    await admin.patch(`${core}/secrets/keys`, patch, 'merge');
    await expect.poll(hashes, { timeout: 5000 }).toEqual([['keys', { acme: hashOf('changed') }]]);
    await expect(control.get(`${core}/secrets`)).rejects.toMatchObject({ status: 403 });
    await expect(control.get(`${core}/secrets/other`)).rejects.toMatchObject({ status: 403 });
  });
});
