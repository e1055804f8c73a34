import { afterAll, beforeAll, expect, test } from 'vitest';

import { caller, podSpec } from './apps.ts';
import { describeInCluster, Place, until } from './cluster.ts';

const inject = { annotations: { inject: 'true' } };

/** One call, and done. */
const once = "fetch('http://set/').then((reply) => process.exit(reply.status === 200 ? 0 : 1));";

function template(name: string, spec: object = podSpec({})): object {
  return { metadata: { labels: { app: name } }, spec };
}

function selecting(name: string): object {
  return { selector: { matchLabels: { app: name } }, template: template(name) };
}

function serviceOf(name: string, over: object = {}): object {
  const ports = [{ name: 'http', port: 80, targetPort: 8080 }];
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { selector: { app: name }, ports, ...over },
  };
}

describeInCluster('workloads of every kind', () => {
  let place: Place;

  beforeAll(async () => {
    place = await Place.create('kinds');
    const jobSpec = {
      backoffLimit: 3,
      template: template('job', { ...podSpec({ script: once }), restartPolicy: 'Never' }),
    };
    await place.apply(
      {
        apiVersion: 'security.istio.io/v1',
        kind: 'PeerAuthentication',
        metadata: { name: 'strict' },
        spec: { mtls: { mode: 'STRICT' } },
      },
      serviceOf('set'),
      serviceOf('daemon'),
      serviceOf('replica'),
      serviceOf('pod'),
      // Its pods are reached by their names too: set-0.headless.
      {
        ...serviceOf('headless'),
        spec: {
          clusterIP: 'None',
          selector: { app: 'set' },
          ports: [{ name: 'http', port: 8080 }],
        },
      },
      {
        apiVersion: 'apps/v1',
        kind: 'StatefulSet',
        metadata: { name: 'set', ...inject },
        spec: { serviceName: 'headless', replicas: 1, ...selecting('set') },
      },
      {
        apiVersion: 'apps/v1',
        kind: 'DaemonSet',
        metadata: { name: 'daemon', ...inject },
        spec: selecting('daemon'),
      },
      {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        metadata: { name: 'replica', ...inject },
        spec: { replicas: 1, ...selecting('replica') },
      },
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'pod', labels: { app: 'pod' }, ...inject },
        spec: podSpec({}),
      },
      { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'job', ...inject }, spec: jobSpec },
      {
        apiVersion: 'batch/v1',
        kind: 'CronJob',
        metadata: { name: 'cron', ...inject },
        spec: { schedule: '0 0 1 1 *', jobTemplate: { spec: jobSpec } },
      },
      ...caller({ name: 'client' }),
    );
    await place.ready('statefulset/set', 'daemonset/daemon', 'deployment/client');
    await place.kubectl('wait', '--for=condition=Ready', 'pod', '-l', 'app in (replica,pod)');
  });
  afterAll(() => place.remove());

  test.each(['set', 'daemon', 'replica', 'pod'])('%s is called by mutual TLS', async (name) => {
    const pods = await place.kubectl('get', 'pods', '-l', `app=${name}`, '-o', initNames);
    expect(pods).toBe('selvage-init selvage-proxy');
    const script = `fetch('http://${name}/').then((reply) => reply.text()).then(console.log)`;
    const reply = await place.exec('deployment/client', 'node', '-e', script);
    expect(JSON.parse(reply)).toMatchObject({
      headers: {
        'x-forwarded-client-cert': expect.stringContaining(
          `URI=spiffe://cluster.local/ns/${place.namespace}/sa/client`,
        ) as string,
      },
    });
  });

  test('a pod of a StatefulSet is reached by its own name, under STRICT', async () => {
    expect(await place.call('deployment/client', 'http://set-0.headless:8080/')).toBe(200);
  });

  test('a Job with a sidecar completes', async () => {
    const said = await place.kubectl(
      'wait',
      '--for=condition=Complete',
      'job/job',
      '--timeout=60s',
    );
    expect(said).toContain('condition met');
  });

  test('so does that of a CronJob', async () => {
    await place.kubectl('create', 'job', 'by-hand', '--from=cronjob/cron');
    await place.kubectl('wait', '--for=condition=Complete', 'job/by-hand', '--timeout=60s');
    const pods = await place.kubectl('get', 'pods', '-l', 'job-name=by-hand', '-o', initNames);
    expect(pods).toContain('selvage-proxy');
  });

  test('the manifest that was applied shows no drift', async () => {
    const manifest = {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'set', ...inject },
      spec: { serviceName: 'headless', replicas: 1, ...selecting('set') },
    };
    const before = await place.kubectl('get', 'statefulset/set', '-o', 'jsonpath={.spec}');
    await place.apply(manifest);
    const after = await until(
      'the answer',
      () => place.kubectl('get', 'statefulset/set', '-o', 'jsonpath={.spec}'),
      (text) => text !== '',
    );
    expect(after).toBe(before);
  });
});

const initNames = 'jsonpath={.items[0].spec.initContainers[*].name}';
