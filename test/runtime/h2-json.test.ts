// JSON calls over HTTP/2: what arrives, and every way in which none does.
import { generateKeyPairSync } from 'node:crypto';
import { createSecureServer, type Http2SecureServer, type ServerHttp2Stream } from 'node:http2';
import type { IncomingHttpHeaders } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSelfSignedIssuer } from '#ca/issuer.ts';
import { signLeaf } from '#ca/leaf.ts';
import { requestJson, type JsonCall } from '#runtime/h2-json.ts';

const now = Date.now();
const root = await createSelfSignedIssuer('cluster.local', 86_400_000, now);
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const leaf = signLeaf(root, {
  uri: 'spiffe://cluster.local/ns/a/sa/b',
  dnsNames: ['localhost'],
  ipAddresses: ['127.0.0.1', '::1'],
  publicKeyInfo: publicKey.export({ type: 'spki', format: 'der' }),
  notBeforeMs: now - 60_000,
  notAfterMs: now + 3_600_000,
});

let server: Http2SecureServer;
let origin = '';

beforeAll(async () => {
  server = createSecureServer({
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    cert: leaf.pem,
    settings: { initialWindowSize: 65_535 },
  });
  server.on('stream', answer);
  server.on('sessionError', () => {});
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => void server.close());

function answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  stream.on('error', () => {});
  const path = headers[':path'] ?? '';
  if (path === '/hang') return;
  if (path === '/reset') return stream.close(2);
  if (path === '/gone') return stream.session?.destroy();
  if (path === '/huge') {
    stream.respond({ ':status': 200 });
    stream.end('x'.repeat(2000));
    return;
  }
  if (path === '/broken') {
    stream.respond({ ':status': 200, 'content-type': 'application/json' });
    stream.end('{');
    return;
  }
  const parts: Buffer[] = [];
  stream.on('data', (part: Buffer) => parts.push(part));
  stream.on('end', () => {
    stream.respond({ ':status': 418, 'content-type': 'application/json; charset=utf-8' });
    const { authorization } = headers;
    const method = headers[':method'];
    stream.end(
      JSON.stringify({ path, method, authorization, body: Buffer.concat(parts).toString() }),
    );
  });
}

const call = (path: string, more: Partial<JsonCall> = {}) =>
  requestJson({ url: origin + path, method: 'GET', ca: root.rootPem, timeoutMs: 2000, ...more });

test('method, path with query, bearer and body arrive, status and JSON come back', async () => {
  const reply = await call('/a?b=c', { method: 'POST', body: { x: 1 }, bearer: 'abc' });
  expect(reply).toMatchObject({
    status: 418,
    body: { path: '/a?b=c', method: 'POST', authorization: 'Bearer abc', body: '{"x":1}' },
  });
});

test.each([
  ['/hang', 'did not answer within 300 ms'],
  ['/reset', 'NGHTTP2_INTERNAL_ERROR'],
  ['/gone', '/gone: '],
  ['/huge', 'larger than 1000 bytes'],
  ['/broken', 'not valid JSON'],
])('%s rejects and says why', async (path, message) => {
  await expect(call(path, { timeoutMs: 300, replyBytesMax: 1000 })).rejects.toThrow(message);
});

test('a peer that no given root vouches for is refused', async () => {
  const foreign = await createSelfSignedIssuer('cluster.local', 86_400_000, now);
  await expect(call('/', { ca: foreign.rootPem })).rejects.toThrow(/certificate/);
});

const refuseAnyone = () => new Error('not the one I wanted');

test('a peer is refused by its identity', async () => {
  await expect(call('/', { checkIdentity: refuseAnyone })).rejects.toThrow('not the one I wanted');
  let names: string | undefined;
  await call('/', {
    checkIdentity: (peer) => {
      names = peer.subjectaltname;
      return undefined;
    },
  });
  expect(names).toContain('URI:spiffe://cluster.local/ns/a/sa/b');
});

test('nobody there, and a scheme without TLS, reject', async () => {
  await expect(call('/', { url: 'https://127.0.0.1:1/' })).rejects.toThrow('ECONNREFUSED');
  await expect(call('/', { url: 'http://127.0.0.1:1/' })).rejects.toThrow('https');
});
