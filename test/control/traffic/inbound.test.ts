import { expect, test } from 'vitest';

import { workloadsOf } from '#api/mesh.ts';
import type { Snapshot } from '#api/snapshot.ts';
import { snapshotOf } from '#control/snapshot.ts';

import { document, meshOf, rule } from './meshes.ts';

const pod = `apiVersion: v1
kind: Pod
metadata: { name: web, namespace: shop, labels: { app: web } }
spec: { containers: [{ name: web, ports: [{ containerPort: 80 }, { containerPort: 9000 }] }] }`;

function snapshot(...documents: readonly string[]): Snapshot {
  const mesh = meshOf(pod, ...documents);
  const [web] = workloadsOf(mesh);
  if (web === undefined) throw new Error('no workload');
  return snapshotOf(mesh, web);
}

function inbound(...documents: readonly string[]): Snapshot['inbound'] {
  return snapshot(...documents).inbound;
}

function sidecar(spec: string): string {
  return document('Sidecar', 'shop/own', spec);
}

const ruled = rule(
  'shop/web',
  `{ host: web, trafficPolicy: { connectionPool: { tcp: { maxConnections: 5 } },
     portLevelSettings: [{ port: { number: 90 }, connectionPool: { http: { http2MaxRequests: 3 } } }] } }`,
);

test('where nobody says anything there is nothing', () => {
  expect(inbound()).toBeUndefined();
  expect(inbound(sidecar('{ egress: [{ hosts: ["./*"] }] }'))).toBeUndefined();
  expect(inbound(rule('shop/web', '{ host: web, trafficPolicy: { outlierDetection: {} } }'))).toBe(
    undefined,
  );
});

test('limits of a DestinationRule hold at the callee too, port by port', () => {
  const sources = ['DestinationRule shop/web'];
  expect(inbound(ruled)).toEqual([
    { port: 80, sources, pool: { maxConnections: 5 } },
    { port: 90, sources, pool: { maxRequests: 3 } },
  ]);
});

test('a rule for some callers, or one that the callee does not see, says nothing of the callee', () => {
  const some =
    '{ host: web, workloadSelector: { matchLabels: { app: web } }, trafficPolicy: { connectionPool: { tcp: { maxConnections: 5 } } } }';
  expect(inbound(rule('shop/web', some))).toBeUndefined();
  const far =
    '{ host: web.shop.svc.cluster.local, exportTo: ["."], trafficPolicy: { connectionPool: { tcp: { maxConnections: 5 } } } }';
  expect(inbound(rule('money/web', far))).toBeUndefined();
});

test("a Sidecar's limits take the place of rules, and a listener's those of its Sidecar", () => {
  const all = sidecar(`{ inboundConnectionPool: { tcp: { maxConnections: 7 } },
    ingress: [{ port: { number: 90, protocol: GRPC, name: grpc }, connectionPool: { http: { http2MaxRequests: 9 } } }] }`);
  const sources = ['Sidecar shop/own'];
  expect(inbound(ruled, all)).toEqual([
    { port: 90, sources, pool: { maxRequests: 9 } },
    { port: 0, sources, pool: { maxConnections: 7 } },
  ]);
});

test.each([
  ['127.0.0.1:8080', { host: '127.0.0.1', port: 8080 }],
  [':8080', { host: '127.0.0.1', port: 8080 }],
  ['0.0.0.0:8080', { host: '', port: 8080 }],
  ['"[::1]:8080"', { host: '::1', port: 8080 }],
  ['"[::]:8080"', { host: '', port: 8080 }],
  ['unix:///run/app.sock', { path: '/run/app.sock' }],
  ['unix://@app', { path: '@app' }],
])('the endpoint %s', (endpoint, application) => {
  const listener = `{ port: { number: 9080, protocol: HTTP, name: http }, defaultEndpoint: ${endpoint} }`;
  expect(inbound(sidecar(`{ ingress: [${listener}] }`))).toEqual([
    { port: 9080, sources: ['Sidecar shop/own'], application },
  ]);
});

test('what a listener says that its port speaks counts before what a Service says', () => {
  const { workload } = snapshot(
    sidecar('{ ingress: [{ port: { number: 80, protocol: TCP, name: bytes } }] }'),
  );
  expect(workload.ports.map(({ port, protocol }) => [port, protocol])).toEqual([
    [80, 'tcp'],
    [90, 'grpc'],
    [9000, 'detect'],
  ]);
});
