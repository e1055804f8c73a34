import { expect, test } from 'vitest';

import { loadText } from '#api/load.ts';
import { collectMesh } from '#api/mesh.ts';
import type { Service } from '#api/snapshot.ts';
import { snapshotOf } from '#control/snapshot.ts';

const caller = { namespace: 'shop', name: 'c', labels: {}, serviceAccount: 'default', ports: [] };

function services(text: string): readonly Service[] {
  const { resources, problems } = loadText(text, 'f.yaml');
  expect(problems.filter(({ severity }) => severity === 'error')).toEqual([]);
  return snapshotOf(collectMesh(resources), caller).services;
}

function entry(spec: string, namespace = 'shop'): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: entry, namespace: ${namespace} }
spec: ${spec}
---
`;
}

function outside(name: string, spec: string): string {
  return `apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: ${name}, namespace: shop }
spec: ${spec}
---
`;
}

const pod = `apiVersion: v1
kind: Pod
metadata: { name: old-1, namespace: shop, labels: { app: old, topology.kubernetes.io/zone: z1, topology.kubernetes.io/region: r1 }, annotations: { inject: "true" } }
spec: { serviceAccountName: old }
status: { podIP: 10.1.0.1 }
---
`;

const ports = 'ports: [{ number: 443, name: https, protocol: HTTPS }]';

test('NONE: the address that was called, be it of a block', () => {
  const [service] = services(
    entry(`{ hosts: [a.example], addresses: [192.0.2.0/24], resolution: NONE, ${ports} }`),
  );
  expect(service).toMatchObject({
    resolution: 'none',
    addresses: ['192.0.2.0/24'],
    ports: [{ port: 443, protocol: 'tls', endpoints: [] }],
  });
});

test('NONE is what is not said', () => {
  expect(services(entry(`{ hosts: [a.example], ${ports} }`))[0]?.resolution).toBe('none');
});

test('STATIC: endpoints with weights and localities; a service without resolution', () => {
  const [service] = services(
    entry(`{ hosts: [a.example], resolution: STATIC, ${ports}, endpoints: [
      { address: 192.0.2.1, weight: 3, locality: r1/z1 }, { address: 192.0.2.2, weight: 0 }] }`),
  );
  expect(service !== undefined && 'resolution' in service).toBe(false);
  const common = { port: 443, identity: null, workload: 'entry', namespace: 'shop', labels: {} };
  expect(service?.ports[0]?.endpoints).toEqual([
    { ...common, address: '192.0.2.1', weight: 3, locality: 'r1/z1' },
    { ...common, address: '192.0.2.2' },
  ]);
});

test('DNS: the host itself is looked up, or the names of endpoints', () => {
  const [plain] = services(entry(`{ hosts: [A.example], resolution: DNS, ${ports} }`));
  expect(plain?.resolution).toBe('dns');
  expect(plain?.ports[0]?.endpoints).toMatchObject([{ address: 'a.example', port: 443 }]);
  const [named] = services(
    entry(`{ hosts: ["*.example"], resolution: DNS_ROUND_ROBIN, ${ports},
      endpoints: [{ address: proxy.example, ports: { https: 8443 } }] }`),
  );
  expect(named?.resolution).toBe('dns-round-robin');
  expect(named?.ports[0]?.endpoints).toMatchObject([{ address: 'proxy.example', port: 8443 }]);
});

test('DYNAMIC_DNS: a wildcard, and no endpoints', () => {
  const [service] = services(
    entry(`{ hosts: ["*.example.com"], resolution: DYNAMIC_DNS, ${ports} }`),
  );
  expect(service).toMatchObject({ resolution: 'dynamic-dns', hosts: ['*.example.com'] });
  expect(service?.ports[0]?.endpoints).toEqual([]);
});

test('a workloadSelector selects pods and workloads outside, with what they are', () => {
  const text =
    pod +
    outside(
      'vm',
      '{ address: 192.0.2.9, labels: { app: old }, serviceAccount: vm, locality: r2 }',
    ) +
    outside('else', '{ address: 192.0.2.8, labels: { app: new } }') +
    entry(`{ hosts: [old.example], location: MESH_INTERNAL, resolution: STATIC,
      ports: [{ number: 80, name: http, protocol: HTTP, targetPort: 8080 }],
      workloadSelector: { labels: { app: old } } }`);
  const endpoints = services(text)[0]?.ports[0]?.endpoints;
  expect(endpoints).toMatchObject([
    {
      address: '10.1.0.1',
      port: 8080,
      identity: 'spiffe://cluster.local/ns/shop/sa/old',
      locality: 'r1/z1',
    },
    {
      address: '192.0.2.9',
      port: 8080,
      identity: 'spiffe://cluster.local/ns/shop/sa/vm',
      workload: 'vm',
      locality: 'r2',
    },
  ]);
});

const identityOf = (location: string, more: string): string | null | undefined =>
  services(
    entry(`{ hosts: [a.example], location: ${location}, resolution: STATIC, ${ports},
      endpoints: [{ address: 192.0.2.1, ${more} }] }`),
  )[0]?.ports[0]?.endpoints[0]?.identity;

test('only inside of the mesh is there mutual TLS, with an account and no label against it', () => {
  const account = 'serviceAccount: a';
  const known = 'spiffe://cluster.local/ns/shop/sa/a';
  expect(identityOf('MESH_INTERNAL', account)).toBe(known);
  expect(identityOf('MESH_INTERNAL', 'labels: { security.istio.io/tlsMode: istio }')).toBeNull();
  const off = 'labels: { security.istio.io/tlsMode: disabled }';
  expect(identityOf('MESH_INTERNAL', `${account}, ${off}`)).toBeNull();
  expect(identityOf('MESH_EXTERNAL', account)).toBeNull();
});

test('pods that an entry outside of the mesh selects get no mutual TLS', () => {
  const text =
    pod +
    entry(`{ hosts: [old.example], resolution: STATIC, ${ports},
      workloadSelector: { labels: { app: old } } }`);
  expect(services(text)[0]?.ports[0]?.endpoints).toMatchObject([{ identity: null }]);
});

test('a Service selects workloads outside of the cluster beside its pods', () => {
  const text =
    pod +
    outside('vm', '{ address: 192.0.2.9, labels: { app: old }, ports: { http: 7000 } }') +
    outside('bare', '{ address: 192.0.2.10, labels: { app: old } }') +
    `apiVersion: v1
kind: Service
metadata: { name: old, namespace: shop }
spec: { selector: { app: old }, ports: [{ name: http, port: 80, targetPort: 8080 }] }`;
  const [service] = services(text);
  expect(service?.ports[0]?.endpoints.map(({ address, port }) => `${address}:${port}`)).toEqual([
    '10.1.0.1:8080',
    '192.0.2.10:8080',
    '192.0.2.9:7000',
  ]);
});

test('names of certificates are handed on, and the mesh may hide entries that say nothing', () => {
  const [service] = services(
    entry(`{ hosts: [a.example], ${ports}, subjectAltNames: [spiffe://x] }`),
  );
  expect(service?.subjectAltNames).toEqual(['spiffe://x']);
  const config = 'kind: MeshConfig\nspec: { defaultServiceExportTo: ["."] }\n---\n';
  const other = entry(`{ hosts: [a.example], ${ports} }`, 'other');
  expect(services(other)).toHaveLength(1);
  expect(services(config + other)).toHaveLength(0);
});
