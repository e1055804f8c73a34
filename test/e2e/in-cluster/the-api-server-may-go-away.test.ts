// Only in a cluster of the kube lab, whose API server is a process of this machine: it is stopped, and goes on later.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { service } from './apps.ts';
import { describeInCluster, kubeconfig, kubectl, Place, until } from './cluster.ts';
import { Load } from './load.ts';

/** Shorter than what `kubectl logs` waits for a sign of life. */
const awayMs = 20_000;

/** The process, which is the child of what entered the cluster's namespaces; 0: it is not here. */
function apiServer(): number {
  try {
    const file = join(dirname(kubeconfig), 'run/kube-apiserver.pid');
    const entered = readFileSync(file, 'utf8').trim();
    const [child = ''] = readFileSync(`/proc/${entered}/task/${entered}/children`, 'utf8').split(
      ' ',
    );
    const command = readFileSync(`/proc/${child}/cmdline`, 'utf8');
    return command.startsWith('kube-apiserver\0') ? Number(child) : 0;
  } catch {
    return 0;
  }
}

describeInCluster('the API server', () => {
  let place: Place;

  beforeAll(async () => {
    place = await Place.create('away');
    await place.apply(...service({ name: 'callee', replicas: 2 }));
    await place.ready('deployment/callee');
  });
  afterAll(() => place.remove());

  test('may hang, and no request is lost; what changed meanwhile is heard of after it', async (context) => {
    const pid = apiServer();
    if (pid === 0)
      context.skip('the API server is no process of this machine: it cannot be stopped');
    const load = await Load.start(place, { url: 'http://callee/' });
    process.kill(pid, 'SIGSTOP');
    try {
      await sleep(awayMs);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await until(
      'the API server',
      () => kubectl('get', '--raw', '/readyz'),
      (said) => said === 'ok',
    );
    await place.kubectl('rollout', 'restart', 'deployment/callee');
    await place.ready('deployment/callee');
    await load.more(300);
    const summary = await load.end();
    expect(summary).toMatchObject({ failures: [], silent: [], pods: 1 });
    // It called all the while, at its own pace: six loops with less than ten calls a second are too slow.
    expect(summary.ok).toBeGreaterThan((awayMs / 1000) * 10);
  });
});
