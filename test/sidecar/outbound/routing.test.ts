// What routes do with calls, through real sockets: where they go, what they become, and what is answered in their place.
import type { IncomingMessage, ServerResponse } from 'node:http';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { Service } from '#api/snapshot.ts';
import type { DestinationPolicy, TrafficPolicy } from '#api/traffic/destination.ts';
import type { HttpRoute, RouteGroup, RouteRetry } from '#api/traffic/route.ts';

import {
  exchange,
  plain,
  readToEnd,
  Rig,
  serviceOf,
  type HttpReply,
  type TestSidecar,
} from '../rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

const host = 'payments.shop.svc.cluster.local';

function group(...http: Partial<HttpRoute>[]): RouteGroup {
  return {
    key: 'VirtualService/shop/payments',
    hosts: [host],
    port: 0,
    http: http.map((route, i) => ({
      name: `route-${i}`,
      source: 'VirtualService shop/payments',
      path: `spec.http[${i}]`,
      matches: [],
      action: to('payments'),
      ...route,
    })),
    tls: [],
    tcp: [],
  };
}

function to(name: string, subset = '', weight = 1): HttpRoute['action'] {
  return { kind: 'forward', destinations: [{ destination: target(name, subset), weight }] };
}

function target(name: string, subset = ''): { host: string; port: number; subset: string } {
  return { host: `${name}.shop.svc.cluster.local`, port: 0, subset };
}

const plainRetry: RouteRetry = {
  attempts: 2,
  perTryTimeoutMs: 0,
  on: ['5xx'],
  statuses: [],
  backoffMs: 1,
  previousHosts: 'avoid',
};

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const say =
  (text: string): Handler =>
  (_q, s) =>
    void s.end(text);

const echoBody: Handler = (q, s) => {
  let body = '';
  q.on('data', (chunk: Buffer) => (body += chunk.toString()));
  q.on('end', () => s.end(body));
};

async function serve(name: string, ...handlers: Handler[]): Promise<Service> {
  const endpoints = [];
  for (const [i, handler] of handlers.entries()) {
    const { port } = await rig.application(handler);
    endpoints.push({ port, labels: { version: `v${i + 1}` } });
  }
  return serviceOf(name, endpoints);
}

async function caller(
  services: readonly Service[],
  routes: readonly RouteGroup[],
  destinations: readonly DestinationPolicy[] = [],
): Promise<TestSidecar> {
  return rig.sidecar({ account: 'web', services, traffic: { routes, destinations } });
}

async function call(client: TestSidecar, path: string, head = '', body = ''): Promise<HttpReply> {
  const method = body === '' ? 'GET' : 'POST';
  const length = body === '' ? '' : `content-length: ${body.length}\r\n`;
  const raw = `${method} http://payments${path} HTTP/1.1\r\nhost: payments\r\nconnection: close\r\n`;
  return exchange(await plain(client.outboundPort), `${raw}${length}${head}\r\n${body}`);
}

function at(path: string, rest: Partial<HttpRoute>): Partial<HttpRoute> {
  return { matches: [{ path: { kind: 'exact', value: path } }], ...rest };
}

const echo: Handler = (q, s) => void s.end(JSON.stringify({ url: q.url, headers: q.headers }));

function subsets(policy: TrafficPolicy = {}): DestinationPolicy {
  const subset = (name: string): DestinationPolicy['subsets'][number] => ({
    name,
    labels: { version: name },
    policy,
    ports: {},
  });
  const source = 'DestinationRule shop/payments';
  return { host, source, policy, ports: {}, subsets: [subset('v1'), subset('v2')] };
}

