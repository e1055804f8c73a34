// What sidecars enforce of the resources that are compiled into routes, destinations and a scope.
import { beforeEach, expect, test } from 'vitest';

import { reportOf } from '#control/status/report.ts';
import { type Enforcement, enforcementOf } from '#control/status/tally.ts';

import { SmallControl, webDeployment } from './small-control.ts';

let control: SmallControl;
beforeEach(() => {
  control = new SmallControl();
});

function enforced(key: string): Enforcement {
  const own = reportOf(control.sessions, control.snapshots, { id: 'a', replica: 'a' });
  return enforcementOf({ reports: [own], lost: [], unreachable: [] }, key);
}

const isBy = (enforced_: number, of: number, generation: number) => ({
  generation,
  enforced: enforced_,
  of,
});

function resource(kind: string, name: string, spec: object, generation = 1): object {
  const group = /^(CircuitBreaker|HealthCheck)$/.test(kind)
    ? 'selvage.dev/v1alpha1'
    : /^(HTTP|GRPC)Route$/.test(kind)
      ? 'gateway.networking.k8s.io/v1'
      : 'networking.istio.io/v1';
  return { apiVersion: group, kind, metadata: { name, namespace: 'shop', generation }, spec };
}

const service = (name: string): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'shop' },
  spec: { ports: [{ name: 'http', port: 80 }] },
});

const base = [webDeployment, service('pay'), service('pay-2')];
const to = (host: string): object => ({ route: [{ destination: { host } }] });
const parentRefs = [{ group: '', kind: 'Service', name: 'pay', port: 80 }];
const eject = { trafficPolicy: { outlierDetection: { consecutive5xxErrors: 3 } } };

function entry(number: number): object {
  const ports = [{ number, name: 'tls', protocol: 'TLS' }];
  return { hosts: ['api.example.com', 'www.example.com'], resolution: 'DNS', ports };
}

const examples: readonly (readonly [kind: string, spec: object, other: object])[] = [
  [
    'VirtualService',
    { hosts: ['pay'], http: [to('pay-2')] },
    { hosts: ['pay'], http: [to('pay')] },
  ],
  [
    'HTTPRoute',
    { parentRefs, rules: [{ backendRefs: [{ name: 'pay-2', port: 80 }] }] },
    { parentRefs, rules: [{ backendRefs: [{ name: 'pay', port: 80 }] }] },
  ],
  [
    'GRPCRoute',
    { parentRefs, rules: [{ backendRefs: [{ name: 'pay-2', port: 80 }] }] },
    { parentRefs, rules: [{ backendRefs: [{ name: 'pay', port: 80 }] }] },
  ],
  [
    'DestinationRule',
    { host: 'pay', ...eject },
    { host: 'pay', trafficPolicy: { loadBalancer: { simple: 'RANDOM' } } },
  ],
  [
    'CircuitBreaker',
    { host: 'pay', expression: 'NetworkErrorRatio() > 0.5' },
    { host: 'pay', expression: 'NetworkErrorRatio() > 0.6' },
  ],
  ['HealthCheck', { host: 'pay', http: { path: '/up' } }, { host: 'pay', http: { path: '/ok' } }],
  [
    'Sidecar',
    { egress: [{ hosts: ['./*'] }] },
    { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } },
  ],
  ['ServiceEntry', entry(443), entry(8443)],
];

test.each(examples)(
  '%s: each sidecar that it concerns is counted, once it has it',
  (kind, spec, other) => {
    control.connect('web-0');
    control.connect('web-1');
    const key = `${kind}/shop/x`;
    control.take(...base, resource(kind, 'x', spec));
    expect(control.problems).toEqual([]);
    expect(enforced(key)).toMatchObject(isBy(0, 2, 1));
    control.acknowledge('web-0');
    expect(enforced(key)).toMatchObject(isBy(1, 2, 1));
    control.acknowledge();
    expect(enforced(key)).toMatchObject(isBy(2, 2, 1));
    control.take(...base, resource(kind, 'x', other, 2));
    expect(control.problems).toEqual([]);
    expect(enforced(key)).toMatchObject(isBy(0, 2, 2));
    control.acknowledge();
    expect(enforced(key)).toMatchObject(isBy(2, 2, 2));
    control.take(...base);
    expect(enforced(key)).toMatchObject({ generation: null, of: 0 });
  },
);

test.each(examples)('%s: a generation that changes nothing is enforced at once', (kind, spec) => {
  control.connect('web-0');
  const key = `${kind}/shop/x`;
  control.take(...base, resource(kind, 'x', spec));
  control.acknowledge();
  expect(enforced(key)).toMatchObject(isBy(1, 1, 1));
  for (const generation of [2, 3]) {
    control.take(...base, resource(kind, 'x', spec, generation));
    expect(enforced(key)).toMatchObject(isBy(1, 1, generation));
  }
});

const rule = (generation: number): object =>
  resource('DestinationRule', 'd', { host: 'pay-2', ...eject }, generation);
