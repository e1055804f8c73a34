// JSON in, gRPC to an application by grpc-js, JSON out: through a sidecar, by HTTP/1.1 and HTTP/2.
import { once } from 'node:events';
import http2 from 'node:http2';

import * as grpc from '@grpc/grpc-js';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';

import type { PortProtocol } from '#api/workload.ts';
import { prepareTranscoding } from '#sidecar/transform/load-transcoding.ts';

import { exchange, plain, Rig, snapshotOf, type HttpReply, type TestSidecar } from '../rig.ts';
import { setOf } from './descriptor-sets.ts';

const set = setOf(
  `syntax = "proto3"; package shop.v1;
   message Item { string sku = 1; int32 count = 2; bool gift = 3; }
   message Order { string id = 1; int64 total = 2; repeated Item items = 3; string note_text = 4; }
   message Ask { string id = 1; repeated string tags = 2; Item item = 3; Order order = 4; }`,
  {
    package: 'shop.v1',
    service: {
      name: 'Orders',
      method: [
        method('Get', {
          get: '/v1/orders/{id}',
          additionalBindings: [{ get: '/v1/{id=old/*}' }, { post: '/v1/ask', body: '*' }],
        }),
        method('Put', { put: '/v1/orders/{id}', body: 'order' }),
        method('Items', { get: '/v1/orders/{id}/items', responseBody: 'items' }),
        method('Fetch', { custom: { kind: 'options', path: '/v1/orders/{id}' } }),
        { ...method('Watch', { get: '/v1/orders:watch' }), serverStreaming: true },
        method('Plain'),
      ],
    },
  },
);

function method(name: string, http?: object) {
  const types = { inputType: '.shop.v1.Ask', outputType: '.shop.v1.Order' };
  return { name, ...types, ...(http !== undefined && { options: { http } }) };
}

function yaml(more = '', rule = ''): string {
  return `
---
apiVersion: selvage.dev/v1alpha1
kind: Transformation
metadata: { name: json, namespace: shop }
spec:
  maxBodyBytes: 2000
  rules:
    - grpcJson: { descriptorSet: ${set.bytes.toString('base64')}, services: [shop.v1.Orders]${more} }
${rule}`;
}

beforeAll(async () => {
  const { extensions } = snapshotOf({ policies: yaml() });
  await prepareTranscoding({ extensions: extensions });
});

let rig: Rig;
let calls: { path: string; ask: Record<string, unknown>; metadata: grpc.Metadata }[] = [];
beforeEach(async () => {
  rig = await Rig.create();
  calls = [];
});
afterEach(() => rig.close());

/** Echoes what it was asked; an id may say how it fails. */
async function application(): Promise<number> {
  const ask = set.type('shop.v1.Ask');
  const order = set.type('shop.v1.Order');
  const server = new grpc.Server();
  const definition: Record<string, grpc.MethodDefinition<object, object>> = {};
  const handlers: Record<string, grpc.UntypedHandleCall> = {};
  for (const name of ['Get', 'Put', 'Items', 'Fetch', 'Plain']) {
    const path = `/shop.v1.Orders/${name}`;
    definition[name] = {
      path,
      requestStream: false,
      responseStream: false,
      requestSerialize: (value) => Buffer.from(ask.encode(value).finish()),
      requestDeserialize: (bytes) => ask.decode(bytes),
      responseSerialize: (value) => Buffer.from(order.encode(order.fromObject(value)).finish()),
      responseDeserialize: (bytes) => order.decode(bytes),
    };
    handlers[name] = ((call, answer) => {
      const asked = ask.toObject(call.request, { longs: String });
      calls.push({ path, ask: asked, metadata: call.metadata });
      const id = typeof asked.id === 'string' ? asked.id : '';
      const [, code] = /^fail(\d+)$/.exec(id) ?? [];
      if (code !== undefined) {
        answer(Object.assign(new Error(), { code: Number(code), details: 'nö: 100%' }));
        return;
      }
      const items = id === 'bare' ? [] : [{ sku: 'a', count: 2 }];
      const noteText = id === 'long' ? 'x'.repeat(3000) : 'hi';
      const trailer = new grpc.Metadata();
      trailer.set('x-trailer', '1');
      answer(null, { id, total: '9007199254740993', items, noteText }, trailer);
    }) satisfies grpc.handleUnaryCall<object, object>;
  }
  server.addService(definition, handlers);
  const bound = Promise.withResolvers<number>();
  server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error === null) bound.resolve(port);
    else bound.reject(error);
  });
  rig.onClose(() => server.forceShutdown());
  return bound.promise;
}

