import { once } from 'node:events';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { request as requestHttps } from 'node:https';
import { connect as connectTls } from 'node:tls';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { startWebhookServer, type Reply, type WebhookServer } from '#injector/server.ts';
import { silentLog } from '#runtime/log.ts';

import { issue, makeTestCa, type Issued, type TestCa } from '../tls/fixtures.ts';

let ca: TestCa;
let issued: Issued;
let server: WebhookServer;
let answer: (path: string, body: string) => Reply;
const sessions: ClientHttp2Session[] = [];

beforeEach(async () => {
  ca = await makeTestCa();
  issued = await issue(ca, { ip: ['127.0.0.1'], commonName: 'first' });
  answer = (path, body) => ({ status: 200, body: JSON.stringify({ path, body }) });
  server = await startWebhookServer({
    host: '127.0.0.1',
    port: 0,
    certificate: { key: issued.keyPem, cert: issued.certPem },
    answer: (path, body) => answer(path, body),
    limits: { bodyBytesMax: 1000, requestTimeoutMs: 300 },
    log: silentLog,
  });
});

afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy();
  await server.close(0);
});

function session(): ClientHttp2Session {
  const opened = connectHttp2(`https://127.0.0.1:${server.port}`, { ca: ca.certPem });
  sessions.push(opened);
  return opened;
}

interface Got {
  readonly status: number;
  readonly body: string;
}

const json = { 'content-type': 'application/json' };

function post(over: ClientHttp2Session, body: string | null, headers: object = {}): Promise<Got> {
  return new Promise((resolve, reject) => {
    const stream = over.request({ ':method': 'POST', ':path': '/inject', ...json, ...headers });
    let status = 0;
    let text = '';
    stream.on('response', (got) => (status = Number(got[':status'])));
    stream.on('data', (part: Buffer) => (text += part.toString()));
    stream.on('end', () => resolve({ status, body: text }));
    stream.on('error', reject);
    if (body !== null) stream.end(body);
  });
}

function postHttp1(body: string, method = 'POST'): Promise<Got> {
  return new Promise((resolve, reject) => {
    const options = { port: server.port, host: '127.0.0.1', ca: ca.certPem, method, headers: json };
    const call = requestHttps({ ...options, path: '/validate?timeout=10s' }, (response) => {
      let text = '';
      response.on('data', (part: Buffer) => (text += part.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    call.on('error', reject);
    call.end(body);
  });
}

test('HTTP/2, as the API server speaks it, and HTTP/1.1 are answered', async () => {
  expect(await post(session(), '{"a":1}')).toEqual({
    status: 200,
    body: '{"path":"/inject","body":"{\\"a\\":1}"}',
  });
  expect(await postHttp1('x')).toEqual({ status: 200, body: '{"path":"/validate","body":"x"}' });
});

test('a body that is too large is refused, whole or as it comes', async () => {
  expect(await post(session(), 'x'.repeat(100_000))).toMatchObject({ status: 413 });
  expect((await post(session(), 'x'.repeat(1000))).status).toBe(200);
});

test('a body that never ends is given up, and the connection serves others', async () => {
  const one = session();
  const slow = post(one, null);
  expect((await post(one, 'x')).status).toBe(200);
  expect(await slow).toMatchObject({ status: 408, body: 'no whole body within 300 ms\n' });
});

test('another method or content type is refused', async () => {
  expect(await post(session(), null, { ':method': 'GET' })).toMatchObject({ status: 405 });
  expect(await post(session(), 'x', { 'content-type': 'text/plain' })).toMatchObject({
    status: 415,
  });
  expect(await postHttp1('', 'PUT')).toMatchObject({ status: 405 });
});

test('what throws is a 500, and the next request is answered', async () => {
  const good = answer;
  answer = () => {
    throw new Error('secret');
  };
  const { status, body } = await post(session(), 'x');
  expect(status).toBe(500);
  expect(body).not.toContain('secret');
  answer = good;
  expect((await post(session(), 'x')).status).toBe(200);
});

test('a new certificate is shown to new connections, and those that are open go on', async () => {
  const open = session();
  await post(open, 'x');
  const next = await issue(ca, { ip: ['127.0.0.1'], commonName: 'second' });
  server.setCertificate({ key: next.keyPem, cert: next.certPem });
  expect((await post(open, 'x')).status).toBe(200);
  const socket = connectTls({ port: server.port, host: '127.0.0.1', ca: ca.certPem });
  await once(socket, 'secureConnect');
  expect(socket.getPeerCertificate().subject.CN).toBe('second');
  socket.destroy();
});

test('closing lets what is under way finish', async () => {
  const open = session();
  const stream = post(open, null);
  await post(open, 'x');
  const closed = server.close(2000);
  expect((await stream).status).toBe(408);
  await closed;
  const refused = connectTls({ port: server.port, host: '127.0.0.1' });
  await expect(once(refused, 'secureConnect')).rejects.toThrow('ECONNREFUSED');
});
