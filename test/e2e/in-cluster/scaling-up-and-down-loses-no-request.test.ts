import { afterAll, beforeAll, expect, test } from 'vitest';

import { service } from './apps.ts';
import { describeInCluster, Place } from './cluster.ts';
import { Load } from './load.ts';

describeInCluster('scaling', () => {
  let place: Place;

  beforeAll(async () => {
    place = await Place.create('scaling');
    await place.apply(...service({ name: 'callee' }));
    await place.ready('deployment/callee');
  });
  afterAll(() => place.remove());

  test('up and down loses no request', async () => {
    const load = await Load.start(place, { url: 'http://callee/' });
    for (const replicas of [4, 1, 3, 1]) {
      await place.kubectl('scale', 'deployment/callee', `--replicas=${replicas}`);
      await place.ready('deployment/callee');
      await load.more(200);
    }
    expect(await load.end()).toMatchObject({ failures: [], silent: [], pods: 1 });
  });
});
