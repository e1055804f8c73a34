import { assert, property, string } from 'fast-check';
import { expect, test } from 'vitest';

import { compileRoutes, splitAuthority } from '#sidecar/outbound/routes.ts';

import { serviceOf, snapshotOf } from '../rig.ts';

test.each([
  ['payments', { host: 'payments', port: 0 }],
  ['Payments.Shop:8080', { host: 'payments.shop', port: 8080 }],
  ['payments.shop.svc.cluster.local.', { host: 'payments.shop.svc.cluster.local', port: 0 }],
  ['[2001:DB8::1]:80', { host: '2001:db8::1', port: 80 }],
  ['10.0.0.7:1', { host: '10.0.0.7', port: 1 }],
  ['a:65536', null],
  ['a:b', null],
  ['user@host', null],
  ['', null],
  ['a/b', null],
])('the authority %j is %j', (text, expected) => {
  expect(splitAuthority(text)).toEqual(expected);
});

const inShop = { ...serviceOf('payments', []), addresses: ['10.96.0.7'] };
const elsewhere = {
  ...serviceOf('billing', []),
  namespace: 'other',
  hosts: ['billing.other.svc.cluster.local'],
};
const entry = { ...serviceOf('entry', []), hosts: ['api.example.com', 'API2.example.com'] };
const table = compileRoutes(snapshotOf({ services: [inShop, elsewhere, entry] }));

test.each([
  ['payments', 'payments'],
  ['payments:80', 'payments'],
  ['PAYMENTS.shop.SVC', 'payments'],
  ['10.96.0.7', 'payments'],
  ['billing.other', 'billing'],
  ['billing.other.svc.cluster.local:80', 'billing'],
  ['api.example.com', 'entry'],
  ['api2.example.com', 'entry'],
])('%s is the service %s', (authority, name) => {
  const found = table.find(authority, 80);
  expect(typeof found === 'string' ? found : found.service.name).toBe(name);
});

test.each([
  ['billing', 'unknown-host'],
  ['entry.shop', 'unknown-host'],
  ['payments:81', 'unknown-port'],
  ['example.org', 'unknown-host'],
  ['::', 'unknown-host'],
])('%s is %s', (authority, expected) => {
  expect(table.find(authority, 80)).toBe(expected);
});

test('a route tells the server name of its mutual TLS', () => {
  expect(table.routes[0]).toMatchObject({
    key: 'payments.shop.svc.cluster.local:80',
    sni: 'outbound_.80_._.payments.shop.svc.cluster.local',
  });
});

test('of two services with one name the first keeps it', () => {
  const second = { ...serviceOf('thief', []), hosts: ['api.example.com'] };
  const both = compileRoutes(snapshotOf({ services: [entry, second] }));
  const found = both.find('api.example.com', 80);
  expect(typeof found === 'string' ? found : found.service.name).toBe('entry');
});

const patterns = compileRoutes(
  snapshotOf({
    services: [
      { ...serviceOf('wide', []), hosts: ['*.example.com'] },
      { ...serviceOf('narrow', []), hosts: ['*.eu.example.com'] },
      { ...serviceOf('late', []), hosts: ['*.example.com'] },
      { ...serviceOf('net', []), hosts: ['net.test'], addresses: ['10.0.0.0/8', '2001:db8::/32'] },
      { ...serviceOf('subnet', []), hosts: ['subnet.test'], addresses: ['10.1.0.0/16'] },
      entry,
    ],
  }),
);

test.each([
  ['img.example.com', 'wide'],
  ['IMG.example.com:80', 'wide'],
  ['a.eu.example.com', 'narrow'],
  ['api.example.com', 'entry'],
  ['10.2.3.4', 'net'],
  ['10.1.3.4:80', 'subnet'],
  ['[2001:db8::1]', 'net'],
  ['example.com', 'unknown-host'],
  ['img.example.com:81', 'unknown-host'],
  ['11.0.0.1', 'unknown-host'],
  ['10.1.3.4:81', 'unknown-host'],
])('%s means %s: wildcards and blocks, the most specific first', (authority, name) => {
  const found = patterns.find(authority, 80);
  expect(typeof found === 'string' ? found : found.service.name).toBe(name);
});

test('no authority makes the table throw, and no lookup depends on case', () => {
  assert(
    property(string({ maxLength: 30 }), (text) => {
      expect(table.find(text.toUpperCase(), 80)).toEqual(
        table.find(text.toUpperCase().toLowerCase(), 80),
      );
    }),
    { numRuns: 500, seed: 5 },
  );
});
