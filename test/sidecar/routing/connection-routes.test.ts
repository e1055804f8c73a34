import { expect, test } from 'vitest';

import type { RouteGroup, TcpRoute, TlsRoute } from '#api/traffic/route.ts';
import { chooseAny } from '#sidecar/routing/choose.ts';
import { ConnectionRoutes } from '#sidecar/routing/connection-routes.ts';
import { prepareRegexes } from '#sidecar/routing/regex.ts';
import { compileRouteIndex } from '#sidecar/routing/route-index.ts';

import { makeGroup } from './models.ts';

const to = (host: string): TcpRoute['destinations'] => [
  { destination: { host, port: 0, subset: '' }, weight: 1 },
];
const tls = (host: string, ...matches: TlsRoute['matches']): TlsRoute => ({
  source: 'VirtualService shop/a',
  path: 'spec.tls[0]',
  matches,
  destinations: to(host),
});
const tcp = (host: string, ...matches: TcpRoute['matches']): TcpRoute => ({
  source: 'VirtualService shop/a',
  path: 'spec.tcp[0]',
  matches,
  destinations: to(host),
});

const group: RouteGroup = makeGroup([], {
  tls: [
    tls('exact', { sniHosts: ['A.example.com'], port: 443 }),
    tls('subnet', { sniHosts: ['*.example.com'], subnets: ['10.1.0.0/16', 'fd00::/8'] }),
    tls('wide', { sniHosts: ['*.example.com'] }, { sniHosts: ['b.test'] }),
  ],
  tcp: [
    tcp('port', { port: 5432 }),
    tcp('address', { subnets: ['10.2.3.4'] }),
    tcp('broken', { subnets: ['not-an-address'] }),
    tcp('rest'),
  ],
});

test.each([
  ['a.example.com', '10.1.0.1', 443, 'exact'],
  ['a.example.com', '10.1.0.1', 8443, 'subnet'],
  ['x.example.com', 'fd00::1', 443, 'subnet'],
  ['x.example.com', '10.2.0.1', 443, 'wide'],
  ['b.test', '10.2.0.1', 443, 'wide'],
  ['example.com', '10.2.0.1', 443, 'rest'],
  ['', '10.1.0.1', 5432, 'port'],
  ['', '10.2.3.4', 1, 'address'],
  ['', '10.2.3.5', 1, 'rest'],
])('%j to %s:%i goes to %s', (sni, address, port, host) => {
  const found = new ConnectionRoutes(group).route(sni, { address, port });
  expect(found?.action.destinations.map(({ destination }) => destination.host)).toEqual([host]);
  expect(found && chooseAny(found.action, 0.5)?.destination.host).toBe(host);
});

test('a connection that meets no route gets none', () => {
  const routes = new ConnectionRoutes(makeGroup([], { tls: [tls('a', { sniHosts: ['a'] })] }));
  expect(routes.route('b', { address: '10.0.0.1', port: 1 })).toBeNull();
  expect(routes.route('', { address: '10.0.0.1', port: 1 })).toBeNull();
});

test('routes of connections are found by host as those of requests are', async () => {
  const index = compileRouteIndex(
    [{ ...group, hosts: ['*.example.com'] }],
    await prepareRegexes({}),
  );
  expect(index.find('a.example.com', 443)).toBeNull();
  expect(index.findConnections('a.example.com', 443)?.group.key).toBe(group.key);
  expect(index.findConnections('b.test', 443)).toBeNull();
  expect(index.empty).toBe(false);
});
