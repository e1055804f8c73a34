import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { hasProxy } from '#api/in-mesh.ts';
import type { Container } from '#api/kinds/pod.ts';
import { loadText, type AnyResource } from '#api/load.ts';
import { collectMesh } from '#api/mesh.ts';
import type { Endpoint } from '#api/snapshot.ts';
import { MeshView } from '#control/view.ts';

const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'pay', namespace: 'shop' },
  spec: {
    clusterIP: '10.96.0.5',
    ipFamilies: ['IPv4'],
    selector: { app: 'pay' },
    ports: [{ name: 'http', port: 80, targetPort: 'main' }],
  },
};

interface PodOptions {
  readonly uid?: string;
  readonly account?: string;
  readonly proxy?: boolean;
  readonly ip?: string;
  readonly phase?: string;
  readonly localPorts?: string;
}

function pod(name: string, options: PodOptions = {}): object {
  const { uid = `uid-${name}`, account = 'pay', proxy = true, ip, phase, localPorts } = options;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'shop',
      uid,
      labels: { app: 'pay' },
      annotations: {
        'selvage.dev/workload': 'pay',
        ...(localPorts !== undefined && { 'selvage.dev/local-ports': localPorts }),
      },
    },
    spec: {
      serviceAccountName: account,
      initContainers: proxy ? [{ name: 'selvage-proxy' }] : [],
      containers: [{ name: 'app' }],
    },
    status: { podIP: ip, phase },
  };
}

interface EndpointOptions {
  readonly uid?: string;
  readonly conditions?: object;
  readonly zone?: string;
}

function endpoint(address: string, podName: string | null, options: EndpointOptions = {}): object {
  const { uid = `uid-${podName}`, conditions = {}, zone } = options;
  return {
    addresses: [address],
    conditions,
    ...(zone === undefined ? {} : { zone, nodeName: `node-${zone}` }),
    ...(podName === null
      ? {}
      : { targetRef: { kind: 'Pod', namespace: 'shop', name: podName, uid } }),
  };
}

function slice(name: string, endpoints: readonly object[], over: object = {}): object {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace: 'shop', labels: { 'kubernetes.io/service-name': 'pay' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints,
    ...over,
  };
}

function alias(name: string, namespace: string, externalName: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: { type: 'ExternalName', externalName },
  };
}

function named(name: string): Container {
  return { name, command: [], args: [], env: [], workingDir: '', ports: [] };
}

function viewOf(...objects: object[]): MeshView {
  const loaded = objects.map((one, i) => loadText(JSON.stringify(one), `${i}.json`));
  expect(loaded.flatMap(({ problems }) => problems)).toEqual([]);
  const resources: AnyResource[] = loaded.flatMap((one) => one.resources);
  return new MeshView(collectMesh(resources), [], null);
}

function endpointsOf(...objects: object[]): readonly Endpoint[] {
  const found = viewOf(...objects)
    .services('shop')
    .find(({ name }) => name === 'pay');
  return found?.ports[0]?.endpoints ?? [];
}

function addressesOf(...objects: object[]): string[] {
  return endpointsOf(...objects).map(({ address, port }) => `${address}:${port}`);
}

test('an endpoint has the identity of its pod, its labels, its zone and its node', () => {
  const endpoints = [endpoint('10.1.0.2', 'pay-1', { zone: 'a' }), endpoint('10.1.0.1', 'pay-2')];
  const pods = [pod('pay-1'), pod('pay-2', { proxy: false })];
  const common = { port: 8080, workload: 'pay', namespace: 'shop', labels: { app: 'pay' } };
  expect(endpointsOf(service, slice('s', endpoints), ...pods)).toEqual([
    { ...common, address: '10.1.0.1', identity: null },
    {
      ...common,
      address: '10.1.0.2',
      identity: 'spiffe://cluster.local/ns/shop/sa/pay',
      zone: 'a',
      node: 'node-a',
      locality: '/a',
    },
  ]);
});