const route = (spec: object, generation: number): object =>
  resource('VirtualService', 'v', { hosts: ['pay'], ...spec }, generation);

test('a generation that changes nothing counts also beside one that does', () => {
  control.connect('web-0');
  control.take(...base, route({ http: [to('pay-2')] }, 1), rule(1));
  control.acknowledge();
  control.take(...base, route({ http: [to('pay')] }, 2), rule(1));
  expect(enforced('VirtualService/shop/v')).toMatchObject(isBy(0, 1, 2));
  expect(enforced('DestinationRule/shop/d')).toMatchObject(isBy(1, 1, 1));
  control.take(...base, route({ http: [to('pay')] }, 2), rule(2));
  control.acknowledge();
  expect(enforced('VirtualService/shop/v')).toMatchObject(isBy(1, 1, 2));
  expect(enforced('DestinationRule/shop/d')).toMatchObject(isBy(1, 1, 2));
});

test('a delegate is enforced with the VirtualService that names it', () => {
  control.connect('web-0');
  const root = resource('VirtualService', 'root', {
    hosts: ['pay'],
    http: [{ delegate: { name: 'part' } }],
  });
  const part = (host: string, generation: number): object =>
    resource('VirtualService', 'part', { http: [to(host)] }, generation);
  control.take(...base, root, part('pay', 1));
  control.acknowledge();
  control.take(...base, root, part('pay-2', 2));
  expect(enforced('VirtualService/shop/part')).toMatchObject(isBy(0, 1, 2));
  control.acknowledge();
  expect(enforced('VirtualService/shop/part')).toMatchObject(isBy(1, 1, 2));
  expect(enforced('VirtualService/shop/root')).toMatchObject(isBy(1, 1, 1));
});

test('what counts for no sidecar is 0 of 0; what is counted in part is counted', () => {
  control.connect('web-0');
  control.take(
    ...base,
    resource('VirtualService', 'a', { hosts: ['pay'], http: [to('pay')] }),
    resource('VirtualService', 'b', { hosts: ['pay'], http: [to('pay-2')] }),
    resource('VirtualService', 'c', { hosts: ['pay', 'pay-2'], http: [to('pay-2')] }),
    resource('DestinationRule', 'd', { host: 'nowhere', ...eject }),
    resource('VirtualService', 'e', {
      hosts: ['pay-3'],
      http: [{ match: [{ sourceLabels: { app: 'other' } }], ...to('pay') }],
    }),
  );
  control.acknowledge();
  const counted = (name: string) => enforced(name).of;
  expect(['a', 'b', 'c', 'e'].map((name) => counted(`VirtualService/shop/${name}`))).toEqual([
    1, 0, 1, 0,
  ]);
  expect(enforced('DestinationRule/shop/d')).toMatchObject({ generation: 1, of: 0, enforced: 0 });
});

const scoped = (hosts: readonly string[]): object =>
  resource('Sidecar', 's', {
    egress: [{ port: { number: 443, protocol: 'TLS', name: 't' }, hosts }],
  });
const two = (generation: number, resolution = 'DNS'): object =>
  resource(
    'ServiceEntry',
    'e',
    {
      hosts: ['api.example.com'],
      resolution,
      ports: [
        { number: 443, name: 'tls', protocol: 'TLS' },
        { number: 80, name: 'http', protocol: 'HTTP' },
      ],
    },
    generation,
  );

test('a ServiceEntry concerns the sidecars that see it, also those that see a part of it or by other names', () => {
  control.connect('web-0');
  const key = 'ServiceEntry/shop/e';
  control.take(...base, two(1), scoped(['*/api.example.com']));
  control.acknowledge();
  expect(enforced(key)).toMatchObject(isBy(1, 1, 1));
  // Nothing changes but its number.
  control.take(...base, two(2), scoped(['*/api.example.com']));
  expect(enforced(key)).toMatchObject(isBy(1, 1, 2));
  control.take(...base, two(3, 'DNS_ROUND_ROBIN'), scoped(['*/api.example.com']));
  expect(enforced(key)).toMatchObject(isBy(0, 1, 3));
  control.acknowledge();
  expect(enforced(key)).toMatchObject(isBy(1, 1, 3));
  control.take(...base, two(3), scoped(['*/other.example.com']));
  expect(enforced(key)).toMatchObject(isBy(0, 0, 3));
});

test('a ServiceEntry whose host is taken concerns nobody', () => {
  control.connect('web-0');
  const later = { ...entry(443), hosts: ['api.example.com'] };
  control.take(
    ...base,
    resource('ServiceEntry', 'a', entry(443)),
    resource('ServiceEntry', 'b', later),
  );
  control.acknowledge();
  expect(enforced('ServiceEntry/shop/a')).toMatchObject(isBy(1, 1, 1));
  expect(enforced('ServiceEntry/shop/b')).toMatchObject(isBy(0, 0, 1));
});
