import { expect, test } from 'vitest';

import { isInjected } from '#api/injection.ts';
import { meshConfig } from '#api/kinds/mesh-config.ts';
import { loadText } from '#api/load.ts';
import { collectMesh, defaultMeshConfig, workloadsOf } from '#api/mesh.ts';
import { protocolOf } from '#api/port-protocol.ts';

function meshOf(text: string): ReturnType<typeof collectMesh> {
  const { resources, problems } = loadText(text, 'f');
  expect(problems).toEqual([]);
  return collectMesh(resources);
}

test('the default configuration is what the kind fills in', () => {
  expect(defaultMeshConfig).toEqual(meshConfig.parse({}));
  expect(collectMesh([]).meshConfig).toEqual(defaultMeshConfig);
});

const shop = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop, annotations: {inject: "true"}, labels: {app: not-of-the-pod}}
spec:
  selector: {matchLabels: {app: db}}
  serviceName: db
  template:
    metadata: {labels: {app: db}}
    spec:
      serviceAccountName: db-sa
      containers:
      - name: db
        image: db:1
        ports:
        - {name: client, containerPort: 5432}
        - {containerPort: 9100}
        - {containerPort: 53, protocol: UDP}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec:
  selector: {app: db}
  ports:
  - {name: tcp-sql, port: 5432, targetPort: client}
  - {name: http-admin, port: 80, targetPort: 8080}
---
apiVersion: v1
kind: Pod
metadata: {name: lone, namespace: shop, labels: {app: lone}}
spec: {containers: [{name: a}]}
status: {phase: Running, podIP: 10.0.0.1, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db-0, namespace: shop, labels: {app: db}, annotations: {selvage.dev/workload: db}}
spec: {containers: []}
`;

test('a workload has the labels, account and ports of its pods, with the protocols of its Services', () => {
  const [db, lone, ...rest] = workloadsOf(meshOf(shop));
  expect(rest).toEqual([]);
  expect(db).toMatchObject({
    kind: 'StatefulSet',
    namespace: 'shop',
    name: 'db',
    labels: { app: 'db' },
    serviceAccount: 'db-sa',
    injected: true,
    ports: [
      { port: 5432, name: 'tcp-sql', protocol: 'tcp' },
      { port: 8080, name: 'http-admin', protocol: 'http' },
      { port: 9100, name: '', protocol: 'detect' },
    ],
  });
  expect(lone).toMatchObject({
    kind: 'Pod',
    name: 'lone',
    serviceAccount: 'default',
    injected: false,
  });
});

test('a Service of another namespace, or without a selector, gives a workload no ports', () => {
  const other = shop.replace(
    'kind: Service\nmetadata: {name: db, namespace: shop}',
    'kind: Service\nmetadata: {name: db, namespace: other}',
  );
  expect(workloadsOf(meshOf(other))[0]?.ports.map(({ port }) => port)).toEqual([5432, 9100]);
  const none = shop.replace('  selector: {app: db}\n', '');
  expect(workloadsOf(meshOf(none))[0]?.ports.map(({ protocol }) => protocol)).toEqual([
    'detect',
    'detect',
  ]);
});

const entry = (name: string, more: string): string => `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: shop}
spec: {hosts: [${name}.example], location: MESH_INTERNAL, resolution: STATIC, ${more}}
`;

test('a ServiceEntry that selects a workload declares its ports too, where no Service does', () => {
  const entries = [
    entry(
      'first',
      `workloadSelector: {labels: {app: db}}, ports: [
        {number: 80, targetPort: 9100, name: web, protocol: HTTP},
        {number: 8080, name: other, protocol: TCP}]`,
    ),
    entry(
      'second',
      `workloadSelector: {labels: {app: db}}, ports: [
        {number: 9100, name: late, protocol: TCP}, {number: 9200, name: rpc, protocol: GRPC}]`,
    ),
    entry(
      'elsewhere',
      `workloadSelector: {labels: {app: lone}}, ports: [{number: 9300, name: odd, protocol: HTTP}]`,
    ),
    entry(
      'all',
      `workloadSelector: {labels: {}}, ports: [{number: 9400, name: odd, protocol: HTTP}]`,
    ),
    entry('outside', 'ports: [{number: 9500, name: odd, protocol: HTTP}]'),
  ];
  const { resources } = loadText(shop + entries.join(''), 'f');
  const [db, lone] = workloadsOf(collectMesh(resources));
  expect(db?.ports).toMatchObject([
    { port: 5432, name: 'tcp-sql', protocol: 'tcp' },
    { port: 8080, name: 'http-admin', protocol: 'http' },
    { port: 9100, name: 'web', protocol: 'http' },
    { port: 9200, name: 'rpc', protocol: 'grpc' },
  ]);
  expect(lone?.ports.map(({ port }) => port)).toEqual([9300]);
  const foreign = entries[0]?.replace('namespace: shop', 'namespace: other');
  expect(workloadsOf(meshOf(`${shop}${foreign}`))[0]?.ports[2]).toEqual({
    port: 9100,
    name: '',
    protocol: 'detect',
  });
});

test('fields of pods that are not known here are kept', () => {
  const [db] = workloadsOf(meshOf(shop));
  expect(db?.containers[0]).toMatchObject({ image: 'db:1', command: [], env: [] });
});

const policy = (name: string, created: string, path: string): string => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${name}, namespace: foo${created === '' ? '' : `, creationTimestamp: "${created}"`}}
spec: {rules: [{to: [{operation: {paths: ["${path}"]}}]}]}
`;

