import { expect, test } from 'vitest';

import type { AnyResource } from '#api/load.ts';
import { collectMesh } from '#api/mesh.ts';
import { clusterOrigin } from '#api/origin.ts';
import { readResource } from '#api/read-resource.ts';
import { Snapshots } from '#control/snapshots.ts';
import { MeshView } from '#control/view.ts';

interface Described {
  readonly name: string;
  readonly labels?: Record<string, string>;
  readonly account?: string;
  readonly workload?: string;
  readonly proxy?: boolean;
}

function pod(described: Described): object {
  const { name, labels = { app: 'web' }, account = 'web', workload = 'web' } = described;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'shop',
      labels,
      annotations: { 'selvage.dev/workload': workload },
    },
    spec: {
      serviceAccountName: account,
      initContainers: described.proxy === false ? [] : [{ name: 'selvage-proxy' }],
      containers: [{ name: 'app', ports: [{ name: 'main', containerPort: 8080 }] }],
    },
  };
}

const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'shop' },
  spec: { selector: { app: 'web' }, ports: [{ name: 'grpc', port: 80, targetPort: 'main' }] },
};

function policy(name: string, matchLabels: object): object {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name, namespace: 'shop' },
    spec: { selector: { matchLabels } },
  };
}

/** As a cluster gives them. */
function resource(value: object): AnyResource {
  const written = value as { kind: string; metadata: { name: string; namespace: string } };
  const read = readResource({ value, origin: clusterOrigin(written) });
  if (read.resource === null) throw new Error(JSON.stringify(read.problems));
  return read.resource;
}

function publish(snapshots: Snapshots, ...resources: readonly AnyResource[]): void {
  snapshots.replace(new MeshView(collectMesh(resources), [], snapshots.view));
}

const asks = (name: string, workload = 'web') => ({ namespace: 'shop', workload, pod: name });

test('in a canary rollout each sidecar has the policies of its own labels, and those alike share a snapshot', () => {
  const snapshots = new Snapshots();
  publish(
    snapshots,
    ...[
      pod({ name: 'web-1', labels: { app: 'web', version: 'v1' } }),
      pod({ name: 'web-2', labels: { version: 'v1', app: 'web' } }),
      pod({ name: 'web-3', labels: { app: 'web', version: 'v2' }, account: 'canary' }),
      policy('first', { version: 'v1' }),
      policy('second', { version: 'v2' }),
      service,
    ].map(resource),
  );
  const [one, two, three] = ['web-1', 'web-2', 'web-3'].map((name) => snapshots.for(asks(name)));
  const named = (of: typeof one): string[] | undefined =>
    of?.policies.map(({ metadata }) => metadata.name);
  expect(named(one)).toEqual(['first']);
  expect(two).toBe(one);
  expect(named(three)).toEqual(['second']);
  expect(one?.workload).toMatchObject({ name: 'web', serviceAccount: 'web' });
  expect(three?.workload).toMatchObject({ name: 'web', serviceAccount: 'canary' });
  expect(one?.workload.ports).toMatchObject([{ port: 8080, name: 'grpc', protocol: 'grpc' }]);
  expect(one?.policies[0]?.origin?.file).toBe('AuthorizationPolicy shop/first');
});

test('a pod that was never seen gets nothing, nor one without a sidecar, nor one of another workload', () => {
  const snapshots = new Snapshots();
  const pods = [pod({ name: 'web-1' }), pod({ name: 'plain', proxy: false })].map(resource);
  publish(snapshots, ...pods);
  expect(snapshots.for(asks('web-1'))).not.toBeNull();
  expect(snapshots.for(asks('web-2'))).toBeNull();
  expect(snapshots.for(asks('plain'))).toBeNull();
  expect(snapshots.for(asks('web-1', 'payments'))).toBeNull();
});

test('a pod whose labels change moves to their snapshot; a pod elsewhere changes nothing', () => {
  const snapshots = new Snapshots();
  const web = resource(pod({ name: 'web-1' }));
  const rule = resource(policy('odd', { odd: 'yes' }));
  publish(snapshots, web, rule, resource(service));
  const before = snapshots.for(asks('web-1'));
  publish(snapshots, web, rule, resource(service), resource(pod({ name: 'job', workload: 'job' })));
  expect(snapshots.for(asks('web-1'))).toBe(before);
  publish(snapshots, resource(pod({ name: 'web-1', labels: { odd: 'yes' } })), rule);
  const after = snapshots.for(asks('web-1'));
  expect(before?.policies).toHaveLength(0);
  expect(after?.policies).toHaveLength(1);
});

test('a ServiceEntry that selects pods tells their sidecars what their ports speak', () => {
  const snapshots = new Snapshots();
  const web = resource(pod({ name: 'web-1' }));
  const entry = (protocol: string, labels: object = { app: 'web' }) =>
    resource({
      apiVersion: 'networking.istio.io/v1',
      kind: 'ServiceEntry',
      metadata: { name: 'web', namespace: 'shop' },
      spec: {
        hosts: ['web.example'],
        location: 'MESH_INTERNAL',
        resolution: 'STATIC',
        ports: [{ number: 80, targetPort: 8080, name: 'main', protocol }],
        workloadSelector: { labels },
      },
    });
  const told = (...resources: AnyResource[]): unknown => {
    publish(snapshots, web, ...resources);
    return snapshots.for(asks('web-1'))?.workload.ports;
  };
  expect(told(entry('HTTP'))).toMatchObject([{ port: 8080, name: 'main', protocol: 'http' }]);
  expect(told(entry('GRPC'))).toMatchObject([{ protocol: 'grpc' }]);
  expect(told(entry('HTTP', { app: 'other' }))).toMatchObject([{ protocol: 'detect' }]);
  expect(told(resource(service), entry('HTTP'))).toMatchObject([{ protocol: 'grpc' }]);
  expect(told()).toMatchObject([{ protocol: 'detect' }]);
});
