import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { caller, service } from './apps.ts';
import { describeInCluster, kubectl, Place, until } from './cluster.ts';
import { Load } from './load.ts';

const system = ['-n', 'selvage-system'];

async function scale(part: string, replicas: number): Promise<void> {
  await kubectl(...system, 'scale', `deployment/${part}`, `--replicas=${replicas}`);
  await kubectl(...system, 'rollout', 'status', `deployment/${part}`, '--timeout=120s');
}

async function replicasOf(part: string): Promise<string[]> {
  const names = 'jsonpath={.items[*].metadata.name}';
  const selector = `app.kubernetes.io/name=${part}`;
  return (await kubectl(...system, 'get', 'pods', '-l', selector, '-o', names)).split(' ');
}

/** At once: it says goodbye to nobody. */
async function kill(pod: string): Promise<void> {
  await kubectl(...system, 'delete', 'pod', pod, '--grace-period=0', '--force');
}

describeInCluster('two replicas', () => {
  let place: Place;
  let generation = 0;

  beforeAll(async () => {
    await scale('selvage-control', 2);
    await scale('selvage-ca', 2);
    place = await Place.create('replicas');
    await place.apply(...service({ name: 'web', replicas: 2 }), ...caller({ name: 'client' }), {
      apiVersion: 'security.istio.io/v1',
      kind: 'PeerAuthentication',
      metadata: { name: 'strict' },
      spec: { mtls: { mode: 'STRICT' } },
    });
    await place.ready('deployment/web', 'deployment/client');
  });
  afterAll(async () => {
    await scale('selvage-control', 1);
    await scale('selvage-ca', 1);
    await place.remove();
  });

  /** Each denies another path, and none what the load calls. */
  async function changePolicy(): Promise<void> {
    generation += 1;
    await place.apply({
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: 'changing' },
      spec: {
        action: 'DENY',
        selector: { matchLabels: { app: 'web' } },
        rules: [{ to: [{ operation: { paths: [`/generation-${generation}`] } }] }],
      },
    });
  }

  /** Every sidecar does: calls take turns. */
  async function newestIsEnforced(withinMs: number): Promise<void> {
    const url = `http://web/generation-${generation}`;
    await until(
      `${url} is denied`,
      () => Promise.all(Array.from({ length: 6 }, () => place.call('deployment/client', url))),
      (statuses) => statuses.every((status) => status === 403),
      withinMs,
    );
  }

  /** What the leader wrote, of the newest generation. */
  async function newestIsReported(withinMs: number): Promise<void> {
    const wanted =
      'jsonpath={.metadata.generation} {.status.observedGeneration} ' +
      '{.status.conditions[?(@.type=="Enforced")].status}';
    await until(
      'the status is of the newest generation',
      () => place.kubectl('get', 'authorizationpolicy/changing', '-o', wanted),
      (said) => /^(\d+) \1 True$/.test(said),
      withinMs,
    );
  }

  test.each(['a replica of control', 'its leader'])(
    '%s is killed while policies change: every sidecar enforces the newest, and no call is lost',
    async (which) => {
      await changePolicy();
      await newestIsEnforced(20_000);
      await newestIsReported(60_000);
      const leader = await kubectl(
        ...system,
        'get',
        'lease',
        'selvage-control-status',
        '-o',
        holder,
      );
      const replicas = await replicasOf('selvage-control');
      const isLeader = (pod: string): boolean => leader.startsWith(pod);
      expect(replicas.filter(isLeader)).toHaveLength(1);
      const victim = replicas.find((pod) => isLeader(pod) === (which === 'its leader')) ?? '';

      const name = which === 'its leader' ? 'load-leader' : 'load-replica';
      const load = await Load.start(place, { name, url: 'http://web/' });
      const endMs = Date.now() + 8000;
      const killed = sleep(1500).then(() => kill(victim));
      while (Date.now() < endMs) await changePolicy();
      await killed;
      await newestIsEnforced(10_000);
      await newestIsReported(60_000);
      const { ok, failures } = await load.end();
      expect(ok).toBeGreaterThan(100);
      expect(failures).toEqual([]);
      await kubectl(...system, 'rollout', 'status', 'deployment/selvage-control', '--timeout=60s');
    },
  );

  test('a replica of the CA is killed while pods start: they get their certificates from the other', async () => {
    const [victim = ''] = await replicasOf('selvage-ca');
    const load = await Load.start(place, { name: 'load-ca', url: 'http://web/' });
    await place.kubectl('scale', 'deployment/web', '--replicas=5');
    await sleep(300);
    await kill(victim);
    await place.ready('deployment/web');
    await sleep(2000);
    const { ok, failures } = await load.end();
    expect(ok).toBeGreaterThan(100);
    expect(failures).toEqual([]);
  });
});

const holder = 'jsonpath={.spec.holderIdentity}';
