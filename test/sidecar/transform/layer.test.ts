// Transformations on the inbound path of a sidecar, over sockets: what the application gets and what callers do.
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import http2 from 'node:http2';
import { gzipSync } from 'node:zlib';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { prepareRegexes } from '#sidecar/routing/regex.ts';

import {
  authorization,
  exchange,
  get,
  plain,
  readToEnd,
  received,
  Rig,
  snapshotOf,
  type HttpReply,
  type TestSidecar,
} from '../rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

/** @param rules as YAML flow text */
function transformation(rules: string, more = ''): string {
  return `
---
apiVersion: selvage.dev/v1alpha1
kind: Transformation
metadata: { name: edits, namespace: shop }
spec: { rules: [${rules}]${more} }
`;
}

function ofAnswers(more: string): string {
  return transformation(`{ response: { json: { remove: [a]${more} } } }`, ', maxBodyBytes: 1000');
}

function ofRequests(more: string): string {
  return transformation(`{ request: { json: { remove: [a]${more} } } }`, ', maxBodyBytes: 1000');
}

function denied(path: string): string {
  return authorization('none', 'DENY', `[{ to: [{ operation: { paths: [${path}] } }] }]`);
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function sidecarWith(policies: string, handler?: Handler): Promise<TestSidecar> {
  const { port } = await rig.application(handler);
  return rig.sidecar({ application: port, policies });
}

async function call(sidecar: TestSidecar, raw: string): Promise<HttpReply> {
  return exchange(await plain(sidecar.inboundPort), raw);
}

function post(body: string | Buffer, headers = '', path = '/'): string {
  const type = /content-type/.test(headers) ? '' : 'content-type: application/json\r\n';
  const head = `POST ${path} HTTP/1.1\r\nhost: p\r\nconnection: close\r\n${type}${headers}`;
  return `${head}content-length: ${body.length}\r\n\r\n${body.toString('latin1')}`;
}

/** Answers with what a test wants. */
function answering(body: string | Buffer, headers: Record<string, string> = {}): Handler {
  return (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', ...headers });
    response.end(body);
  };
}

test('headers, path and query of a request, each with what it was', async () => {
  const sidecar = await sidecarWith(
    transformation(`{
      match: [{ paths: ["/v1/{**}"], methods: [GET] }],
      request: {
        headers: { set: { x-was: "%REQ(:path)%", host: inner }, add: { x-tag: b }, remove: [x-secret] },
        path: { replacePrefix: { prefix: /v1, with: /api } },
        query: { set: { page: "1" }, add: { by: "%REQ(x-user)%" }, remove: [admin] } } }`),
  );
  const headers = 'x-secret: s\r\nx-tag: a\r\nx-user: a&b c\r\n';
  const reply = await call(sidecar, get('/v1/items?page=7&%61dmin=1&q=%20x', headers));
  const { url, headers: got } = received(reply);
  expect(url).toBe('/api/items?q=%20x&page=1&by=a%26b%20c');
  expect(got).toMatchObject({ 'x-was': '/v1/items?page=7&%61dmin=1&q=%20x', 'x-tag': 'a, b' });
  expect(got['x-secret']).toBeUndefined();
  expect(got['host']).toBe('inner');
  expect(received(await call(sidecar, get('/v2/items'))).url).toBe('/v2/items');
});

test('every rule that the request met as it came is applied, in order', async () => {
  const sidecar = await sidecarWith(
    transformation(`
      { match: [{ paths: [/a] }], request: { path: { replaceFull: /b } } },
      { match: [{ paths: [/b] }], request: { headers: { set: { x-b: "1" } } } },
      { match: [{ headers: { x-a: [one] } }], request: { headers: { set: { x-a: two, x-c: "1" } } } }`),
  );
  const { url, headers } = received(await call(sidecar, get('/a', 'x-a: one\r\n')));
  expect(url).toBe('/b');
  expect(headers).toMatchObject({ 'x-a': 'two', 'x-c': '1' });
  expect(headers['x-b']).toBeUndefined();
});

test('a path by a regular expression, which is loaded where one is written', async () => {
  const policies = transformation(
    '{ request: { path: { replaceRegex: { match: "^/(\\\\w+)/old", substitution: "/new/\\\\1" } } } }',
  );
  const { port } = await rig.application();
  const sidecar = await rig.sidecar({ application: port });
  const snapshot = snapshotOf({ policies }, 9);
  sidecar.inForce.apply(snapshot, { regexes: await prepareRegexes(snapshot) });
  expect(received(await call(sidecar, get('/x/old?q'))).url).toBe('/new/x?q');
  sidecar.inForce.apply(snapshot);
  expect(sidecar.inForce.current()?.transforms?.problems[0]).toContain('shop/edits rules[0]');
});

test('policies judge what the client asked for, not what becomes of it', async () => {
  const sidecar = await sidecarWith(
    authorization('no-admin', 'DENY', '[{ to: [{ operation: { paths: [/admin] } }] }]') +
      transformation('{ match: [{ paths: [/a] }], request: { path: { replaceFull: /admin } } }'),
  );
  expect(received(await call(sidecar, get('/a'))).url).toBe('/admin');
  expect((await call(sidecar, get('/admin'))).status).toBe(403);
});

test('a tunnel is judged again by what the client asked for', async () => {
  const edits = transformation('{ request: { path: { replaceFull: /inner } } }');
  const sidecar = await sidecarWith(edits);
  const socket = await plain(sidecar.inboundPort);
  socket.write('GET /ws HTTP/1.1\r\nhost: p\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
  await once(socket, 'data');
  sidecar.apply({ policies: edits + denied('/inner') });
  socket.write('still here');
  expect(String((await once(socket, 'data'))[0])).toBe('still here');
  sidecar.apply({ policies: edits + denied('/ws') });
  await readToEnd(socket);
  expect(sidecar.revoked[0]).toContain('denied by shop/none');
});

test('fields of a JSON request are removed and renamed, and its length is said', async () => {
  const sidecar = await sidecarWith(
    transformation(
      `{ request: { json: { remove: [isAdmin, "items[].cost"], rename: [{ from: user.mail, to: email }] } } }`,
    ),
  );
  const body = '{"isAdmin":true,"user":{"mail":"a@b"},"items":[{"id":1,"cost":2}],"n":1.0}';
  const got = received(await call(sidecar, post(body, 'content-digest: sha-256=:x:\r\n')));
  expect(got.body).toBe('{"user":{"email":"a@b"},"items":[{"id":1}],"n":1.0}');
  expect(got.headers['content-length']).toBe(String(got.body.length));
  expect(got.headers['content-digest']).toBeUndefined();
  const text = received(await call(sidecar, post(body, 'content-type: text/plain\r\n')));
  expect(text.body).toBe(body);
});

test('fields of a JSON answer are removed, over either version of HTTP', async () => {
  const sidecar = await sidecarWith(
    transformation(
      `{ response: { headers: { set: { x-edited: "%RESPONSE_CODE%" }, remove: [x-inner] }, json: { remove: [password] } } }`,
    ),
    answering('{"name":"ada","password":"p"}', { etag: '"1"', 'x-inner': 'y' }),
  );
  const reply = await call(sidecar, get('/'));
  expect(reply).toMatchObject({ status: 200, body: '{"name":"ada"}' });
  expect(reply.headers).toMatchObject({ 'content-length': '14', etag: 'W/"1"', 'x-edited': '200' });
  expect(reply.headers['x-inner']).toBeUndefined();
  const session = http2.connect(`http://127.0.0.1:${sidecar.inboundPort}`);
  rig.onClose(() => session.destroy());
  const stream = session.request({ ':path': '/' });
  let body = '';
  stream.on('data', (bytes: Buffer) => (body += String(bytes)));
  const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
  await once(stream, 'end');
  expect([headers['x-edited'], body]).toEqual(['200', '{"name":"ada"}']);
});

const zipped = gzipSync('{"a":1}');
const unreadable: [string, string | Buffer, Record<string, string>, string][] = [
  ['encoded', zipped, { 'content-encoding': 'gzip' }, 'response_content_encoding_gzip'],
  ['not JSON', '{"a":1', {}, 'response_not_json'],
  ['too large', `{"a":1${' '.repeat(2000)}}`, {}, 'response_too_large'],
];

test.each(unreadable)(
  'an answer that is %s passes as it is, or is refused by choice',
  async (_, body, headers, why) => {
    const sidecar = await sidecarWith(ofAnswers(''), answering(body, headers));
    expect((await call(sidecar, get('/', 'accept-encoding: gzip\r\n'))).body).toContain(
      body.toString('latin1'),
    );
    expect(sidecar.telemetry.ended[0]?.details).toBe(`via_upstream{untransformed_${why}}`);
    sidecar.apply({ policies: ofAnswers(', whenUnreadable: refuse') });
    const refused = await call(sidecar, get('/'));
    expect([refused.status, refused.body]).toEqual([502, 'answer not transformed']);
    expect(sidecar.telemetry.ended[1]).toMatchObject({
      failure: 'answer-unreadable',
      details: why,
    });
  },
);

test('a request that is too large is 413; one that cannot be read passes, or is refused by choice', async () => {
  const sidecar = await sidecarWith(ofRequests(''));
  expect((await call(sidecar, post(`{"a":"${'x'.repeat(1000)}"}`))).status).toBe(413);
  expect(received(await call(sidecar, post('{"a":'))).body).toBe('{"a":');
  expect(sidecar.telemetry.ended[1]?.details).toBe('via_upstream{untransformed_request_not_json}');
  expect((await call(sidecar, post(zipped, 'content-encoding: gzip\r\n'))).status).toBe(200);
  sidecar.apply({ policies: ofRequests(', whenUnreadable: refuse') });
  expect((await call(sidecar, post('{"a":'))).status).toBe(400);
  expect((await call(sidecar, post(zipped, 'content-encoding: gzip\r\n'))).status).toBe(415);
  expect(sidecar.faults).toEqual([]);
});

test('nothing is kept for a sidecar without a Transformation', async () => {
  const sidecar = await sidecarWith('');
  expect(sidecar.inForce.current()?.transforms).toBeNull();
  expect((await call(sidecar, get('/'))).status).toBe(200);
});

test('XML becomes JSON before its edits, and JSON XML after them, with the type that it is then', async () => {
  const sidecar = await sidecarWith(
    transformation(`
      { match: [{ methods: [POST] }], request: { json: { remove: [order.secret] }, convert: { to: json } } },
      { match: [{ methods: [GET] }], response: { json: { remove: [secret] }, convert: { to: xml, root: order } } }`),
    (request, response) => {
      let body = '';
      request.on('data', (bytes: Buffer) => (body += String(bytes)));
      request.on('end', () => {
        response.setHeader('content-type', 'application/json');
        response.end(
          JSON.stringify({ id: 1, secret: 2, type: request.headers['content-type'], body }),
        );
      });
    },
  );
  const xml = '<order id="7"><secret>x</secret><item>1</item></order>';
  const sent = await call(sidecar, post(xml, 'content-type: text/xml\r\n'));
  expect(JSON.parse(sent.body)).toMatchObject({
    type: 'application/json',
    body: '{"order":{"@id":"7","item":"1"}}',
  });
  const answer = await call(sidecar, get('/'));
  expect(answer.headers['content-type']).toBe('application/xml');
  expect(answer.body).toContain('<order><id>1</id><body/></order>');
});
