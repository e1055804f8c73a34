// The id of a failure on its way to the client, through one sidecar and through two.
import { once } from 'node:events';
import { connect, type IncomingHttpHeaders } from 'node:http2';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { isFailureId, newFailureId } from '#sidecar/failure-id.ts';

import { freePort } from '../free-port.ts';
import {
  authorization,
  exchange,
  get,
  mutual,
  plain,
  Rig,
  serviceOf,
  spiffe,
  type TestSidecar,
} from './rig.ts';

let rig: Rig;

beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

const payments = spiffe('shop', 'payments');
const noAdmin = authorization(
  'no-admin',
  'DENY',
  '[{ to: [{ operation: { paths: ["/admin"] } }] }]',
);
const shaped = expect.stringMatching(/^[0-9a-hjkmnp-tv-z]{10}$/);

/** A caller's sidecar in front of a callee's. */
async function two(
  application: number,
  policies = '',
): Promise<{ web: TestSidecar; callee: TestSidecar }> {
  const callee = await rig.sidecar({ application, policies });
  const services = [serviceOf('payments', [{ port: callee.inboundPort, identity: payments }])];
  return { web: await rig.sidecar({ account: 'web', services }), callee };
}

test('ids are short, unambiguous, and never the same', () => {
  const ids = Array.from({ length: 100_000 }, newFailureId);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.every(isFailureId)).toBe(true);
  expect(new Set(ids.join('')).size).toBe(32);
  for (const text of ['', 'k3f92x7q', 'ABCDEFGHJK', 'k3f92x7qio', 'k3f92x7q00 ']) {
    expect(isFailureId(text)).toBe(false);
  }
});

test('a denial has an id, an answer of the application has none, whatever that says', async () => {
  const { port } = await rig.application((_request, response) => {
    response.setHeader('x-selvage-id', '0123456789').writeHead(500).end();
  });
  const { inboundPort } = await rig.sidecar({ application: port, policies: noAdmin });
  const client = await rig.issued(spiffe('shop', 'web'));
  const denied = await exchange(await mutual(inboundPort, client), get('/admin'));
  expect([denied.status, denied.headers['x-selvage-id']]).toEqual([403, shaped]);
  const failed = await exchange(await mutual(inboundPort, client), get('/other'));
  expect([failed.status, failed.headers['x-selvage-id']]).toEqual([500, undefined]);
});

test('what is no request has an id in its answer', async () => {
  const { port } = await rig.application();
  const { inboundPort } = await rig.sidecar({ application: port });
  const malformed = await exchange(await plain(inboundPort), 'GET / HTTP/1.1\r\na b: c\r\n\r\n');
  expect([malformed.status, malformed.headers['x-selvage-id']]).toEqual([400, shaped]);
  const long = `GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(70_000)}\r\n\r\n`;
  const large = await exchange(await plain(inboundPort), long);
  expect([large.status, large.headers['x-selvage-id']]).toEqual([431, shaped]);
});

test("the caller's sidecar passes the callee's id on, once", async () => {
  const { port } = await rig.application();
  const { web, callee } = await two(port, noAdmin);
  const socket = await plain(web.outboundPort);
  socket.write(get('/admin'));
  let text = '';
  for await (const bytes of socket) text += String(bytes);
  const ids = [...text.matchAll(/^x-selvage-id: (.*)\r$/gim)].map(([, id]) => id);
  expect(ids).toEqual([shaped]);
  expect(callee.telemetry.ended).toMatchObject([{ failure: 'denied' }]);
  expect(web.telemetry.ended).toMatchObject([{ failure: '', status: 403 }]);
});

test('an application that goes without an answer: two sidecars fail, and both say the same id', async () => {
  const { port } = await rig.application((request) => request.socket.destroy());
  const { web, callee } = await two(port);
  const post = get('/').replace('GET', 'POST');
  const answer = await exchange(await plain(web.outboundPort), post);
  const id = answer.headers['x-selvage-id'];
  expect([answer.status, id]).toEqual([503, shaped]);
  expect(callee.telemetry.ended).toMatchObject([{ failure: 'upstream-reset' }]);
  expect(web.telemetry.ended).toMatchObject([{ failure: 'upstream-reset' }]);
  expect([callee.telemetry.ids, web.telemetry.ids]).toEqual([[id], [id]]);
});

test('a try that failed gives its id to nobody when the next one is answered', async () => {
  let calls = 0;
  const { port } = await rig.application((request, response) => {
    calls += 1;
    if (calls === 1) request.socket.destroy();
    else response.end('ok');
  });
  const { web } = await two(port);
  const answer = await exchange(await plain(web.outboundPort), get('/'));
  expect([answer.status, answer.headers['x-selvage-id']]).toEqual([200, undefined]);
  expect(web.telemetry.ids).toEqual(['']);
});

test('a call that nobody can take fails in the caller\u2019s sidecar', async () => {
  const services = [serviceOf('payments', [{ port: await freePort(), identity: payments }])];
  const web = await rig.sidecar({ account: 'web', services });
  const answer = await exchange(await plain(web.outboundPort), get('/'));
  expect([answer.status, answer.headers['x-selvage-id']]).toEqual([503, shaped]);
});

test('whoever has no sidecar has no id to give either', async () => {
  const { port } = await rig.application((_request, response) => {
    response.setHeader('X-Selvage-Id', '0123456789').writeHead(403).end();
  });
  const services = [serviceOf('payments', [{ port, identity: null }])];
  const web = await rig.sidecar({ account: 'web', services });
  const ofService = await exchange(await plain(web.outboundPort), get('/'));
  const outside = await exchange(await plain(web.outboundPort), get('/', '', `127.0.0.1:${port}`));
  for (const { status, headers } of [ofService, outside]) {
    expect([status, headers['x-selvage-id']]).toEqual([403, undefined]);
  }
});

test('gRPC\u2019s callers get it as a header', async () => {
  const { port } = await rig.application();
  const policies = authorization('nobody', 'DENY', '[{}]');
  const { inboundPort } = await rig.sidecar({ application: port, protocol: 'grpc', policies });
  const client = connect(`http://127.0.0.1:${inboundPort}`);
  rig.onClose(() => client.destroy());
  const call = client.request({
    ':method': 'POST',
    ':path': '/test.Echo/Unary',
    'content-type': 'application/grpc',
  });
  call.end();
  const [head] = (await once(call, 'response')) as [IncomingHttpHeaders];
  expect(head).toMatchObject({ ':status': 200, 'grpc-status': '7', 'x-selvage-id': shaped });
});
