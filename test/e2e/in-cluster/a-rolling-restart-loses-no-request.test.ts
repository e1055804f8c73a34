import { afterAll, beforeAll, expect, test } from 'vitest';

import { abrupt, service } from './apps.ts';
import { describeInCluster, Place } from './cluster.ts';
import { Load } from './load.ts';

describeInCluster('a rolling restart', () => {
  let place: Place;

  beforeAll(async () => {
    place = await Place.create('rolling');
    await place.apply(
      ...service({ name: 'callee', replicas: 2 }),
      ...service({ name: 'hasty', replicas: 2, script: abrupt }),
    );
    await place.ready('deployment/callee', 'deployment/hasty');
  });
  afterAll(() => place.remove());

  async function restart(workload: string): Promise<void> {
    await place.kubectl('rollout', 'restart', workload);
    await place.ready(workload);
  }

  test('of the callee loses no request', async () => {
    const load = await Load.start(place, { name: 'to-callee', url: 'http://callee/' });
    await restart('deployment/callee');
    await load.more(300);
    expect(await load.end()).toMatchObject({ failures: [], silent: [], pods: 1 });
  });

  test('of the caller loses no request', async () => {
    const load = await Load.start(place, { name: 'caller', url: 'http://callee/' });
    await restart('deployment/caller');
    await load.more(300);
    expect(await load.end()).toMatchObject({ failures: [], silent: [], pods: 2 });
  });

  // Its connections that idle are closed at once as well: only what may be repeated (RFC 9110 9.2.2)
  // is certain to survive that.
  test('of a callee that stops listening at SIGTERM loses no request', async () => {
    const methods = ['GET'];
    const load = await Load.start(place, { name: 'to-hasty', url: 'http://hasty/', methods });
    await restart('deployment/hasty');
    await load.more(300);
    expect(await load.end()).toMatchObject({ failures: [], silent: [], pods: 1 });
  });
});