async function sidecar(
  policies = yaml(),
  port?: number,
  protocol: PortProtocol = 'http',
): Promise<TestSidecar> {
  return rig.sidecar({ application: port ?? (await application()), policies, protocol });
}

async function call(
  to: TestSidecar,
  verb: string,
  path: string,
  body = '',
  headers = body === '' ? '' : 'content-type: application/json\r\n',
): Promise<HttpReply> {
  const length = body === '' ? '' : `content-length: ${Buffer.byteLength(body)}\r\n`;
  const head = `${verb} ${path} HTTP/1.1\r\nhost: p\r\nconnection: close\r\n${headers}${length}\r\n`;
  return exchange(await plain(to.inboundPort), head + body);
}

const answer = { total: '9007199254740993', items: [{ sku: 'a', count: 2 }], noteText: 'hi' };

test('GET with a variable and a query, the answer with its status and type', async () => {
  const to = await sidecar();
  const path = '/v1/orders/a%20b?tags=x&tags=y&item.gift=true&item.count=3';
  const reply = await call(to, 'GET', path, '', 'x-mine: 1\r\naccept-encoding: gzip\r\n');
  expect(reply.status).toBe(200);
  expect(reply.headers['content-type']).toBe('application/json');
  expect(Object.keys(reply.headers).filter((name) => name.startsWith('grpc'))).toEqual([]);
  expect(JSON.parse(reply.body)).toEqual({ id: 'a b', ...answer });
  const [seen] = calls;
  expect(seen?.path).toBe('/shop.v1.Orders/Get');
  expect(seen?.ask).toEqual({ id: 'a b', tags: ['x', 'y'], item: { gift: true, count: 3 } });
  expect(seen?.metadata.get('x-mine')).toEqual(['1']);
});

test('bodies: a field, the whole, by the name of the method, another binding, another verb', async () => {
  const to = await sidecar();
  await call(to, 'PUT', '/v1/orders/7', '{"note_text":"n","total":5}');
  await call(to, 'POST', '/v1/ask', '{"id":"8","item":{"sku":"s"}}');
  await call(to, 'POST', '/shop.v1.Orders/Plain', '{"id":"9"}');
  await call(to, 'POST', '/shop.v1.Orders/Plain');
  await call(to, 'GET', '/v1/old/3');
  await call(to, 'OPTIONS', '/v1/orders/4');
  expect(calls.map(({ path, ask }) => [path.slice(16), ask])).toEqual([
    ['Put', { id: '7', order: { noteText: 'n', total: '5' } }],
    ['Get', { id: '8', item: { sku: 's' } }],
    ['Plain', { id: '9' }],
    ['Plain', {}],
    ['Get', { id: 'old/3' }],
    ['Fetch', { id: '4' }],
  ]);
});

test('a field of the answer as its body', async () => {
  const to = await sidecar();
  expect((await call(to, 'GET', '/v1/orders/1/items')).body).toBe('[{"sku":"a","count":2}]');
  expect((await call(to, 'GET', '/v1/orders/bare/items')).body).toBe('[]');
});

