// Admin endpoints on this machine: answers, refusals and streams.
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, expect, test } from 'vitest';

import { RefusedAnswer } from '#cli/sidecars/answer.ts';
import { loopbackSidecar } from '#cli/sidecars/loopback.ts';
import type { AskableSidecar } from '#cli/sidecars/source.ts';

let server: Server | null = null;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function sidecar(listener: RequestListener): Promise<AskableSidecar> {
  server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: admin } = server.address() as AddressInfo;
  return loopbackSidecar({ namespace: 'shop', workload: 'web', pod: 'web-0', admin });
}

test('an answer is read as JSON, a body is sent as JSON', async () => {
  const web = await sidecar((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      const { method, url, headers } = request;
      response.end(JSON.stringify({ method, url, body, type: headers['content-type'] }));
    });
  });
  expect(await web.ask('/why?id=x')).toMatchObject({ method: 'GET', url: '/why?id=x', body: '' });
  expect(await web.post('/explain', { port: 1 })).toMatchObject({
    method: 'POST',
    body: '{"port":1}',
    type: 'application/json',
  });
});

test.each([
  ['{"error":"none of that"}', 'answers 404: none of that', false],
  ['no /why here\n\nGET /ready', 'answers 404: no /why here', true],
])('a refusal %j is told in its words', async (body, message, unknownPath) => {
  const web = await sidecar((_request, response) => response.writeHead(404).end(body));
  const error: unknown = await web.ask('/why').catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RefusedAnswer);
  expect(error).toMatchObject({ status: 404, unknownPath });
  expect(String(error)).toMatch(`the sidecar of shop/web-0 ${message}`);
});

test('what is no JSON, and nobody at all', async () => {
  const web = await sidecar((_request, response) => response.end('<html>'));
  await expect(web.ask('/edges')).rejects.toThrow('answers what is no JSON: <html>');
  const away = loopbackSidecar({ namespace: 'shop', workload: 'web', pod: 'web-0', admin: 9 });
  await expect(away.ask('/edges')).rejects.toThrow(/shop\/web-0 does not answer: .*ECONNREFUSED/);
});

test('a stream comes line by line, in whatever pieces; it ends when the reader has had enough', async () => {
  const gone = Promise.withResolvers<void>();
  const web = await sidecar((_request, response) => {
    response.write('{"n":1}\n{"n"');
    setImmediate(() => response.write(':2}\nno json\n{"n":3}\n'));
    response.on('close', () => gone.resolve());
  });
  const enough = new AbortController();
  const lines: unknown[] = [];
  await web.follow(
    '/tap',
    (line) => {
      lines.push(line);
      if (lines.length === 3) enough.abort();
    },
    enough.signal,
  );
  expect(lines).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  await gone.promise;
});

test('a stream that the sidecar ends or refuses', async () => {
  const web = await sidecar((request, response) => {
    if (request.url === '/tap') response.end('{"n":1}');
    else response.writeHead(429).end('{"error":"there are 4 taps already"}');
  });
  const { signal } = new AbortController();
  const lines: unknown[] = [];
  await web.follow('/tap', (line) => lines.push(line), signal);
  expect(lines).toEqual([{ n: 1 }]);
  await expect(web.follow('/more', () => undefined, signal)).rejects.toThrow('there are 4 taps');
});