test('a pod without capture is called where its sidecar listens for the port', () => {
  const endpoints = [1, 2, 3, 4].map((i) => endpoint(`10.1.0.${i}`, `pay-${i}`));
  const pods = ['{"8080":15100}', '{"9090":15101}', '{"8080":"15100"}', '{broken'].map(
    (localPorts, i) => pod(`pay-${i + 1}`, { localPorts }),
  );
  expect(addressesOf(service, slice('s', endpoints), ...pods)).toEqual([
    '10.1.0.1:15100',
    '10.1.0.2:8080',
    '10.1.0.3:8080',
    '10.1.0.4:8080',
  ]);
});

test('ready endpoints are called; what says nothing is ready', () => {
  const endpoints = [
    endpoint('10.1.0.1', null, { conditions: { ready: true, serving: true, terminating: false } }),
    endpoint('10.1.0.2', null),
    endpoint('10.1.0.3', null, { conditions: { ready: false } }),
    endpoint('10.1.0.4', null, { conditions: { ready: false, serving: true, terminating: true } }),
  ];
  expect(addressesOf(service, slice('s', endpoints))).toEqual(['10.1.0.1:8080', '10.1.0.2:8080']);
});

test('where none is ready, those that end and still serve are called', () => {
  const endpoints = [
    endpoint('10.1.0.3', null, { conditions: { ready: false, serving: true } }),
    endpoint('10.1.0.4', null, { conditions: { ready: false, serving: true, terminating: true } }),
    endpoint('10.1.0.5', null, { conditions: { ready: false, terminating: true } }),
  ];
  expect(addressesOf(service, slice('s', endpoints))).toEqual(['10.1.0.4:8080']);
});

test('a pod that was not seen yet, or another one of its name, is no endpoint', () => {
  const endpoints = [endpoint('10.1.0.1', 'pay-0'), endpoint('10.1.0.2', 'late')];
  expect(addressesOf(service, slice('s', endpoints), pod('pay-0'))).toEqual(['10.1.0.1:8080']);
  const again = pod('pay-0', { uid: 'uid-of-the-next', account: 'other', ip: '10.1.0.1' });
  expect(addressesOf(service, slice('s', endpoints), again)).toEqual([]);
});

test('an address without a reference is the pod that has it, else plaintext', () => {
  const endpoints = [endpoint('10.1.0.1', null), endpoint('192.0.2.1', null)];
  const bare = { ...service, spec: { ...service.spec, selector: undefined } };
  const found = endpointsOf(bare, slice('s', endpoints), pod('pay-1', { ip: '10.1.0.1' }));
  expect(found.map(({ address, identity }) => [address, identity])).toEqual([
    ['10.1.0.1', 'spiffe://cluster.local/ns/shop/sa/pay'],
    ['192.0.2.1', null],
  ]);
  // A Job's pod that ended has given its address back.
  const ended = pod('pay-1', { ip: '10.1.0.1', phase: 'Succeeded' });
  expect(endpointsOf(bare, slice('s', endpoints), ended)[0]?.identity).toBeNull();
});

test('slices of a service are one list; an endpoint in two of them is there once', () => {
  const not = { conditions: { ready: false, serving: true, terminating: true } };
  const one = slice('a', [endpoint('10.1.0.1', null, not), endpoint('10.1.0.2', null)]);
  const two = slice('b', [endpoint('10.1.0.1', null), endpoint('10.1.0.2', null, not)]);
  expect(addressesOf(service, one, two)).toEqual(['10.1.0.1:8080', '10.1.0.2:8080']);
});

