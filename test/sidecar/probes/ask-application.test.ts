import { once } from 'node:events';
import { createServer as createHttp, type RequestListener } from 'node:http';
import { createServer as createHttp2, type ServerHttp2Stream } from 'node:http2';
import { createServer as createHttps } from 'node:https';
import { createServer, type AddressInfo, type Server } from 'node:net';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { answerBytesMax, askApplication, placeOf } from '#sidecar/probes/ask-application.ts';
import type { AppProbe } from '#sidecar/probes/settings.ts';
import { Rig, spiffe } from '#test/sidecar/rig.ts';

const here = { host: '127.0.0.1', from: '' };
const timeoutMs = 1000;
let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

async function listen(server: Pick<Server, 'listen' | 'address' | 'close'>): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  rig.onClose(() => server.close());
  return (server.address() as AddressInfo).port;
}

function http(port: number, change: object = {}): AppProbe {
  const check = {
    kind: 'http',
    host: '',
    port,
    target: '/ready',
    https: false,
    headers: {},
  } as const;
  return { path: '/app-health/web/readyz', timeoutMs, check: { ...check, ...change } };
}

const teapot: RequestListener = (request, response) => {
  response.writeHead(418);
  const { host = '', 'x-probe': probe } = request.headers;
  response.end(`${request.url} ${String(probe)} ${host}`);
};

test("the application's own status and answer come back, and it sees what the probe says", async () => {
  const port = await listen(createHttp(teapot));
  const probe = http(port, { headers: { 'x-probe': 'yes', host: 'web.example' } });
  expect(await askApplication(probe, here)).toEqual({
    status: 418,
    body: '/ready yes web.example',
  });
});

test('HTTPS is not verified, as by the kubelet', async () => {
  const { keyPem: key, certPem: cert } = await rig.issued(spiffe('shop', 'web'));
  const port = await listen(createHttps({ key, cert }, (_request, response) => response.end('ok')));
  expect(await askApplication(http(port, { https: true }), here)).toEqual({
    status: 200,
    body: 'ok',
  });
});

test('an endless answer is cut, and silence takes no longer than the timeout', async () => {
  const endless = await listen(
    createHttp((_request, response) => {
      const timer = setInterval(() => response.write('x'.repeat(4096)), 1);
      response.on('close', () => clearInterval(timer));
    }),
  );
  const { status, body } = await askApplication(http(endless), here);
  expect([status, body.length]).toEqual([200, answerBytesMax]);
  const silent = await listen(createServer((socket) => void socket.on('error', () => undefined)));
  const late = await askApplication({ ...http(silent), timeoutMs: 100 }, here);
  expect(late).toMatchObject({ status: 500 });
  expect(late.body).toContain('within 100 ms');
});

test('a port is probed by connecting to it', async () => {
  const port = await listen(createServer((socket) => socket.destroy()));
  const probe = { path: '', timeoutMs, check: { kind: 'tcp', host: '', port } } as const;
  expect((await askApplication(probe, here)).status).toBeUndefined();
  const closed = { ...probe, check: { ...probe.check, port: 1 } };
  const { status, body } = await askApplication(closed, here);
  expect(status).toBe(500);
  expect(body).toContain('ECONNREFUSED');
});

/** @param answers what grpc.health.v1 says: 1 is SERVING */
async function health(answers: number, grpcStatus = '0'): Promise<number> {
  const server = createHttp2();
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    expect(headers[':path']).toBe('/grpc.health.v1.Health/Check');
    stream.on('error', () => undefined);
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc' },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': grpcStatus }));
    stream.end(Buffer.from([0, 0, 0, 0, 2, 8, answers]));
  });
  return listen(server);
}

function ask(port: number): Promise<object> {
  return askApplication(
    { path: '', timeoutMs, check: { kind: 'grpc', host: '', port, service: '' } },
    here,
  );
}

test('gRPC is asked for its health', async () => {
  expect(await ask(await health(1))).toEqual({ body: 'ok\n' });
  expect(await ask(await health(2))).toMatchObject({ status: 500 });
  expect(await ask(await health(1, '5'))).toMatchObject({ status: 500 });
  const notGrpc = await listen(createHttp((_request, response) => response.end('ok')));
  expect(await ask(notGrpc)).toMatchObject({ status: 500 });
  const hangsUp = await listen(createServer((socket) => socket.destroy()));
  expect(await ask(hangsUp)).toMatchObject({ status: 500 });
  const silent = await listen(createServer((socket) => void socket.on('error', () => undefined)));
  expect(await ask(silent)).toMatchObject({ status: 500 });
});

test('the application is called where it is, from where capture lets the call pass', () => {
  expect(placeOf('', false)).toEqual(here);
  expect(placeOf('10.0.0.7', false)).toEqual({ host: '10.0.0.7', from: '' });
  expect(placeOf('10.0.0.7', true)).toEqual({ host: '10.0.0.7', from: '127.0.0.6' });
  expect(placeOf('fd00::7', true)).toEqual({ host: 'fd00::7', from: '::6' });
});
