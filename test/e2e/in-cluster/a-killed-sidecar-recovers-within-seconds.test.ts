import { afterAll, beforeAll, expect, test } from 'vitest';

import { caller, service } from './apps.ts';
import { describeInCluster, killSidecar, Place, sidecarRestarts, until } from './cluster.ts';

/** Of the callee's sidecar: the kubelet's restart, start-up, and its startup probe. */
const recoversInMs = 15_000;

describeInCluster('a killed sidecar', () => {
  let place: Place;

  beforeAll(async () => {
    place = await Place.create('killed');
    await place.apply(
      ...service({ name: 'callee', sharesProcesses: true }),
      ...caller({ name: 'web', sharesProcesses: true }),
    );
    await place.ready('deployment/callee', 'deployment/web');
  });
  afterAll(() => place.remove());

  test.each(['callee', 'web'])('of %s comes back, and calls pass again', async (name) => {
    expect(await place.call('deployment/web', 'http://callee/')).toBe(200);
    const pod = await place.podOf(name);
    const before = await sidecarRestarts(place, pod);
    await killSidecar(place, pod);
    const startedMs = Date.now();
    await until(
      'the sidecar to be restarted',
      () => sidecarRestarts(place, pod),
      (restarts) => restarts > before,
      recoversInMs,
    );
    await until(
      'a call to pass',
      () => place.call('deployment/web', 'http://callee/'),
      (status) => status === 200,
      recoversInMs,
    );
    expect(Date.now() - startedMs).toBeLessThan(recoversInMs);
    // It is the same pod: nobody had to replace it.
    expect(await place.podOf(name)).toBe(pod);
  });
});