test.each([
  [1, 499],
  [3, 400],
  [4, 504],
  [5, 404],
  [6, 409],
  [7, 403],
  [8, 429],
  [12, 501],
  [13, 500],
  [14, 503],
  [16, 401],
])('status %i of gRPC is %i of HTTP', async (code, status) => {
  const to = await sidecar();
  const reply = await call(to, 'GET', `/v1/orders/fail${code}`);
  expect(reply.status).toBe(status);
  const body = Buffer.from(reply.body, 'latin1').toString();
  expect(JSON.parse(body)).toEqual({ code, message: 'nö: 100%' });
});

test.each([
  ['GET', '/v1/orders/1?nope=1', '', 400, 'the parameter nope is no field of shop.v1.Ask'],
  ['GET', '/v1/orders/1?item.count=x', '', 400, 'item.count is no whole number'],
  ['GET', '/v1/orders/1?item=x', '', 400, 'item is a message: only its fields can be set so'],
  ['GET', '/v1/orders/1', '{}', 400, 'the method takes no body'],
  ['POST', '/v1/ask', '{"id":', 400, 'the body is no JSON in UTF-8'],
  ['POST', '/v1/ask', '{"what":1}', 400, 'what is no field of shop.v1.Ask'],
  [
    'GET',
    '/v1/orders:watch',
    '',
    501,
    '/shop.v1.Orders/Watch streams, and only unary methods are transcoded',
  ],
])('%s %s %s is refused', async (verb, path, body, status, message) => {
  const to = await sidecar();
  const reply = await call(to, verb, path, body);
  expect(reply.status).toBe(status);
  expect(reply.headers['content-type']).toBe('application/json');
  expect(JSON.parse(reply.body)).toMatchObject({ message });
  expect(calls).toEqual([]);
});

test('a body too large, of another type, and an answer too large', async () => {
  const to = await sidecar();
  expect((await call(to, 'POST', '/v1/ask', `{"id":"${'x'.repeat(3000)}"}`)).status).toBe(413);
  const form = 'content-type: application/x-www-form-urlencoded\r\n';
  expect((await call(to, 'POST', '/v1/ask', 'a=b', form)).status).toBe(415);
  expect((await call(to, 'GET', '/v1/orders/long')).status).toBe(502);
});

test('what is unknown may be left out; edits of JSON see the JSON of both sides', async () => {
  const more = `      request: { json: { rename: [{ from: order_id, to: id }] } }
      response: { json: { remove: [total] }, headers: { set: { x-by: mesh } } }`;
  const to = await sidecar(yaml(', ignoreUnknown: true', more));
  const reply = await call(to, 'POST', '/v1/ask?nope=1', '{"order_id":"5","more":{}}');
  expect(calls[0]?.ask).toEqual({ id: '5' });
  expect(JSON.parse(reply.body)).toEqual({ id: '5', items: answer.items, noteText: 'hi' });
  expect(reply.headers['x-by']).toBe('mesh');
});

test('no application: the failure is one of HTTP', async () => {
  const { port, server } = await rig.application();
  server.close();
  const reply = await call(await sidecar(yaml(), port), 'GET', '/v1/orders/1');
  expect(reply.status).toBe(503);
});

test('other paths, and an application that answers without gRPC, pass as they are', async () => {
  const { port } = await rig.application();
  const to = await sidecar(yaml(), port);
  expect(JSON.parse((await call(to, 'GET', '/other?a')).body)).toMatchObject({ url: '/other?a' });
});

