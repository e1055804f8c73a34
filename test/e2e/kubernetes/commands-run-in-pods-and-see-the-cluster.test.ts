// The operator's commands against the cluster that KUBECONFIG names: exec in its pods, its live resources, the doctor.
import { setTimeout as pass } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { check } from '#cli/check.ts';
import { type Cluster, openCluster } from '#cli/cluster/cluster.ts';
import { isReady, podOf } from '#cli/cluster/pods.ts';
import { doctor } from '#cli/doctor.ts';
import { status } from '#cli/status.ts';
import type { KubeObject } from '#runtime/kubernetes/client.ts';
import { testIo } from '#test/cli/output.ts';

const isCluster = (process.env['KUBECONFIG'] ?? '') !== '';
if (!isCluster) {
  process.stderr.write(
    'skipped: KUBECONFIG names no cluster (start one, run vitest under its exec)\n',
  );
}

const namespace = `cli-${Math.random().toString(36).slice(2, 8)}`;
const pods = `/api/v1/namespaces/${namespace}/pods`;
/** Any image with busybox and Node. */
const image = process.env['SELVAGE_TEST_IMAGE'] ?? 'kube-lab/tools:dev';

describe.skipIf(!isCluster)('with a cluster', () => {
  let cluster: Cluster;
  let hasNodes = false;

  beforeAll(async () => {
    cluster = await openCluster({});
    const nodes = await cluster.client.get<{ items: unknown[] }>('/api/v1/nodes');
    hasNodes = nodes.items.length > 0;
    if (!hasNodes) process.stderr.write('skipped: the cluster has no node to run commands in\n');
    await cluster.client.create('/api/v1/namespaces', { metadata: { name: namespace } });
    await until(async () => {
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts/default`;
      return (await cluster.client.get<KubeObject>(path).catch(() => null)) !== null;
    });
    await cluster.client.create(pods, {
      metadata: { name: 'shell' },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [{ name: 'shell', image, command: ['sleep', '100000'] }],
      },
    });
    if (!hasNodes) return;
    await until(async () => isReady(podOf(await cluster.client.get<KubeObject>(`${pods}/shell`))));
  });

  afterAll(async () => {
    await cluster.client.delete(`/api/v1/namespaces/${namespace}`);
    await cluster.close();
  });

  const run = (...command: string[]) =>
    cluster.exec({ namespace, pod: 'shell', container: 'shell', command });

  test('a command gives both outputs and its status', async ({ skip }) => {
    skip(!hasNodes);
    const script = 'echo out; echo err >&2; exit 7';
    expect(await run('sh', '-c', script)).toEqual({ stdout: 'out\n', stderr: 'err\n', status: 7 });
  });

  test('a megabyte comes back whole', async ({ skip }) => {
    skip(!hasNodes);
    const { stdout, status } = await run('node', '-e', 'process.stdout.write("é".repeat(524288))');
    expect([status, stdout.length, new Set(stdout).size]).toEqual([0, 524_288, 1]);
  });

  test('arguments arrive as they are, and no shell reads them', async ({ skip }) => {
    skip(!hasNodes);
    const odd = ['$HOME', 'a b', '&x=1', 'ü', '', '`id`'];
    const { stdout } = await run('node', '-p', 'JSON.stringify(process.argv.slice(1))', ...odd);
    expect(JSON.parse(stdout)).toEqual(odd);
  });

  test('a program that is not there is said to be missing', async ({ skip }) => {
    skip(!hasNodes);
    await expect(run('no-such-program')).rejects.toThrow(/could not be run|no such file|not found/);
  });

  test('a pod that is not there, and a container that is not, are told as the server tells them', async ({
    skip,
  }) => {
    skip(!hasNodes);
    const target = { namespace, pod: 'nobody', container: 'shell', command: ['true'] };
    await expect(cluster.exec(target)).rejects.toMatchObject({ name: 'KubeError', status: 404 });
    const other = { ...target, pod: 'shell', container: 'other' };
    await expect(cluster.exec(other)).rejects.toThrow(/container other|container not found/);
  });

  test('check --live reads what is there', async () => {
    const io = testIo();
    expect(await check(['--live', '--output', 'json'], io)).toBeLessThan(2);
    expect(JSON.parse(io.out())).toMatchObject({ files: 0, resources: expect.any(Number) });
    expect(io.err()).toBe('');
  });

  test('the doctor looks at everything, whatever is installed', async () => {
    const io = testIo();
    expect(await doctor(['--output', 'json'], io)).toBeLessThan(2);
    const { findings } = JSON.parse(io.out()) as { findings: { check: string; level: string }[] };
    expect(findings[0]).toMatchObject({ check: 'api-server', level: 'ok' });
    const looked = new Set(findings.map(({ check: name }) => name));
    expect([...looked]).toEqual(
      expect.arrayContaining([
        'installation',
        'crds',
        'certificates',
        'missing-sidecars',
        'policies',
      ]),
    );
  });

  test('status tells each sidecar, or that there is no control plane', async () => {
    const io = testIo();
    const code = await status(['--output', 'json'], io);
    const told = code === 2 ? io.err() : io.out();
    expect(told).toMatch(code === 2 ? /selvage-control/ : /"sidecars"/);
  });
});

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error('it did not come to be within 60 s');
    await pass(200);
  }
}
