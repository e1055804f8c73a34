import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { loadText, type AnyResource } from '#api/load.ts';
import { collectMesh } from '#api/mesh.ts';
import { clusterOrigin } from '#api/origin.ts';
import { readResource } from '#api/read-resource.ts';
import { Catalog } from '#control/catalog.ts';
import { MeshView } from '#control/view.ts';

const namespaces = ['a', 'b'] as const;
const namespace = fc.constantFrom(...namespaces);
const name = fc.constantFrom('one', 'two', 'three');

const plain = fc
  .record({ namespace, name, port: fc.constantFrom(80, 81), headless: fc.boolean() })
  .map((one) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: one.name, namespace: one.namespace },
    spec: {
      ...(one.headless ? { clusterIP: 'None' } : {}),
      selector: { app: one.name },
      ports: [{ name: 'http', port: one.port }],
    },
  }));
const alias = fc.record({ namespace, name, meant: name, its: namespace }).map((one) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: one.name, namespace: one.namespace },
  spec: {
    type: 'ExternalName',
    externalName: `${one.meant}.${one.its}.svc.cluster.local`,
  },
}));
const slice = fc
  .record({ namespace, name, addresses: fc.uniqueArray(fc.constantFrom('10.0.0.1', '10.0.0.2')) })
  .map((one) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${one.name}-x`,
      namespace: one.namespace,
      labels: { 'kubernetes.io/service-name': one.name },
    },
    ports: [{ name: 'http', port: 8080 }],
    endpoints: one.addresses.map((address) => ({ addresses: [address] })),
  }));
const entry = fc
  .record({
    namespace,
    host: fc.constantFrom('x.example', 'one.a'),
    exportTo: fc.subarray(['.', 'a', 'b']),
    where: fc.constantFrom<Readonly<Record<string, unknown>>>(
      { resolution: 'STATIC', endpoints: [{ address: '192.0.2.1' }] },
      { resolution: 'STATIC', workloadSelector: { labels: { app: 'one' } } },
      { resolution: 'DNS' },
      { resolution: 'NONE', addresses: ['192.0.2.0/24'] },
    ),
  })
  .map((one) => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name: one.host, namespace: one.namespace },
    spec: {
      hosts: [one.host],
      ports: [{ number: 443, name: 'https', protocol: 'TLS' }],
      ...one.where,
      exportTo: one.exportTo.filter((word) => word !== one.namespace),
    },
  }));
const outside = fc
  .record({ namespace, app: name, address: fc.constantFrom('192.0.2.7', '192.0.2.8') })
  .map((one) => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'WorkloadEntry',
    metadata: { name: `vm-${one.app}`, namespace: one.namespace },
    spec: { address: one.address, labels: { app: one.app }, serviceAccount: 'vm' },
  }));
/** Several states of one mesh, one after the other; most of a state is what it was before. */
const states = fc.array(
  fc.record({
    objects: fc.array(fc.oneof(plain, alias, slice, entry, outside), { maxLength: 8 }),
    asked: fc.subarray([...namespaces]),
  }),
  { minLength: 2, maxLength: 5 },
);

function read(value: Readonly<Record<string, unknown>>): AnyResource {
  const { resource, problems } = readResource({ value });
  if (resource === null) throw new Error(JSON.stringify(problems));
  return resource;
}

function service(its: string): AnyResource {
  return read({
    kind: 'Service',
    apiVersion: 'v1',
    metadata: { name: its, namespace: 'a' },
    spec: { selector: { app: its }, ports: [{ name: 'http', port: 80 }] },
  });
}

function behind(its: string, address: string): AnyResource {
  return read({
    kind: 'EndpointSlice',
    apiVersion: 'discovery.k8s.io/v1',
    metadata: { name: `${its}-x`, namespace: 'a', labels: { 'kubernetes.io/service-name': its } },
    ports: [{ name: 'http', port: 8080 }],
    endpoints: [{ addresses: [address] }],
  });
}

function addresses(of: readonly AnyResource[]): string[] {
  return new MeshView(collectMesh(of), [], null)
    .services('a')
    .map(({ ports }) => ports[0]?.endpoints.map(({ address }) => address).join() ?? '');
}

test('a catalog that takes over what it can from the one before says the same as one made anew', () => {
  fc.assert(
    fc.property(states, (sequence) => {
      let view: MeshView | null = null;
      let kept: AnyResource[] = [];
      for (const { objects, asked } of sequence) {
        kept = [...kept, ...objects.map(read)].slice(-12);
        const mesh = collectMesh(kept);
        view = new MeshView(mesh, [], view);
        const anew = new MeshView(mesh, [], null);
        for (const one of asked) expect(view.services(one)).toEqual(anew.services(one));
      }
    }),
    { numRuns: 500 },
  );
});

test('a change of endpoints alone replaces one service and leaves the others the same objects', () => {
  const services = [service('one'), service('two')];
  const before = new MeshView(collectMesh([...services, behind('one', '10.0.0.1')]), [], null);
  const [one, two] = before.services('a');
  const after = new MeshView(collectMesh([...services, behind('one', '10.0.0.2')]), [], before);
  expect(after.services('a')[0]).not.toEqual(one);
  expect(after.services('a')[0]?.hosts).toEqual(one?.hosts);
  expect(after.services('a')[1]).toBe(two);
});

test('in a folder slices and selected pods stand side by side; in a cluster slices say everything', () => {
  const pod = read({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'two-1', namespace: 'a', labels: { app: 'two' } },
    status: { podIP: '10.0.0.9' },
  });
  const resources = [service('one'), service('two'), behind('one', '10.0.0.1'), pod];
  expect(addresses(resources)).toEqual(['10.0.0.1', '10.0.0.9']);
  const ofCluster = resources.map((one) => ({ ...one, origin: clusterOrigin(one) }));
  expect(addresses(ofCluster)).toEqual(['10.0.0.1', '']);
});

test('what says nothing of services leaves the catalog as it is; a service, a pod or a slice does not', () => {
  const [first, second] = ['first', 'second'].map(
    (name) =>
      loadText(
        `apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: a }
spec: { selector: { app: x }, ports: [{ port: 80 }] }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: a }
spec: {}
`,
        'a.yaml',
      ).resources,
  );
  const [service, policy, other, otherPolicy] = [...first!, ...second!];
  const catalog = Catalog.of(collectMesh([service!, policy!]), null);
  expect(Catalog.of(collectMesh([service!, otherPolicy!, policy!]), catalog)).toBe(catalog);
  const more = Catalog.of(collectMesh([service!, other!]), catalog);
  expect(more).not.toBe(catalog);
  expect(more.visibleTo('a').map(({ name }) => name)).toEqual(['first', 'second']);
});
