import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { edges } from '#cli/edges.ts';
import { tap } from '#cli/tap.ts';
import { top } from '#cli/top.ts';
import { why } from '#cli/why.ts';
import { testIo } from '#test/cli/output.ts';

import { service } from './apps.ts';
import { describeInCluster, kubectl, Place } from './cluster.ts';

describeInCluster('who may read pods and run nothing in them', () => {
  let place: Place;
  let folder: string;
  let kubeconfig: string;

  beforeAll(async () => {
    place = await Place.create('unasked');
    await place.apply(
      ...service({ name: 'payments' }),
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'reader' } },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: { name: 'reader' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
        subjects: [{ kind: 'ServiceAccount', name: 'reader', namespace: place.namespace }],
      },
    );
    await place.ready('deployment/payments');
    folder = await mkdtemp(join(tmpdir(), 'selvage-reader-'));
    kubeconfig = join(folder, 'kubeconfig');
    await writeFile(
      kubeconfig,
      await kubeconfigOf(await place.kubectl('create', 'token', 'reader')),
    );
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    await place.remove();
  });

  test.each([
    ['tap', tap, (namespace: string) => [`${namespace}/payments`]],
    ['top', top, (namespace: string) => [namespace, '--once', '--seconds', '1']],
    ['edges', edges, (namespace: string) => ['-n', namespace]],
    ['why', why, (namespace: string) => ['-n', namespace]],
  ] as const)('selvage %s says which right it takes', async (_name, command, args) => {
    const { namespace } = place;
    const io = testIo();
    expect(await command([...args(namespace), '--kubeconfig', kubeconfig], io)).toBe(2);
    expect(io.out()).toBe('');
    expect(io.err()).toMatch(/^exec in pod \S+\/payments-\S+: 403 Forbidden: /m);
    expect(io.err()).toContain(
      `it takes the verbs get and create of pods/exec in namespace ${namespace}\n`,
    );
    // The program that would have run says nothing to its reader.
    expect(io.err()).not.toContain('process.argv');
  });
});

/** As the cluster's own, but with a token. */
async function kubeconfigOf(token: string): Promise<string> {
  const config = JSON.parse(await kubectl('config', 'view', '--raw', '--minify', '-o', 'json')) as {
    users: { name: string; user: object }[];
  };
  const users = config.users.map(({ name }) => ({ name, user: { token } }));
  return JSON.stringify({ ...config, users });
}
