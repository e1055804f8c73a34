import { expect, test } from 'vitest';

import { loadText } from '#api/load.ts';
import { collectMesh, workloadsOf, type MeshResources } from '#api/mesh.ts';
import type { Snapshot } from '#api/snapshot.ts';
import { snapshotOf } from '#control/snapshot.ts';
import { Snapshots } from '#control/snapshots.ts';
import { MeshView } from '#control/view.ts';

const base = `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec:
  clusterIP: 10.0.0.7
  selector: { app: web }
  ports:
    - { name: http, port: 80, targetPort: main }
    - { name: grpc-api, port: 9000, targetPort: 9001 }
---
apiVersion: v1
kind: Service
metadata: { name: bank, namespace: money }
spec:
  clusterIP: None
  selector: { app: bank }
  ports: [{ port: 443, appProtocol: tls }]
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop, annotations: { inject: "true" } }
spec:
  template:
    metadata: { labels: { app: web } }
    spec:
      serviceAccountName: web-account
      containers: [{ ports: [{ name: main, containerPort: 8080 }] }]
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: bank, namespace: money }
spec:
  template:
    metadata: { labels: { app: bank } }
---
apiVersion: v1
kind: Pod
metadata:
  name: web-1
  namespace: shop
  labels: { app: web }
  annotations: { selvage.dev/workload: web, selvage.dev/local-ports: '{"8080":34001}' }
spec:
  serviceAccountName: web-account
  containers: [{ ports: [{ name: main, containerPort: 8080 }] }]
status: { podIP: 127.0.0.1 }
---
apiVersion: v1
kind: Pod
metadata: { name: bank-1, namespace: money, labels: { app: bank }, annotations: { selvage.dev/workload: bank } }
status: { podIP: 10.1.0.9, conditions: [{ type: Ready, status: "True" }] }
`;

function meshOf(...texts: string[]): MeshResources {
  const loaded = texts.map((text, i) => loadText(text, `${i}.yaml`));
  expect(loaded.flatMap(({ problems }) => problems.filter((p) => p.severity === 'error'))).toEqual(
    [],
  );
  return collectMesh(loaded.flatMap(({ resources }) => resources));
}

function snapshot(workload: string, ...more: string[]): Snapshot {
  const mesh = meshOf(base, ...more);
  const found = workloadsOf(mesh).find((w) => `${w.namespace}/${w.name}` === workload);
  if (found === undefined) throw new Error(`no ${workload}`);
  return snapshotOf(mesh, found);
}

