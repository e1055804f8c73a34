import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { podAccess } from '#runtime/kubernetes/access.ts';
import { Bearer } from '#runtime/kubernetes/bearer.ts';
import { missingRule, parseCollectionPath } from '#runtime/kubernetes/collection-path.ts';
import { kubeErrorOf } from '#runtime/kubernetes/kube-error.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvage-access-'));
  await writeFile(join(folder, 'token'), 'one\n');
  await writeFile(join(folder, 'ca.crt'), '-----BEGIN CERTIFICATE-----\n');
  await writeFile(join(folder, 'namespace'), 'shop');
});

afterEach(() => rm(folder, { recursive: true }));

test("a pod's access is what the kubelet wrote, its token as of now", async () => {
  const access = await podAccess('https://10.96.0.1:443', folder);
  expect(access).toMatchObject({
    server: 'https://10.96.0.1:443',
    namespace: 'shop',
    caPem: '-----BEGIN CERTIFICATE-----\n',
  });
  expect(await access.token?.()).toBe('one');
  await writeFile(join(folder, 'token'), 'two');
  expect(await access.token?.()).toBe('two');
});

test('a pod without a service account, or with an empty file of it, says what to do', async () => {
  await writeFile(join(folder, 'token'), '\n');
  await expect(podAccess('https://x', folder)).rejects.toThrow(/token is empty.*mount it/);
  await rm(join(folder, 'token'));
  await expect(podAccess('https://x', folder)).rejects.toThrow(/ENOENT.*mount it/);
});

test('a token is kept for a minute, and not at all when it could not be read', async () => {
  let now = 0;
  let reads = 0;
  let fails = true;
  const bearer = new Bearer(
    async () => {
      reads += 1;
      if (fails) throw new Error('no file');
      return `t${reads}`;
    },
    () => now,
  );
  await expect(bearer.token()).rejects.toThrow('no file');
  fails = false;
  expect(await bearer.token()).toBe('t2');
  now = 59_999;
  expect(await bearer.token()).toBe('t2');
  now = 60_000;
  expect(await bearer.token()).toBe('t3');
  bearer.forget();
  expect(await bearer.token()).toBe('t4');
});

test('the path of a collection says the RBAC rule that reading it takes', () => {
  expect(parseCollectionPath('/api/v1/pods')).toEqual({
    group: '',
    resource: 'pods',
    namespace: null,
  });
  expect(parseCollectionPath('/apis/apps/v1/namespaces/x/deployments')).toEqual({
    group: 'apps',
    resource: 'deployments',
    namespace: 'x',
  });
  expect(parseCollectionPath('/api/v1/namespaces')?.resource).toBe('namespaces');
  expect(parseCollectionPath('/apis/apps/v1/deployments/status')?.resource).toBe(
    'deployments/status',
  );
  expect(parseCollectionPath('/version')).toBeNull();
  expect(missingRule('/apis/apps/v1/namespaces/x/deployments', ['list'])).toBe(
    'bind the service account to a Role in namespace x with the rule {"apiGroups":["apps"],"resources":["deployments"],"verbs":["list"]}',
  );
  expect(missingRule('/version', ['get'])).toBe('allow get of /version');
});

test('whatever a server says when it refuses, it becomes an error with status and reason', () => {
  expect(kubeErrorOf('GET /x', 0, { code: 410, reason: 'Gone' })).toMatchObject({
    status: 410,
    reason: 'Expired',
  });
  expect(kubeErrorOf('GET /x', 0, { reason: 'Expired' }).status).toBe(410);
  expect(kubeErrorOf('GET /x', 0, null)).toMatchObject({ status: 500, reason: 'InternalError' });
  expect(kubeErrorOf('GET /x', 418, [])).toMatchObject({ status: 418, reason: '' });
  const long = kubeErrorOf('GET /x', 400, { message: 'x'.repeat(5000) });
  expect(long.message.length).toBeLessThan(1100);
});
