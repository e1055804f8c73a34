import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { caller, service } from './apps.ts';
import { describeInCluster, kubectl, Place, until } from './cluster.ts';
import { Load } from './load.ts';

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
    await place.remove();
  });

  /** The sidecar's process is process 1 of its container. */
  async function killSidecar(deployment: string): Promise<void> {
    const restarts = (): Promise<string> =>
      place.kubectl('get', 'pods', '-l', `app=${deployment}`, '-o', restartCount);
    const before = Number(await restarts());
    await place
      .kubectl('exec', `deployment/${deployment}`, '-c', 'selvage-proxy', '--', ...crash)
      .catch(() => undefined);
    await until('the sidecar is started anew', restarts, (count) => Number(count) > before);
  }

  test('a sidecar that is killed is back within seconds', async () => {
    await killSidecar('web');
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
    await killSidecar('web');
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

/** Process 1 of a container takes no signal that it has no handler for, not even SIGKILL from inside: it must crash itself. */
const crash = [
  'node',
  '-e',
  "fetch('http://127.0.0.1:15000/quitquitquit', { method: 'POST' }).catch(() => {})",
];
