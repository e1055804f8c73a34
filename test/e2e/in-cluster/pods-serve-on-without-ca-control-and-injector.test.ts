import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { caller, podSpec, service } from './apps.ts';
import { apply, describeInCluster, kubectl, Place, until } from './cluster.ts';
import { Load } from './load.ts';

const inject = { annotations: { inject: 'true' } };
const parts = ['selvage-ca', 'selvage-control', 'selvage-injector'];

async function scale(replicas: number): Promise<void> {
  for (const part of parts) {
    const deployment = `deployment/${part}`;
    await kubectl('-n', 'selvage-system', 'scale', deployment, `--replicas=${replicas}`);
  }
  for (const part of parts) {
    const deployment = `deployment/${part}`;
    await kubectl('-n', 'selvage-system', 'rollout', 'status', deployment, '--timeout=120s');
  }
}

describeInCluster('sidecars by themselves', () => {
  let place: Place;

  beforeAll(async () => {
    place = await Place.create('alone');
    await place.apply(...service({ name: 'web' }), ...caller({ name: 'client' }), {
      apiVersion: 'security.istio.io/v1',
      kind: 'PeerAuthentication',
      metadata: { name: 'strict' },
      spec: { mtls: { mode: 'STRICT' } },
    });
    await place.ready('deployment/web', 'deployment/client');
  });
  afterAll(async () => {
    await scale(1);
    // The API server reaches a Service a moment after its pods are ready.
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'asks', ...inject } };
    const manifest = JSON.stringify({ ...pod, spec: podSpec({}) });
    await until(
      'the webhook answers',
      () => apply(manifest, '-n', place.namespace, '--dry-run=server'),
      (said) => said.includes('pod/asks'),
    );
    await place.remove();
  });

  /** @param signal SIGKILL needs the node to be this machine */
  async function endSidecar(deployment: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const restarts = (): Promise<string> =>
      place.kubectl('get', 'pods', '-l', `app=${deployment}`, '-o', restartCount);
    const before = Number(await restarts());
    if (signal === 'SIGTERM') {
      const target = `deployment/${deployment}`;
      await place.kubectl('exec', target, '-c', 'selvage-proxy', '--', ...quit).catch(ignore);
    } else {
      const name = await place.kubectl('get', 'pods', '-l', `app=${deployment}`, '-o', podName);
      process.kill(processOf(name), 'SIGKILL');
    }
    await until('the sidecar is started anew', restarts, (count) => Number(count) > before);
  }

  test('a sidecar that is killed is back within seconds', async () => {
    await endSidecar('web', 'SIGKILL');
    const startedAtMs = Date.now();
    await until(
      'calls go through again',
      () => place.call('deployment/client', 'http://web/'),
      (status) => status === 200,
      20_000,
    );
    expect(Date.now() - startedAtMs).toBeLessThan(20_000);
  });

  test('CA, control and injector are away: no call fails, and a restarted sidecar comes back', async () => {
    await scale(0);
    const load = Load.start(place, 'deployment/client', 'http://web/');
    await sleep(5000);
    const { calls, failures } = await load.stop();
    expect(calls).toBeGreaterThan(100);
    expect(failures).toEqual([]);
    await endSidecar('web', 'SIGTERM');
    await until(
      'calls go through again, with the last certificate and snapshot',
      () => place.call('deployment/client', 'http://web/'),
      (status) => status === 200,
      60_000,
    );
  });
});

const restartCount =
  'jsonpath={.items[0].status.initContainerStatuses[?(@.name=="selvage-proxy")].restartCount}';

const podName = 'jsonpath={.items[0].metadata.name}';
const quit = [
  'node',
  '-e',
  "fetch('http://127.0.0.1:15000/quitquitquit', { method: 'POST' }).catch(() => {})",
];

/**
 * From inside a container its process 1 cannot be killed. From the node it can, which this machine is
 * where the cluster runs in namespaces of it.
 */
function processOf(pod: string): number {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const found = pids.find((pid) => environmentOf(pid).includes(`\0SELVAGE_POD=${pod}\0`));
  if (found === undefined) throw new Error(`the sidecar of ${pod} does not run on this machine`);
  return Number(found);
}

function environmentOf(pid: string): string {
  try {
    return `\0${readFileSync(`/proc/${pid}/environ`, 'latin1')}\0`;
  } catch {
    return '';
  }
}

function ignore(): void {}
