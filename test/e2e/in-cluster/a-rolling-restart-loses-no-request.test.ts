import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { caller, service } from './apps.ts';
import { describeInCluster, Place } from './cluster.ts';
import { Load } from './load.ts';

describeInCluster('under load', () => {
  let place: Place;

  beforeAll(async () => {
    place = await Place.create('rolling');
    await place.apply(...service({ name: 'web', replicas: 2 }), ...caller({ name: 'client' }));
    await place.ready('deployment/web', 'deployment/client');
  });
  afterAll(() => place.remove());

  async function failuresDuring(change: () => Promise<void>): Promise<readonly string[]> {
    const load = Load.start(place, 'deployment/client', 'http://web/');
    await sleep(2000);
    await change();
    await sleep(2000);
    const { calls, failures } = await load.stop();
    expect(calls).toBeGreaterThan(100);
    return failures;
  }

  test('a rolling restart of the callee loses no request', async () => {
    const failures = await failuresDuring(async () => {
      await place.kubectl('rollout', 'restart', 'deployment/web');
      await place.ready('deployment/web');
      // The last of the old pods ends.
      await sleep(4000);
    });
    expect(failures).toEqual([]);
  });

  test('scaling up and down loses no request', async () => {
    const failures = await failuresDuring(async () => {
      await place.kubectl('scale', 'deployment/web', '--replicas=4');
      await place.ready('deployment/web');
      await place.kubectl('scale', 'deployment/web', '--replicas=1');
      await sleep(6000);
    });
    expect(failures).toEqual([]);
  });
});