describe('where a call goes', () => {
  test('by header to a subset, else to another, and to another service by path', async () => {
    const payments = await serve('payments', say('one'), say('two'));
    const ledger = await serve('ledger', say('ledger'));
    const client = await caller(
      [ledger, payments],
      [
        group(
          {
            matches: [{ headers: [{ name: 'x-canary', match: { kind: 'exact', value: 'yes' } }] }],
            action: to('payments', 'v2'),
          },
          { matches: [{ path: { kind: 'prefix', value: '/ledger' } }], action: to('ledger') },
          { action: to('payments', 'v1') },
        ),
      ],
      [subsets()],
    );
    for (let i = 0; i < 4; i++) {
      expect((await call(client, '/', 'x-canary: yes\r\n')).body).toBe('two');
      expect((await call(client, '/')).body).toBe('one');
    }
    expect((await call(client, '/ledger/1')).body).toBe('ledger');
  });

  test('by weight, close to the shares that were asked for', async () => {
    const payments = await serve('payments', say('one'), say('two'));
    const action: HttpRoute['action'] = {
      kind: 'forward',
      destinations: [
        { destination: target('payments', 'v1'), weight: 75 },
        { destination: target('payments', 'v2'), weight: 25 },
      ],
    };
    const client = await caller([payments], [group({ action })], [subsets()]);
    let two = 0;
    for (let i = 0; i < 200; i++) if ((await call(client, '/')).body === 'two') two += 1;
    // Eight standard deviations: a fault of the draw is found, chance is not.
    expect(two).toBeGreaterThan(2);
    expect(two).toBeLessThan(98);
  });

  test('what matches no route is a 404, what has no such cluster a 503, what is invalid a 500', async () => {
    const payments = await serve('payments', say('one'));
    const bad: HttpRoute['action'] = {
      kind: 'forward',
      destinations: [
        { destination: target('gone'), weight: 1, invalid: 'there is no such Service' },
      ],
    };
    const client = await caller(
      [payments],
      [
        group(
          at('/subset', { action: to('payments', 'v9') }),
          at('/host', { action: to('nobody') }),
          at('/bad', { action: bad }),
        ),
      ],
    );
    expect((await call(client, '/subset')).status).toBe(503);
    expect((await call(client, '/host')).status).toBe(503);
    expect((await call(client, '/bad')).status).toBe(500);
    expect((await call(client, '/else')).status).toBe(404);
    expect(client.telemetry.ended.map(({ failure, details }) => [failure, details])).toEqual([
      ['cluster-missing', `cluster_not_found{${host}:80 subset v9}`],
      ['cluster-missing', 'cluster_not_found{nobody.shop.svc.cluster.local:80}'],
      ['backend-invalid', 'direct_response{there is no such Service}'],
      ['route-unmatched', 'route_not_found'],
    ]);
  });

  test('a Service with routes of the Gateway API is the one at the address, whatever the host', async () => {
    const one = { ...(await serve('one', say('one'))), addresses: ['10.96.0.1'] };
    const two = { ...(await serve('two', say('two'))), addresses: ['10.96.0.2'] };
    const marked = {
      ...group({ headers: { response: { set: { 'x-route': 'yes' } } }, action: to('two') }),
    };
    const hosts = ['two.shop.svc.cluster.local'];
    const ask = async (key: string, address: string, named: string): Promise<string[]> => {
      const client = await rig.sidecar({
        account: 'web',
        services: [one, two],
        traffic: { routes: [{ ...marked, key, hosts }] },
        originalDestination: () => ({ host: address, port: 80 }),
      });
      const raw = `GET / HTTP/1.1\r\nhost: ${named}\r\nconnection: close\r\n\r\n`;
      const reply = await exchange(await plain(client.capturedPort), raw);
      return [reply.body, reply.headers['x-route'] ?? ''];
    };
    const attached = 'HTTPRoute/shop/two.shop.svc.cluster.local';
    expect(await ask(attached, '10.96.0.2', 'one')).toEqual(['two', 'yes']);
    expect(await ask(attached, '10.96.0.1', 'two')).toEqual(['one', '']);
    // Istio's own go by the host.
    const virtual = 'VirtualService/shop/two';
    expect(await ask(virtual, '10.96.0.2', 'one')).toEqual(['one', '']);
    expect(await ask(virtual, '10.96.0.1', 'two')).toEqual(['two', 'yes']);
  });

  test('outside the mesh nowhere, where only the registry may be called', async () => {
    const outside = await rig.application(say('outside'));
    const client = await rig.sidecar({ account: 'web' });
    const raw = `GET http://127.0.0.1:${outside.port}/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`;
    const ask = async (): Promise<number> =>
      (await exchange(await plain(client.outboundPort), raw)).status;
    expect(await ask()).toBe(200);
    client.apply({ traffic: { scope: { mode: 'REGISTRY_ONLY', source: 'Sidecar shop/default' } } });
    expect(await ask()).toBe(502);
  });
});

