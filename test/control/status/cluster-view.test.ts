import { expect, test } from 'vitest';

import type { AnyResource } from '#api/load.ts';
import { readResource } from '#api/read-resource.ts';
import { readySidecars, replicasOf } from '#control/status/cluster-view.ts';

test('replicas are the ready endpoints of the Service selvage-control, IPv6 in brackets', () => {
  const endpoints = [
    { addresses: ['10.0.0.1'], conditions: { ready: true } },
    { addresses: ['fd00::1'], conditions: {} },
    { addresses: ['10.0.0.3'], conditions: { ready: false } },
  ];
  const resources = [
    slice('selvage-system', 'selvage-control', endpoints, [{ name: 'push', port: 15011 }]),
    slice('selvage-system', 'selvage-ca', endpoints, [{ name: 'ca', port: 15012 }]),
    slice(
      'shop',
      'selvage-control',
      [{ addresses: ['10.6.6.6'] }],
      [{ name: 'push', port: 15011 }],
    ),
  ];
  expect(replicasOf(resources, 'selvage-system')).toEqual(['10.0.0.1:15011', '[fd00::1]:15011']);
});

test('of a Service with several ports the one for sidecars is asked', () => {
  const ports = [
    { name: 'metrics', port: 15014 },
    { name: 'grpc', port: 15011 },
  ];
  const resources = [
    slice('selvage-system', 'selvage-control', [{ addresses: ['10.0.0.1'] }], ports),
  ];
  expect(replicasOf(resources, 'selvage-system')).toEqual(['10.0.0.1:15011']);
});

test('sidecars that should be connected are those of ready pods', () => {
  const ready = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
  const starting = { phase: 'Running', conditions: [{ type: 'Ready', status: 'False' }] };
  const annotations = { 'selvage.dev/workload': 'web' };
  const resources = [
    pod('web-1', ready, ['selvage-proxy', 'app'], annotations),
    pod('alone', ready, ['selvage-proxy']),
    pod('plain', ready, ['app']),
    pod('starting', starting, ['selvage-proxy']),
    pod('in-a-file', undefined, ['selvage-proxy']),
  ];
  expect(readySidecars(resources)).toEqual([
    { namespace: 'shop', pod: 'web-1', workload: 'web' },
    { namespace: 'shop', pod: 'alone', workload: 'alone' },
  ]);
});

function slice(
  namespace: string,
  service: string,
  endpoints: object[],
  ports: object[],
): AnyResource {
  const labels = { 'kubernetes.io/service-name': service };
  const metadata = { name: `${service}-x`, namespace, labels };
  return read({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata,
    addressType: 'IPv4',
    endpoints,
    ports,
  });
}

function pod(
  name: string,
  status: object | undefined,
  containers: string[],
  annotations: object = {},
): AnyResource {
  const spec = { containers: containers.map((one) => ({ name: one })) };
  const metadata = { name, namespace: 'shop', annotations };
  return read({ apiVersion: 'v1', kind: 'Pod', metadata, spec, status });
}

function read(value: object): AnyResource {
  const { resource, problems } = readResource({ value });
  if (resource === null) throw new Error(JSON.stringify(problems));
  return resource;
}
