// The environment that a local program gets.
import { expect, test } from 'vitest';

import { environmentOf, expand } from '#cli/up/environment.ts';
import type { LocalPod } from '#cli/up/plan.ts';

const pod: LocalPod = {
  namespace: 'shop',
  workload: 'web',
  name: 'web-0',
  title: 'web-0',
  serviceAccount: 'web-sa',
  labels: { app: 'web' },
  ports: [
    { port: 8080, name: 'web', names: ['web', 'http'], app: 21_001, listen: 21_002 },
    { port: 9090, name: 'grpc-admin', names: ['grpc-admin'], app: 21_003, listen: 21_004 },
  ],
  sidecar: { outbound: 21_005, admin: 21_006 },
  bytesPorts: [
    { service: 'my-db', host: 'my-db.shop', port: 3306, name: 'mysql', listen: 21_007 },
    { service: 'my-db', host: 'my-db.shop', port: 33060, name: 'tcp-x', listen: 21_008 },
    { service: 'mail', host: 'mail.shop', port: 25, name: '', listen: 21_009 },
  ],
  programs: [],
};

test('a program learns its ports by number and by name', () => {
  const env = environmentOf(pod, [], {});
  expect(env).toMatchObject({
    PORT: '21001',
    PORT_8080: '21001',
    PORT_WEB: '21001',
    PORT_HTTP: '21001',
    PORT_9090: '21003',
    PORT_GRPC_ADMIN: '21003',
  });
});

test('TCP services of the namespace are told as a kubelet tells them', () => {
  const env = environmentOf(pod, [], {});
  const told = Object.entries(env).filter(([name]) => name.includes('_SERVICE_'));
  expect(Object.fromEntries(told)).toEqual({
    MY_DB_SERVICE_HOST: '127.0.0.1',
    MY_DB_SERVICE_PORT: '21007',
    MY_DB_SERVICE_PORT_MYSQL: '21007',
    MY_DB_SERVICE_PORT_TCP_X: '21008',
    MAIL_SERVICE_HOST: '127.0.0.1',
    MAIL_SERVICE_PORT: '21009',
  });
});

test('the way out leads through the sidecar, but for the machine itself', () => {
  const env = environmentOf(pod, [], {});
  expect(env['HTTP_PROXY']).toBe('http://127.0.0.1:21005');
  expect(env['http_proxy']).toBe('http://127.0.0.1:21005');
  expect(env['NO_PROXY']).toContain('127.0.0.1');
  expect(env['NODE_USE_ENV_PROXY']).toBe('1');
});

test('a program outside the mesh gets no proxy', () => {
  expect(environmentOf({ ...pod, sidecar: null }, [], {})['HTTP_PROXY']).toBeUndefined();
});

test('variables see earlier ones, and may override what the mesh set', () => {
  const variables = [
    { name: 'HOST', value: 'payments' },
    { name: 'URL', value: 'http://$(HOST):$(PORT)/$$(HOST)/$(MISSING)' },
    { name: 'PORT', value: '1' },
  ];
  const env = environmentOf(pod, variables, {});
  expect(env['URL']).toBe('http://payments:21001/$(HOST)/$(MISSING)');
  expect(env['PORT']).toBe('1');
});

test('fields of the pod are given as the downward API gives them', () => {
  const env = environmentOf(
    pod,
    [
      field('NAME', 'metadata.name'),
      field('NAMESPACE', 'metadata.namespace'),
      field('APP', "metadata.labels['app']"),
      field('SA', 'spec.serviceAccountName'),
      field('OTHER', 'spec.nodeName'),
    ],
    {},
  );
  expect(env).toMatchObject({
    NAME: 'web-0',
    NAMESPACE: 'shop',
    APP: 'web',
    SA: 'web-sa',
    OTHER: '',
  });
});

test('the settings of the mesh itself stay with the mesh', () => {
  const env = environmentOf(pod, [], { SELVAGE_TOKEN_FILE: '/secret', HOME: '/home/ada' });
  expect(env['SELVAGE_TOKEN_FILE']).toBeUndefined();
  expect(env['HOME']).toBe('/home/ada');
});

test('a reference to itself is expanded once and not forever', () => {
  expect(expand('$(A)', { A: '$(A)' })).toBe('$(A)');
});

function field(name: string, fieldPath: string) {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}