describe('what a call becomes', () => {
  test('its path and host are rewritten, its headers edited, and those of the answer', async () => {
    const payments = await serve('payments', echo);
    const client = await caller(
      [payments],
      [
        group({
          matches: [{ path: { kind: 'prefix', value: '/api/' } }],
          rewrite: { path: { kind: 'prefix', value: '/' }, authority: 'inner.example' },
          headers: {
            request: { set: { 'x-set': 'a' }, add: { 'x-add': 'b' }, remove: ['x-gone'] },
            response: { set: { 'x-answer': 'c' }, remove: ['date'] },
          },
        }),
      ],
    );
    const reply = await call(client, '/api/pay?x=1', 'x-gone: 1\r\nx-set: old\r\n');
    const seen = JSON.parse(reply.body) as { url: string; headers: Record<string, string> };
    expect(seen.url).toBe('/pay?x=1');
    expect(seen.headers).toMatchObject({ host: 'inner.example', 'x-set': 'a', 'x-add': 'b' });
    expect(seen.headers).not.toHaveProperty('x-gone');
    expect(reply.headers['x-answer']).toBe('c');
    expect(reply.headers).not.toHaveProperty('date');
  });

  test('a copy goes to the mirror, the body with it, and its answer to nobody', async () => {
    const copies: string[] = [];
    const record: Handler = (q, s) => {
      let body = '';
      q.on('data', (chunk: Buffer) => (body += chunk.toString()));
      q.on('end', () => {
        copies.push(`${q.method} ${q.headers.host} ${q.url} ${body}`);
        s.writeHead(500).end();
      });
    };
    const payments = await serve('payments', echoBody);
    const shadow = await serve('shadow', record);
    const mirrors = [{ destination: target('shadow'), percent: 100 }];
    const client = await caller([payments, shadow], [group({ mirrors })]);
    expect((await call(client, '/get')).status).toBe(200);
    expect((await call(client, '/post', '', 'a body')).body).toBe('a body');
    await expect
      .poll(() => copies.toSorted())
      .toEqual(['GET payments-shadow /get ', 'POST payments-shadow /post a body']);
  });
});

