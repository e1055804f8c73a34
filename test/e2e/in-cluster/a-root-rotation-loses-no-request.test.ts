import { afterAll, beforeAll, expect, test } from 'vitest';

import { service } from './apps.ts';
import { describeInCluster, kubectl, Place, until } from './cluster.ts';
import { Load } from './load.ts';

const system = ['-n', 'selvage-system'] as const;

/** One request to the admin port of whichever replica leads; the others say whom to ask. */
async function rotate(step: string): Promise<void> {
  const script = `fetch('http://127.0.0.1:15014/rotate?step=${step}', { method: 'POST' })
    .then(async (reply) => { console.log(await reply.text()); process.exit(reply.ok ? 0 : 1); })`;
  await kubectl(...system, 'exec', 'deployment/selvage-ca', '--', 'node', '-e', script);
}

function certificatesIn(pem: string): number {
  return pem.split('-----BEGIN CERTIFICATE-----').length - 1;
}

describeInCluster('a rotation of the root', () => {
  let place: Place;

  beforeAll(async () => {
    place = await Place.create('rotation');
    await place.apply(...service({ name: 'callee', replicas: 2 }), {
      apiVersion: 'security.istio.io/v1',
      kind: 'PeerAuthentication',
      metadata: { name: 'strict' },
      spec: { mtls: { mode: 'STRICT' } },
    });
    await place.ready('deployment/callee');
  });
  afterAll(() => place.remove());

  function bundle(): Promise<string> {
    const path = 'jsonpath={.data.root-cert\\.pem}';
    return place.kubectl('get', 'configmap', 'selvage-ca-root-cert', '-o', path);
  }

  async function restart(name: string): Promise<void> {
    await place.kubectl('rollout', 'restart', `deployment/${name}`);
    await place.ready(`deployment/${name}`);
  }

  test('loses no request: published, signing, every certificate replaced, the old one dropped', async () => {
    const load = await Load.start(place, { url: 'http://callee/' });
    const before = certificatesIn(await bundle());
    await rotate('publish');
    await until('the new root in the bundle', bundle, (pem) => certificatesIn(pem) > before);
    await load.more(300);
    await rotate('switch');
    await load.more(300);
    // New pods have certificates of the new root; those that run still have the old one's.
    await restart('callee');
    await load.more(300);
    await restart(load.name);
    await load.more(300);
    // The mesh's own certificates too, before the old root is trusted no longer.
    for (const part of ['ca', 'control', 'injector']) {
      await kubectl(...system, 'rollout', 'restart', `deployment/selvage-${part}`);
    }
    for (const part of ['ca', 'control', 'injector']) {
      await kubectl(...system, 'rollout', 'status', `deployment/selvage-${part}`, '--timeout=120s');
    }
    await load.more(300);
    const both = certificatesIn(await bundle());
    await rotate('drop&force=true');
    await until('the old root to be gone', bundle, (pem) => certificatesIn(pem) < both);
    await restart('callee');
    await load.more(300);
    expect(await load.end()).toMatchObject({ failures: [], silent: [], pods: 2 });
  });
});
