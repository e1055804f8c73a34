// Where `up` and `demo` send traces when nobody says where, and the links that they print.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, expect, test } from 'vitest';

import type { LiveResult } from '#cli/up/scenario.ts';
import { findTraceHome, traceLinks } from '#cli/up/trace-home.ts';
import { freePort } from '#test/free-port.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** Answers with that status and type; null: not at all. @returns its URL, and what it was asked */
async function serve(
  answer: { status: number; type: string } | null,
): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers['content-type'] ?? ''}`);
    if (answer !== null)
      response.writeHead(answer.status, { 'content-type': answer.type }).end('{}');
  });
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

const protobuf = { status: 200, type: 'application/x-protobuf' };
const json = { status: 200, type: 'application/json' };

async function nobody(): Promise<string> {
  return `http://127.0.0.1:${await freePort()}`;
}

test('a Jaeger on its usual ports gets the traces, and its page is named', async () => {
  const otlp = await serve(protobuf);
  const jaeger = await serve(json);
  const home = await findTraceHome('', { otlp: otlp.url, jaeger: jaeger.url });
  expect(home).toEqual({
    otlpEndpoint: otlp.url,
    pages: `${jaeger.url}/trace/`,
    line: `Traces go to ${otlp.url}. Jaeger shows them: ${jaeger.url}`,
  });
  expect(otlp.asked).toEqual(['POST /v1/traces application/x-protobuf']);
});

test('another collector gets them too, but nobody is said to show them', async () => {
  const otlp = await serve(protobuf);
  const home = await findTraceHome('', { otlp: otlp.url, jaeger: await nobody() });
  expect(home).toMatchObject({ otlpEndpoint: otlp.url, pages: '' });
  expect(traceLinks(home, [resultOf(200, 'a')])).toBe('');
});

test('with no collector, one that hangs, or a server of another kind, a line says how to start Jaeger', async () => {
  const hanging = await serve(null);
  const page = await serve({ status: 200, type: 'text/html' });
  const absent = await nobody();
  for (const otlp of [absent, hanging.url, page.url]) {
    const home = await findTraceHome('', { otlp, jaeger: absent });
    expect(home).toMatchObject({ otlpEndpoint: '', pages: '' });
    expect(home.line).toMatch(/^No traces are kept: .*\n {2}docker run .*4318:4318 .*jaeger/);
  }
});

test('what the user says is done, and nobody is asked', async () => {
  const otlp = await serve(protobuf);
  const places = { otlp: otlp.url, jaeger: otlp.url };
  expect(await findTraceHome('grpc://jaeger:4317', places)).toEqual({
    otlpEndpoint: 'grpc://jaeger:4317',
    pages: '',
    line: '',
  });
  expect(await findTraceHome('off', places)).toEqual({ otlpEndpoint: '', pages: '', line: '' });
  expect(otlp.asked).toEqual([]);
});

test('links lead to the first call that passed and to the first that was denied', () => {
  const home = { otlpEndpoint: 'x', pages: 'http://127.0.0.1:16686/trace/', line: '' };
  const results = [
    { ...resultOf(201, 'unseen'), line: null },
    resultOf(201, 'aa'),
    resultOf(200, 'bb'),
    resultOf(401, 'cc'),
    resultOf(403, 'dd'),
  ];
  expect(traceLinks(home, results)).toBe(
    'trace of the first call: http://127.0.0.1:16686/trace/aa\n' +
      'trace of a denied call: http://127.0.0.1:16686/trace/dd\n',
  );
  expect(traceLinks(home, [])).toBe('');
});

function resultOf(status: number, traceId: string): LiveResult {
  return {
    call: {
      name: '',
      from: '',
      to: '',
      port: 0,
      method: 'GET',
      path: '/',
      host: '',
      headers: [],
    },
    reply: { status, headers: new Map(), body: '', failure: '', localPort: 0 },
    traceId,
    line: {} as LiveResult['line'],
    unsent: '',
  };
}
