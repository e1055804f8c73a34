import { afterAll, beforeAll, expect, test } from 'vitest';

import { caller, podSpec, service } from './apps.ts';
import {
  apply,
  describeInCluster,
  killSidecar,
  kubectl,
  Place,
  sidecarRestarts,
  until,
} from './cluster.ts';
import { Load } from './load.ts';

const inject = { annotations: { inject: 'true' } };
const parts = ['ca', 'control', 'injector'].map((part) => `deployment/selvage-${part}`);

async function scale(replicas: number): Promise<void> {
  await kubectl('-n', 'selvage-system', 'scale', ...parts, `--replicas=${replicas}`);
}

describeInCluster('without CA, control and injector', () => {
  let place: Place;

  beforeAll(async () => {
    place = await Place.create('alone');
    await place.apply(
      ...service({ name: 'callee', replicas: 2 }),
      ...service({ name: 'other', sharesProcesses: true }),
      ...caller({ name: 'web' }),
    );
    await place.ready(...['callee', 'other', 'web'].map((name) => `deployment/${name}`));
  });
  afterAll(async () => {
    await scale(2);
    for (const part of parts) {
      await kubectl('-n', 'selvage-system', 'rollout', 'status', part, '--timeout=120s');
    }
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

  test('pods serve on, and a killed sidecar comes back as it was', async () => {
    const load = await Load.start(place, { url: 'http://callee/' });
    await scale(0);
    await until(
      'the end of all three',
      () => kubectl('-n', 'selvage-system', 'get', 'pods', '-o', 'name'),
      (pods) => !/selvage-(ca|control|injector)/.test(pods),
    );
    await load.more(500);
    // Of another callee: what its own callers lose by a kill is not what is counted here.
    const pod = await place.podOf('other');
    const before = await sidecarRestarts(place, pod);
    await killSidecar(place, pod);
    await until(
      'the sidecar to be restarted',
      () => sidecarRestarts(place, pod),
      (restarts) => restarts > before,
    );
    await until(
      'a call to the restarted sidecar',
      () => place.call('deployment/web', 'http://other/'),
      (status) => status === 200,
      20_000,
    );
    await load.more(300);
    expect(await load.end()).toMatchObject({ failures: [], silent: [], pods: 1 });
  });
});
