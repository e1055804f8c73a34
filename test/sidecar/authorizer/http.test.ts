import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { exchange, get, plain, received, Rig, type HttpReply, type TestSidecar } from '../rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

const custom = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ask, namespace: shop }
spec:
  action: CUSTOM
  provider: { name: authorizer }
  rules: [{ to: [{ operation: { paths: ["/guarded*"] } }] }]
`;

async function authorizer(
  handler: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<number> {
  const server = createServer(handler).listen(0, '127.0.0.1');
  await once(server, 'listening');
  rig.onClose(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function guarded(port: number, options: Record<string, unknown> = {}): Promise<TestSidecar> {
  const application = await rig.application();
  const http = { service: '127.0.0.1', port, ...options };
  const mesh = { extensionProviders: [{ name: 'authorizer', envoyExtAuthzHttp: http }] };
  return rig.sidecar({ application: application.port, policies: custom, mesh });
}

async function send(sidecar: TestSidecar, path: string, headers = ''): Promise<HttpReply> {
  return exchange(await plain(sidecar.inboundPort), get(path, headers));
}

async function post(sidecar: TestSidecar, body: string): Promise<HttpReply> {
  const head = `POST /guarded HTTP/1.1\r\nhost: payments\r\nconnection: close\r\n`;
  const raw = `${head}content-length: ${body.length}\r\n\r\n${body}`;
  return exchange(await plain(sidecar.inboundPort), raw);
}

test('an authorizer sees the request, and what it adds reaches the application', async () => {
  const asked: { method?: string; url?: string; headers: IncomingMessage['headers'] }[] = [];
  const port = await authorizer(({ method, url, headers }, response) => {
    asked.push({ method, url, headers });
    response.setHeader('x-user', 'ann');
    response.setHeader('x-other', 'not wanted');
    response.setHeader('x-seen', 'yes');
    response.end();
  });
  const sidecar = await guarded(port, {
    pathPrefix: '/check',
    includeRequestHeadersInCheck: ['x-token', 'x-app-*'],
    includeAdditionalHeadersInCheck: { 'x-from': 'mesh' },
    headersToUpstreamOnAllow: ['x-user'],
    headersToDownstreamOnAllow: ['x-seen'],
  });
  const headers = 'x-token: t\r\nx-app-a: 1\r\nx-secret: s\r\nx-user: forged\r\n';
  const reply = await send(sidecar, '/guarded/a?b', headers);
  expect(reply.status).toBe(200);
  expect(reply.headers['x-seen']).toBe('yes');
  const seen = received(reply).headers;
  expect(seen['x-user']).toBe('ann');
  expect(seen['x-other']).toBeUndefined();
  expect(asked).toMatchObject([
    {
      method: 'GET',
      url: '/check/guarded/a?b',
      headers: { host: 'payments', 'x-token': 't', 'x-app-a': '1', 'x-from': 'mesh' },
    },
  ]);
  expect(asked[0]?.headers['x-secret']).toBeUndefined();
  expect((await send(sidecar, '/open')).status).toBe(200);
  expect(asked).toHaveLength(1);
});

test('a refusal of the authorizer keeps its status, body and chosen headers', async () => {
  const port = await authorizer((_request, response) => {
    response.writeHead(302, { location: 'https://login', 'x-why': 'no', 'x-hidden': 'h' });
    response.end('log in');
  });
  const sidecar = await guarded(port, { headersToDownstreamOnDeny: ['x-why'] });
  const reply = await send(sidecar, '/guarded');
  expect(reply).toMatchObject({
    status: 302,
    body: 'log in',
    headers: { location: 'https://login', 'x-why': 'no' },
  });
  expect(reply.headers['x-hidden']).toBeUndefined();
  expect(sidecar.telemetry.ended).toMatchObject([
    { failure: 'authorizer-denied', details: 'ext_authz_denied', verdict: 'shop/ask' },
  ]);
});

test.each([
  ['fails closed', {}, 403],
  ['fails with the status that was asked for', { statusOnError: '503' }, 503],
  ['fails open when told so', { failOpen: true }, 200],
])('an authorizer that errs %s', async (_name, options, status) => {
  const port = await authorizer((_request, response) => response.writeHead(500).end());
  const sidecar = await guarded(port, options);
  expect((await send(sidecar, '/guarded')).status).toBe(status);
});

test('an authorizer that is slower than its timeout has erred', async () => {
  const port = await authorizer(() => undefined);
  const sidecar = await guarded(port, { timeout: '100ms' });
  expect((await send(sidecar, '/guarded')).status).toBe(403);
  expect(sidecar.telemetry.ended[0]?.details).toBe('ext_authz_error');
});

test('an unknown authorizer denies what it would have been asked, and nothing else', async () => {
  const application = await rig.application();
  const sidecar = await rig.sidecar({ application: application.port, policies: custom });
  expect((await send(sidecar, '/guarded')).status).toBe(403);
  expect((await send(sidecar, '/open')).status).toBe(200);
});

test('a body is told when it is asked for, as far as it may be long, and goes on whole', async () => {
  const asked: { body: string; partial: string | string[] | undefined }[] = [];
  const port = await authorizer((request, response) => {
    let body = '';
    request.on('data', (bytes: Buffer) => (body += String(bytes)));
    request.on('end', () => {
      asked.push({ body, partial: request.headers['x-envoy-auth-partial-body'] });
      response.end();
    });
  });
  const whole = await guarded(port, { includeRequestBodyInCheck: { maxRequestBytes: 10 } });
  expect(received(await post(whole, '0123456789')).body).toBe('0123456789');
  expect((await post(whole, '0123456789x')).status).toBe(413);
  expect((await send(whole, '/guarded')).status).toBe(200);
  const part = await guarded(port, {
    includeRequestBodyInCheck: { maxRequestBytes: 10, allowPartialMessage: true },
  });
  const long = 'abcdefghij'.repeat(20_000);
  expect(received(await post(part, long)).body).toBe(long);
  expect(asked).toEqual([
    { body: '0123456789', partial: 'false' },
    { body: '', partial: 'false' },
    { body: 'abcdefghij', partial: 'true' },
  ]);
});

test('what a client says in X-Forwarded headers is told only when it is asked for', async () => {
  const asked: IncomingMessage['headers'][] = [];
  const port = await authorizer(({ headers }, response) => {
    asked.push(headers);
    response.end();
  });
  const forwarded = 'x-forwarded-for: 6.6.6.6\r\nx-forwarded-host: evil\r\n';
  await send(await guarded(port), '/guarded', forwarded);
  const trusting = { includeRequestHeadersInCheck: ['x-forwarded-*'] };
  await send(await guarded(port, trusting), '/guarded', forwarded);
  expect(asked.map((one) => one['x-forwarded-for'])).toEqual([undefined, '6.6.6.6']);
  expect(asked.map((one) => one['x-forwarded-host'])).toEqual([undefined, 'evil']);
});

test('no header that a client can send keeps an authorizer from being asked', async () => {
  const asked: (string | undefined)[] = [];
  const port = await authorizer(({ headers }, response) => {
    asked.push(headers.authorization);
    response.statusCode = 403;
    response.end();
  });
  const sidecar = await guarded(port, { failOpen: true, includeRequestHeadersInCheck: ['*'] });
  for (const value of ['Bearer \u0100', 'Bearer \u{1f511}', 'caf\u00e9', 'a\tb']) {
    const bytes = Buffer.from(value).toString('latin1');
    const reply = await send(sidecar, '/guarded', `authorization: ${bytes}\r\n`);
    expect({ value, status: reply.status }).toEqual({ value, status: 403 });
    expect(asked.pop()).toBe(bytes);
  }
  const odd = ['http2-settings: x', 'content-type: ', '!#$%&: x', 'date: x', 'x: \xff\xfe\x80'];
  for (const line of [...odd, 'transfer_encoding: x', 'cookie: a\r\ncookie: b', '__proto__: x']) {
    const { status } = await send(sidecar, '/guarded', `${line}\r\n`);
    expect({ line, status }).toEqual({ line, status: 403 });
  }
});
