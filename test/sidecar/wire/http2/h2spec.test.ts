import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { promisify } from 'node:util';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { HttpServer } from '#sidecar/wire/http-server.ts';
import { http1Limits } from '#sidecar/wire/http1/limits.ts';
import { http2Limits } from '#sidecar/wire/http2/limits.ts';
import { downstreamOf } from '#test/sidecar/wire/http1/rig.ts';
import { issue, makeTestCa } from '#test/tls/fixtures.ts';

import { Http2Rig } from './rig.ts';

const run = promisify(execFile);
const installed = await run('h2spec', ['--version']).then(
  () => true,
  () => false,
);
if (!installed) console.log('skipped: h2spec is not installed; .ci/run installs it with go');

const application = createHttpServer((request, response) => {
  request.resume();
  request.on('end', () => response.end('some bytes for flow control to hold back'));
});
let rig: Http2Rig;

beforeAll(async () => {
  application.listen(0, '127.0.0.1');
  await once(application, 'listening');
  const { port } = application.address() as AddressInfo;
  rig = await Http2Rig.start({ upstreamPort: port, upstream: 'http1', declaredHttp2: true });
});

afterAll(async () => {
  await rig.stop();
  application.closeAllConnections();
  application.close();
});

test.skipIf(!installed)('every h2spec case passes in the clear', { timeout: 120_000 }, async () => {
  const found = await casesOf(rig.port, []);
  expect(found.failed).toEqual([]);
  expect(found.passed).toBeGreaterThan(140);
});

test.skipIf(!installed)('every h2spec case passes over TLS', { timeout: 120_000 }, async () => {
  const { keyPem, certPem } = await issue(await makeTestCa(), { uri: 'spiffe://a/ns/b/sa/c' });
  const server = new HttpServer({
    http1: http1Limits,
    http2: http2Limits,
    path: {
      start: (x) => x.stream.forward(rig.pool.http1),
      respond: () => {},
      finish: () => {},
    },
  });
  const listener = createTlsServer({ key: keyPem, cert: certPem, ALPNProtocols: ['h2'] });
  listener.on('secureConnection', (socket) => {
    server.accept(socket, downstreamOf(socket), null, socket.alpnProtocol || '');
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const found = await casesOf(port, ['-t', '-k']);
  listener.close();
  expect(found.failed).toEqual([]);
  expect(found.passed).toBeGreaterThan(140);
});

/** Runs h2spec; a case that fails is told with what was expected and what came. */
async function casesOf(
  port: number,
  more: readonly string[],
): Promise<{ passed: number; failed: string[] }> {
  const options = ['-h', '127.0.0.1', '-p', String(port), '-o', '5', ...more];
  const { stdout } = await run('h2spec', options, { maxBuffer: 1e7 }).catch(
    (error: { stdout: string }) => error,
  );
  const failures = stdout.split('Failures:')[1] ?? '';
  const passed = Number(/(\d+) passed/.exec(stdout)?.[1] ?? 0);
  const skipped = Number(/(\d+) skipped/.exec(stdout)?.[1] ?? 0);
  expect(skipped).toBe(0);
  return { passed, failed: failures === '' ? [] : [failures] };
}