function policiesOf(from: Snapshot): string[] {
  return from.policies.map(
    ({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`,
  );
}

function hostsOf(from: Snapshot): Record<string, readonly string[]> {
  return Object.fromEntries(from.services.map((s) => [`${s.namespace}/${s.name}`, s.hosts]));
}

test('a service has its ready endpoints, by workload port, local port, identity and labels', () => {
  const services = snapshot('money/bank').services;
  expect(services).toEqual([
    {
      name: 'bank',
      namespace: 'money',
      hosts: ['bank.money.svc.cluster.local', 'bank.money.svc', 'bank.money', 'bank'],
      addresses: [],
      ports: [
        {
          port: 443,
          name: '',
          protocol: 'tls',
          endpoints: [
            {
              address: '10.1.0.9',
              port: 443,
              identity: null,
              workload: 'bank',
              namespace: 'money',
              labels: { app: 'bank' },
            },
          ],
        },
      ],
    },
    {
      name: 'web',
      namespace: 'shop',
      hosts: ['web.shop.svc.cluster.local', 'web.shop.svc', 'web.shop'],
      addresses: ['10.0.0.7'],
      ports: [
        {
          port: 80,
          name: 'http',
          protocol: 'http',
          endpoints: [endpoint(34_001)],
        },
        { port: 9000, name: 'grpc-api', protocol: 'grpc', endpoints: [endpoint(9001)] },
      ],
    },
  ]);
});

function endpoint(port: number): object {
  return {
    address: '127.0.0.1',
    port,
    identity: 'spiffe://cluster.local/ns/shop/sa/web-account',
    workload: 'web',
    namespace: 'shop',
    labels: { app: 'web' },
  };
}

test('a short name means a service only to callers of its namespace', () => {
  expect(hostsOf(snapshot('shop/web'))).toMatchObject({
    'shop/web': ['web.shop.svc.cluster.local', 'web.shop.svc', 'web.shop', 'web'],
    'money/bank': ['bank.money.svc.cluster.local', 'bank.money.svc', 'bank.money'],
  });
});

test.each([
  ['not ready', 'status: { podIP: 10.9.9.9, conditions: [{ type: Ready, status: "False" }] }'],
  [
    'with other conditions only',
    'status: { podIP: 10.9.9.9, conditions: [{ type: Initialized, status: "True" }] }',
  ],
  ['finished', 'status: { podIP: 10.9.9.9, phase: Succeeded }'],
  ['without an address', 'spec: {}'],
])('a pod that is %s is no endpoint', (_, rest) => {
  const pod = `
apiVersion: v1
kind: Pod
metadata: { name: web-2, namespace: shop, labels: { app: web } }
${rest}
`;
  const ports = snapshot('shop/web', pod).services.find((s) => s.name === 'web')?.ports;
  expect(ports?.[0]?.endpoints.map(({ address }) => address)).toEqual(['127.0.0.1']);
});

test('a pod that refuses its sidecar has no identity, whatever its owner says', () => {
  const pod = `
apiVersion: v1
kind: Pod
metadata:
  name: web-2
  namespace: shop
  labels: { app: web, sidecar.istio.io/inject: "false" }
  annotations: { selvage.dev/workload: web, selvage.dev/local-ports: "{broken" }
spec: { containers: [{ ports: [{ name: main, containerPort: 8080 }] }] }
status: { podIP: 10.9.9.9 }
`;
  const ports = snapshot('shop/web', pod).services.find((s) => s.name === 'web')?.ports;
  expect(ports?.[0]?.endpoints[0]).toMatchObject({
    address: '10.9.9.9',
    port: 8080,
    identity: null,
  });
});

const policy = (kind: string, name: string, namespace: string, spec = '{}'): string => `
apiVersion: security.istio.io/v1
kind: ${kind}
metadata: { name: ${name}, namespace: ${namespace} }
spec: ${spec}
---`;

test('a workload gets the policies of its namespace and of the root that may select it, and no others', () => {
  const all = [
    policy('PeerAuthentication', 'strict', 'istio-system', '{ mtls: { mode: STRICT } }'),
    policy('AuthorizationPolicy', 'own', 'shop'),
    policy(
      'AuthorizationPolicy',
      'selected',
      'shop',
      '{ selector: { matchLabels: { app: web } } }',
    ),
    policy(
      'AuthorizationPolicy',
      'other-label',
      'shop',
      '{ selector: { matchLabels: { app: x } } }',
    ),
    policy('AuthorizationPolicy', 'other-namespace', 'money'),
    policy('AuthorizationPolicy', 'root', 'istio-system'),
    policy(
      'AuthorizationPolicy',
      'gateway',
      'shop',
      '{ targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: g }] }',
    ),
    policy(
      'RequestAuthentication',
      'jwt',
      'shop',
      '{ jwtRules: [{ issuer: i, jwks: \'{"keys":[]}\' }] }',
    ),
  ].join('');
  expect(policiesOf(snapshot('shop/web', all)).toSorted()).toEqual([
    'AuthorizationPolicy istio-system/root',
    'AuthorizationPolicy shop/own',
    'AuthorizationPolicy shop/selected',
    'PeerAuthentication istio-system/strict',
    'RequestAuthentication shop/jwt',
  ]);
  expect(policiesOf(snapshot('money/bank', all))).toEqual([
    'AuthorizationPolicy istio-system/root',
    'AuthorizationPolicy money/other-namespace',
    'PeerAuthentication istio-system/strict',
  ]);
});

const entry = (namespace: string, host: string, more = ''): string => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: entry-${namespace}, namespace: ${namespace} }
spec:
  hosts: ["${host}"]
  resolution: STATIC
  ports: [{ number: 443, name: https, protocol: HTTPS, targetPort: 8443 }]
  endpoints: [{ address: 192.0.2.1 }, { address: 192.0.2.2, ports: { https: 9443 } }]
${more}`;

test('a ServiceEntry with addresses is a service for each host', () => {
  const service = snapshot('shop/web', entry('money', 'API.example.com')).services.find(
    ({ name }) => name === 'API.example.com',
  );
  expect(service).toMatchObject({ namespace: 'money', hosts: ['api.example.com'] });
  expect(service?.ports[0]).toMatchObject({ port: 443, protocol: 'tls' });
  expect(service?.ports[0]?.endpoints.map((e) => [e.address, e.port, e.identity])).toEqual([
    ['192.0.2.1', 8443, null],
    ['192.0.2.2', 9443, null],
  ]);
});

test('an entry of another namespace does not take over the name of a Service', () => {
  for (const host of ['bank.money.svc.cluster.local', 'bank.money', 'web']) {
    const hosts = hostsOf(snapshot('shop/web', entry('evil', host)));
    expect(Object.keys(hosts)).toEqual(['money/bank', 'shop/web']);
  }
});

test('of two entries for one host, that of the caller comes first, then the older one', () => {
  const both = `${entry('evil', 'api.example.com')}---${entry('shop', 'api.example.com')}`;
  const of = (workload: string): string[] =>
    Object.keys(hostsOf(snapshot(workload, both))).filter((key) => key.includes('example'));
  expect(of('shop/web')).toEqual(['shop/api.example.com']);
  expect(of('money/bank')).toEqual(['evil/api.example.com']);
});

function seesEntryExportedTo(words: string): boolean {
  const text = entry('money', 'api.example.com', `  exportTo: [${words}]\n`);
  return 'money/api.example.com' in hostsOf(snapshot('shop/web', text));
}

test('an entry is seen only where exportTo lets it be seen', () => {
  const words = ['"."', '"*"', 'shop', '"~"', 'other'];
  expect(words.map(seesEntryExportedTo)).toEqual([false, true, true, false, false]);
});

test('a change elsewhere leaves a snapshot the same object, and its number', () => {
  const snapshots = new Snapshots();
  const publish = (...texts: string[]): void => {
    const mesh = meshOf(...texts);
    snapshots.replace(new MeshView(mesh, mesh.requestAuthentications, snapshots.view));
  };
  publish(base);
  const web = snapshots.of('shop/web');
  const bank = snapshots.of('money/bank');
  expect(web?.version).toBe(1);
  publish(
    base,
    'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p, namespace: money }\n',
  );
  expect(snapshots.of('shop/web')).toBe(web);
  expect(snapshots.of('money/bank')).toMatchObject({ version: 2 });
  expect(snapshots.of('money/bank')?.services).toBe(bank?.services);
  publish(base.replace('10.1.0.9', '10.1.0.10'));
  const moved = snapshots.of('shop/web');
  expect(moved?.version).toBe(3);
  // What did not change is shared, so that a comparison costs nothing.
  expect(moved?.services[1]).toBe(web?.services[1]);
});

test('a workload that vanished keeps its last snapshot while it is used', () => {
  const snapshots = new Snapshots();
  const mesh = meshOf(base);
  snapshots.replace(new MeshView(mesh, [], null));
  const web = snapshots.of('shop/web');
  snapshots.replace(new MeshView(collectMesh([]), [], snapshots.view));
  snapshots.prune(() => true);
  expect(snapshots.of('shop/web')).toBe(web);
  snapshots.prune(() => false);
  expect(snapshots.of('shop/web')).toBeNull();
});