test('by HTTP/2; calls of gRPC pass untouched beside them', async () => {
  const to = await sidecar(yaml(), await application(), 'grpc');
  const session = http2.connect(`http://127.0.0.1:${to.inboundPort}`);
  rig.onClose(() => session.destroy());
  async function ask(headers: http2.OutgoingHttpHeaders, body?: Buffer) {
    const stream = session.request(headers, { endStream: body === undefined });
    let head: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
    stream.once('response', (got) => (head = got));
    let trailers: http2.IncomingHttpHeaders = {};
    stream.once('trailers', (got) => (trailers = got));
    const pieces: Buffer[] = [];
    stream.on('data', (piece: Buffer) => pieces.push(piece));
    if (body !== undefined) stream.end(body);
    await once(stream, 'close');
    return { head, trailers, body: Buffer.concat(pieces) };
  }
  const got = await ask({ ':path': '/v1/orders/7' });
  expect(got.head[':status']).toBe(200);
  expect(got.trailers).toEqual({});
  expect(JSON.parse(got.body.toString())).toEqual({ id: '7', ...answer });
  const json = { ':method': 'POST', 'content-type': 'application/json' };
  const posted = await ask({ ...json, ':path': '/v1/ask' }, Buffer.from('{"id":"8"}'));
  expect(JSON.parse(posted.body.toString())).toMatchObject({ id: '8' });
  const type = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
  const path = { ':path': '/shop.v1.Orders/Plain' };
  const raw = await ask({ ...type, ...path }, Buffer.from([0, 0, 0, 0, 3, 10, 1, 0x39]));
  expect(raw.head['content-type']).toContain('application/grpc');
  expect(raw.trailers).toMatchObject({ 'grpc-status': '0', 'x-trailer': '1' });
});

test('a set that cannot be used, a service that is not in it', async () => {
  const port = await application();
  const other = yaml().replace('[shop.v1.Orders]', '[shop.v1.Nope]');
  const wrong = await sidecar(other, port);
  expect(wrong.inForce.current()?.transforms?.problems).toEqual([
    'Transformation shop/json rules[0]: the descriptor set has no service shop.v1.Nope',
  ]);
  const broken = yaml().replace(/descriptorSet: \S+,/, 'descriptorSet: aaaa,');
  expect((await sidecar(broken, port)).inForce.current()?.transforms?.problems).toHaveLength(1);
});

test.each([
  ['two messages', [0, 0, 0, 0, 0, 0, 0, 0, 0, 0], { 'grpc-status': '0' }, 502],
  ['a compressed message', [1, 0, 0, 0, 0], { 'grpc-status': '0' }, 502],
  ['no message', [], { 'grpc-status': '0' }, 502],
  ['what is no Order', [0, 0, 0, 0, 2, 0x0a, 9], { 'grpc-status': '0' }, 502],
  ['no status', [0, 0, 0, 0, 0], {}, 500],
  ['nothing in an Order', [0, 0, 0, 0, 0], { 'grpc-status': '0' }, 200],
])('%s in an answer', async (_what, bytes, trailers, status) => {
  const server = http2.createServer();
  server.on('stream', (stream: http2.ServerHttp2Stream) => {
    stream.respond(
      { 'content-type': 'application/grpc', 'x-selvage-unanswered': 'reset' },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.end(Buffer.from(bytes));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  rig.onClose(() => server.close());
  const address = server.address();
  const to = await sidecar(yaml(), typeof address === 'object' ? address?.port : 0);
  const reply = await call(to, 'GET', '/v1/orders/1');
  expect(reply.status).toBe(status);
  expect(reply.headers['x-selvage-unanswered']).toBeUndefined();
  expect(to.telemetry.ended[0]?.details.startsWith('grpc_json{')).toBe(status === 502);
  expect(reply.body === '{}').toBe(status === 200);
});

test('what the server needs of gRPC is in the request', async () => {
  const server = http2.createServer();
  const seen: http2.IncomingHttpHeaders[] = [];
  server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    seen.push(headers);
    const status = { 'content-type': 'application/grpc', 'grpc-status': '0' };
    stream.respond(status, { endStream: true });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  rig.onClose(() => server.close());
  const address = server.address();
  const to = await sidecar(yaml(), typeof address === 'object' ? address?.port : 0);
  await call(to, 'PUT', '/v1/orders/1', '{}', 'content-type: application/json\r\nte: gzip\r\n');
  expect(seen).toHaveLength(1);
  expect(seen[0]).toMatchObject({
    ':method': 'POST',
    ':path': '/shop.v1.Orders/Put',
    'content-type': 'application/grpc',
    te: 'trailers',
    'content-length': '10',
  });
});