test('a later resource of one name takes the place of the earlier', () => {
  const text = [policy('a', '', '/1'), policy('b', '', '/2'), policy('a', '', '/3')].join('---');
  const mesh = meshOf(text);
  expect(mesh.authorizationPolicies.map(({ metadata }) => metadata.name)).toEqual(['a', 'b']);
  expect(JSON.stringify(mesh.authorizationPolicies[0]?.spec)).toContain('/3');
  expect(mesh.replaced).toHaveLength(1);
});

test('policies with an age are sorted by it, oldest first', () => {
  const text = [
    policy('new', '2026-02-02T00:00:00Z', '/1'),
    policy('old', '2025-01-01T00:00:00Z', '/2'),
  ].join('---');
  expect(meshOf(text).authorizationPolicies.map(({ metadata }) => metadata.name)).toEqual([
    'old',
    'new',
  ]);
});

test.each([
  [{ name: 'http', port: 1 }, 'http'],
  [{ name: 'HTTP-web', port: 1 }, 'http'],
  [{ name: 'http2-x', port: 1 }, 'http2'],
  [{ name: 'grpc', port: 1 }, 'grpc'],
  [{ name: 'grpc-web-x', port: 1 }, 'http'],
  [{ name: 'https-x', port: 1 }, 'tls'],
  [{ name: 'tls', port: 1 }, 'tls'],
  [{ name: 'mysql', port: 1 }, 'tcp'],
  [{ name: 'httpx', port: 1 }, 'detect'],
  [{ name: '', port: 3306 }, 'tcp'],
  [{ name: '', port: 80 }, 'detect'],
  [{ name: 'tcp', port: 1, appProtocol: 'http' }, 'http'],
  [{ name: '', port: 1, appProtocol: 'kubernetes.io/h2c' }, 'http2'],
  [{ name: '', port: 1, appProtocol: 'kubernetes.io/wss' }, 'tls'],
] as const)('the port %j speaks %s', (port, protocol) => {
  expect(protocolOf(port)).toBe(protocol);
});

test('"true" anywhere asks for a sidecar, "false" anywhere refuses it', () => {
  expect(isInjected({ annotations: { inject: 'true' } })).toBe(true);
  expect(isInjected({}, { labels: { 'sidecar.istio.io/inject': 'true' } })).toBe(true);
  expect(isInjected({ annotations: { inject: 'true' } }, { labels: { inject: 'false' } })).toBe(
    false,
  );
  expect(isInjected({ annotations: { inject: 'yes' } })).toBe(false);
  expect(isInjected()).toBe(false);
});
