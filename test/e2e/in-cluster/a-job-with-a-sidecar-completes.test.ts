import { afterAll, beforeAll, expect, test } from 'vitest';

import { podSpec, service } from './apps.ts';
import { describeInCluster, Place } from './cluster.ts';

describeInCluster('a Job', () => {
  let place: Place;

  beforeAll(async () => {
    place = await Place.create('job');
    await place.apply(...service({ name: 'callee' }));
    await place.ready('deployment/callee');
  });
  afterAll(() => place.remove());

  test('with a sidecar calls from its first moment, and completes when its work is done', async () => {
    const script = `fetch('http://callee/').then((reply) => process.exit(reply.status === 200 ? 0 : 1))`;
    await place.apply({
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'once', annotations: { inject: 'true' } },
      spec: {
        backoffLimit: 0,
        template: { spec: { ...podSpec({ script }), restartPolicy: 'Never' } },
      },
    });
    await place.kubectl('wait', '--for=condition=Complete', 'job/once', '--timeout=90s');
    const sidecars = await place.kubectl(
      'get',
      'pods',
      '--selector=job-name=once',
      '--output=jsonpath={.items[*].spec.initContainers[*].name}',
    );
    expect(sidecars).toContain('selvage-proxy');
  });
});