describe('what is answered in place of a call', () => {
  test('redirects, pages of the route, and preflights', async () => {
    const payments = await serve('payments', say('one'));
    const client = await caller(
      [payments],
      [
        group(
          at('/old', {
            action: { kind: 'redirect', status: 301, path: { kind: 'full', value: '/new' } },
          }),
          at('/healthz', { action: { kind: 'respond', status: 200, body: 'healthy' } }),
          {
            cors: {
              allowOrigins: [{ kind: 'exact', value: 'https://shop.example' }],
              allowMethods: ['GET', 'POST'],
              allowHeaders: ['x-a'],
              exposeHeaders: [],
              maxAgeS: 60,
            },
          },
        ),
      ],
    );
    const moved = await call(client, '/old');
    expect([moved.status, moved.headers['location']]).toEqual([301, 'http://payments/new']);
    const page = await call(client, '/healthz');
    expect([page.status, page.body, page.headers['content-type']]).toEqual([
      200,
      'healthy',
      'text/plain',
    ]);
    const origin = 'origin: https://shop.example\r\n';
    const raw = `OPTIONS http://payments/x HTTP/1.1\r\nhost: payments\r\nconnection: close\r\n${origin}access-control-request-method: POST\r\n\r\n`;
    const preflight = await exchange(await plain(client.outboundPort), raw);
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': 'https://shop.example',
      'access-control-allow-methods': 'GET,POST',
      'access-control-max-age': '60',
    });
    const allowed = await call(client, '/', origin);
    expect([allowed.body, allowed.headers['access-control-allow-origin']]).toEqual([
      'one',
      'https://shop.example',
    ]);
    expect(
      (await call(client, '/', 'origin: https://evil.example\r\n')).headers,
    ).not.toHaveProperty('access-control-allow-origin');
  });

  test('faults: an abort, and a delay before the call', async () => {
    const payments = await serve('payments', say('one'));
    const client = await caller(
      [payments],
      [
        group(
          {
            matches: [{ path: { kind: 'exact', value: '/abort' } }],
            fault: { abort: { percent: 100, status: 418 } },
          },
          { fault: { delay: { percent: 100, delayMs: 120 } } },
        ),
      ],
    );
    const aborted = await call(client, '/abort');
    expect([aborted.status, aborted.body]).toEqual([418, 'fault filter abort']);
    const begun = performance.now();
    expect((await call(client, '/')).body).toBe('one');
    expect(performance.now() - begun).toBeGreaterThan(110);
    expect(client.telemetry.flags).toEqual(['FI', 'DI']);
  });

  test('an abort of gRPC says the status that was asked for, once', async () => {
    const payments = await serve('payments', say('one'));
    const abort = { percent: 100, status: 200, grpcStatus: 5 };
    const client = await caller([payments], [group({ fault: { abort } })]);
    const raw =
      'POST http://payments/ HTTP/1.1\r\nhost: payments\r\nconnection: close\r\n' +
      'content-type: application/grpc\r\ncontent-length: 0\r\n\r\n';
    const socket = await plain(client.outboundPort);
    socket.write(raw);
    const text = await readToEnd(socket);
    expect(text).toMatch(/^HTTP\/1.1 200 OK\r\n/);
    expect(text.match(/^grpc-.*$/gm)).toEqual([
      'grpc-status: 5',
      'grpc-message: fault filter abort',
    ]);
  });
});

describe('time and tries', () => {
  test('a route has a time limit', async () => {
    const payments = await serve('payments', (_q, s) => void setTimeout(() => s.end('late'), 600));
    const client = await caller([payments], [group({ timeoutMs: 80 })]);
    expect((await call(client, '/')).status).toBe(504);
    expect(client.telemetry.flags).toEqual(['UT']);
  });

  test.each(['GET', 'POST'])('an answer of 503 to %s is tried again, elsewhere', async (method) => {
    let failed = 0;
    const bad: Handler = (_q, s) => {
      failed += 1;
      s.statusCode = 503;
      s.end('no');
    };
    const payments = await serve('payments', bad, echoBody);
    const client = await caller([payments], [group({ retry: plainRetry })]);
    const body = method === 'GET' ? '' : 'the body';
    for (let i = 0; i < 12; i++) {
      expect(await call(client, '/', '', body)).toMatchObject({ status: 200, body });
    }
    expect(failed).toBeGreaterThan(0);
  });

  test('as often as the route says, and then the answer is what it is', async () => {
    let asked = 0;
    const bad: Handler = (_q, s) => {
      asked += 1;
      s.statusCode = 503;
      s.end(`no ${asked}`);
    };
    const payments = await serve('payments', bad);
    const client = await caller([payments], [group({ retry: plainRetry })]);
    expect(await call(client, '/')).toMatchObject({ status: 503, body: 'no 3' });
    client.apply({ traffic: { routes: [group({ retry: { ...plainRetry, attempts: 0 } })] } });
    expect(await call(client, '/')).toMatchObject({ status: 503, body: 'no 4' });
    // Istio's default leaves an answer of 503 alone.
    client.apply({ traffic: { routes: [group({})] } });
    expect(await call(client, '/')).toMatchObject({ status: 503, body: 'no 5' });
  });

  test('a try that takes too long is given up for another', async () => {
    let asked = 0;
    const slow: Handler = (_q, s) => {
      asked += 1;
      if (asked === 1) setTimeout(() => s.end('slow'), 700);
      else s.end('quick');
    };
    const payments = await serve('payments', slow);
    const retry = { ...plainRetry, perTryTimeoutMs: 80 };
    const client = await caller([payments], [group({ retry })]);
    expect(await call(client, '/')).toMatchObject({ status: 200, body: 'quick' });
    expect(client.telemetry.ended[0]?.details).toBe('');
  });
});