test('of a dual-stack service its first family is called; of a headless one each address', () => {
  const four = slice('four', [endpoint('10.1.0.1', null)]);
  const six = slice('six', [endpoint('fd00::1', null)], { addressType: 'IPv6' });
  expect(addressesOf(service, four, six)).toEqual(['10.1.0.1:8080']);
  const reversed = { ...service, spec: { ...service.spec, ipFamilies: ['IPv6', 'IPv4'] } };
  expect(addressesOf(reversed, four, six)).toEqual(['fd00::1:8080']);
  const headless = { ...service, spec: { ...service.spec, clusterIP: 'None' } };
  expect(addressesOf(headless, four, six)).toEqual(['10.1.0.1:8080', 'fd00::1:8080']);
  expect(addressesOf(reversed, four)).toEqual(['10.1.0.1:8080']);
  const name = slice('name', [endpoint('a.example', null)], { addressType: 'FQDN' });
  expect(addressesOf(service, name)).toEqual([]);
});

test('a port is found by its name, and only TCP; a slice for all ports has the number of the Service', () => {
  const ports = [
    { name: 'other', port: 1 },
    { name: 'http', port: 2, protocol: 'UDP' },
    { name: 'http', port: 3 },
  ];
  expect(addressesOf(service, slice('s', [endpoint('10.1.0.1', null)], { ports }))).toEqual([
    '10.1.0.1:3',
  ]);
  const all = slice('s', [endpoint('10.1.0.1', null)], { ports: [{ name: 'http' }] });
  expect(addressesOf(service, all)).toEqual(['10.1.0.1:80']);
});

test('an ExternalName that means a Service is another name for it, one that means a host is none', () => {
  const view = viewOf(
    service,
    slice('s', []),
    alias('bank', 'money', 'pay.shop.svc.cluster.local.'),
    alias('till', 'shop', 'bank.money.svc.cluster.local'),
    alias('outside', 'shop', 'api.example.com'),
    alias('ring', 'shop', 'ring.shop.svc.cluster.local'),
  );
  const hosts = (namespace: string): readonly string[] =>
    view.services(namespace).flatMap((one) => one.hosts);
  expect(view.services('shop').map(({ name }) => name)).toEqual(['pay']);
  const full = ['pay.shop', 'bank.money', 'till.shop'].flatMap((name) => [
    `${name}.svc.cluster.local`,
    `${name}.svc`,
    name,
  ]);
  expect(hosts('shop')).toEqual([...full, 'pay', 'till']);
  expect(hosts('money')).toEqual([...full, 'bank']);
});

test('whatever slices and pods say, an identity is always that of the pod which the slice means', () => {
  const names = fc.constantFrom('p0', 'p1', 'p2');
  const uids = fc.constantFrom('u0', 'u1');
  const accounts = fc.constantFrom('red', 'blue');
  const addresses = fc.constantFrom('10.1.0.1', '10.1.0.2', '10.1.0.3');
  const pods = fc.uniqueArray(
    fc.record({ name: names, uid: uids, account: accounts, proxy: fc.boolean(), ip: addresses }),
    { selector: ({ name }) => name },
  );
  const endpoints = fc.array(
    fc.record({ address: addresses, name: names, uid: uids, ready: fc.boolean() }),
  );
  fc.assert(
    fc.property(pods, endpoints, (some, behind) => {
      const found = endpointsOf(
        service,
        slice(
          's',
          behind.map(({ address, name, uid, ready }) =>
            endpoint(address, name, {
              uid,
              conditions: { ready, serving: true, terminating: !ready },
            }),
          ),
        ),
        ...some.map((one) => pod(one.name, one)),
      );
      for (const { address, identity } of found) {
        const meant = behind.filter((one) => one.address === address);
        const theirs = some.filter((one) =>
          meant.some(({ name, uid }) => name === one.name && uid === one.uid),
        );
        const possible = theirs.map(({ account, proxy }) =>
          proxy ? `spiffe://cluster.local/ns/shop/sa/${account}` : null,
        );
        expect(possible).toContain(identity);
      }
    }),
  );
});

test('a container of any kind that is called selvage-proxy is a sidecar', () => {
  expect(hasProxy({ initContainers: [named('selvage-proxy')], containers: [] })).toBe(true);
  expect(hasProxy({ initContainers: [], containers: [named('selvage-proxy')] })).toBe(true);
  expect(hasProxy({ initContainers: [named('a')], containers: [named('b')] })).toBe(false);
});
