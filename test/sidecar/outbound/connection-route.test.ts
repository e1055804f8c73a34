// Routes of connections that are bytes to us: where tcp and tls routes send them, through real sockets.
import { connect as connectTls } from 'node:tls';

import { afterEach, beforeEach, expect, test } from 'vitest';

import type { Service } from '#api/snapshot.ts';
import type { RouteGroup, WeightedDestination } from '#api/traffic/route.ts';

import { exchange, plain, Rig, serviceOf, type TestSidecar } from '../rig.ts';
import { bytesServer, dial, readWhole, tlsServer } from '../servers.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

const vip = '10.96.0.7';

function to(name: string, weight = 1): WeightedDestination {
  return { destination: { host: `${name}.shop.svc.cluster.local`, port: 0, subset: '' }, weight };
}

function group(routes: Partial<RouteGroup>, ...hosts: string[]): RouteGroup {
  return { key: 'VirtualService/shop/x', hosts, port: 0, http: [], tls: [], tcp: [], ...routes };
}

const source = { source: 'VirtualService shop/x', path: 'spec.tcp[0]' };

async function says(name: string): Promise<Service> {
  const port = await bytesServer(rig, (socket) => socket.end(name));
  return serviceOf(name, [{ port }], 'tcp');
}

async function captured(
  services: readonly Service[],
  routes: readonly RouteGroup[],
  host = vip,
): Promise<TestSidecar> {
  const traffic = { routes };
  const originalDestination = (): { host: string; port: number } => ({ host, port: 80 });
  return rig.sidecar({ account: 'web', services, traffic, originalDestination });
}

async function hear({ capturedPort }: TestSidecar): Promise<string> {
  const { text, how } = await readWhole(await dial(capturedPort));
  return text === '' ? how : text;
}

test('a tcp route sends connections elsewhere, by weight, and its own port and subnet must hold', async () => {
  const one = { ...(await says('one')), addresses: [vip] };
  const services = [one, await says('two'), await says('three')];
  const hosts = 'one.shop.svc.cluster.local';
  const routes = [
    group(
      {
        tcp: [
          { ...source, matches: [{ subnets: ['192.0.2.0/24'] }], destinations: [to('three')] },
          { ...source, matches: [{ port: 80 }], destinations: [to('one', 1), to('two', 3)] },
        ],
      },
      hosts,
    ),
  ];
  const client = await captured(services, routes);
  const heard = new Map<string, number>();
  for (let i = 0; i < 60; i++) {
    const name = await hear(client);
    heard.set(name, (heard.get(name) ?? 0) + 1);
  }
  expect([...heard.keys()].toSorted()).toEqual(['one', 'two']);
  expect(heard.get('two')).toBeGreaterThan(heard.get('one') ?? 0);
  expect(client.telemetry.closed[0]?.service?.name).toMatch(/^(one|two)$/);
});

test('a tls route goes by the server name', async () => {
  const blue = await tlsServer(rig);
  const green = await tlsServer(rig);
  const services = [
    { ...serviceOf('blue', [{ port: blue.port }], 'tls'), addresses: [vip] },
    serviceOf('green', [{ port: green.port }], 'tls'),
  ];
  const tls = [
    { ...source, matches: [{ sniHosts: ['green.example'] }], destinations: [to('green')] },
  ];
  const client = await captured(services, [
    group({ tls }, 'blue.shop.svc.cluster.local', 'green.example'),
  ]);
  const ask = async (servername: string): Promise<void> => {
    const socket = connectTls({
      port: client.capturedPort,
      host: '127.0.0.1',
      servername,
      rejectUnauthorized: false,
    });
    await readWhole(socket.once('data', () => socket.end()));
  };
  await ask('green.example');
  await ask('other.example');
  expect(green.seen.map(({ servername }) => servername)).toEqual(['green.example']);
  expect(blue.seen.map(({ servername }) => servername)).toEqual(['other.example']);
});

test('a route to what nobody knows ends the connection, and says why', async () => {
  const one = { ...(await says('one')), addresses: [vip] };
  const tcp = [{ ...source, matches: [], destinations: [to('nobody')] }];
  const client = await captured([one], [group({ tcp }, 'one.shop.svc.cluster.local')]);
  expect(await hear(client)).toBe('ECONNRESET');
  expect(client.telemetry.closed[0]?.details).toMatch(/^cluster_not_found\{nobody/);
});

test('a DestinationRule limits how long a connection of bytes may be silent, and live', async () => {
  const port = await bytesServer(rig, (socket) => socket.write('hello'));
  const one = { ...serviceOf('one', [{ port }], 'tcp'), addresses: [vip] };
  const client = await captured([one], []);
  const lives = async (pool: object): Promise<number> => {
    const policy = { pool };
    const said = { host: '*', source: 'DestinationRule shop/x', policy, ports: {}, subsets: [] };
    client.apply({ traffic: { destinations: [said] } });
    const begunMs = performance.now();
    const { text } = await readWhole(await dial(client.capturedPort));
    expect(text).toBe('hello');
    return performance.now() - begunMs;
  };
  expect(await lives({ maxConnectionDurationMs: 150 })).toBeGreaterThan(140);
  expect(await lives({ tcpIdleTimeoutMs: 150 })).toBeGreaterThan(140);
  expect(client.telemetry.closed).toHaveLength(2);
});

test('outside the mesh bytes go nowhere, where only the registry may be called', async () => {
  const port = await bytesServer(rig, (socket) => socket.end('outside'));
  const originalDestination = (): { host: string; port: number } => ({ host: '127.0.0.1', port });
  const client = await rig.sidecar({ account: 'web', originalDestination, mesh: quick });
  expect(await hear(client)).toBe('outside');
  client.apply({ traffic: { scope: { mode: 'REGISTRY_ONLY', source: 'Sidecar shop/default' } } });
  expect(await hear(client)).toBe('ECONNRESET');
  const connect = `CONNECT 127.0.0.1:${port} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`;
  expect((await exchange(await plain(client.outboundPort), connect)).status).toBe(502);
});

const quick = { protocolDetectionTimeout: '60ms' };
