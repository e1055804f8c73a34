import { request } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';

import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { Collector } from '#cli/dashboard/collector.ts';
import { tracesPage } from '#cli/dashboard/pages/traces.ts';
import { type Dashboard, startDashboard } from '#cli/dashboard/server.ts';

import { FakeMesh, manyWorkloads, refusal, shop, tracedCalls } from './fake-mesh.ts';

const now = Date.parse('2026-11-27T14:00:00.000Z');
const hostile = `"><img src=x onerror=alert(1)>'`;
let mesh: FakeMesh;
let served: Dashboard;
let url: URL;
let cookie: string;

beforeAll(async () => {
  mesh = new FakeMesh(shop);
  mesh.records = [
    refusal('r-1'),
    refusal('r-2', { path: `/${hostile}`, why: hostile, nearest: null }),
  ];
  mesh.tapped = tracedCalls('4bf92f3577b34da6a3ce929d0e0e4736');
  served = await startDashboard({ mesh: mesh.sidecars, ports: [0], now: () => now });
  url = new URL(served.url);
  const first = await get(served.url.slice(url.origin.length), { cookie: '' });
  cookie = String(first.headers['set-cookie']).split(';')[0] ?? '';
});
afterAll(() => served.close());

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

function get(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: url.port, path, method };
    const sent = request({ ...options, headers: { cookie, ...headers } }, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (text: string) => (body += text));
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body }),
      );
    });
    sent.on('error', reject).end();
  });
}

test('without the token there is nothing, neither a page nor its style', async () => {
  for (const path of ['/', '/w', '/style.css', '/?token=', '/?token=wrong', '/nowhere']) {
    const { status, body } = await get(path, { cookie: '' });
    expect(status).toBe(401);
    expect(body).not.toContain('payments');
  }
  expect((await get('/', { cookie: cookie.replace(/.$/, '') })).status).toBe(401);
});

test('the token of the address becomes a cookie that only this page gets', async () => {
  const { status, headers, body } = await get(`/w?token=${url.searchParams.get('token')}&q=pay`, {
    cookie: '',
  });
  expect(status).toBe(200);
  expect(String(headers['set-cookie'])).toMatch(/; HttpOnly; SameSite=Strict$/);
  expect(body).toContain('url=/w?q=pay');
  expect(body).not.toContain(url.searchParams.get('token'));
});

test('a name that is not its own is refused, whatever it resolves to', async () => {
  for (const host of [
    'evil.example',
    `evil.example:${url.port}`,
    '127.0.0.1',
    `127.0.0.1.evil:${url.port}`,
  ]) {
    expect((await get('/', { host })).status).toBe(403);
  }
  expect((await get('/', { host: `localhost:${url.port}` })).status).toBe(200);
});

test('it takes GET only', async () => {
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    const { status, headers } = await get('/', {}, method);
    expect(status).toBe(405);
    expect(headers.allow).toBe('GET, HEAD');
  }
  expect((await get('/', {}, 'HEAD')).body).toBe('');
});

test('every answer forbids all that is not its own', async () => {
  for (const path of ['/', '/style.css', '/script.js', '/nowhere', '/why?id=x']) {
    const { headers } = await get(path);
    expect(headers['content-security-policy']).toMatch(
      /^default-src 'none'; .*frame-ancestors 'none'$/,
    );
    expect(headers['content-security-policy']).not.toMatch(/unsafe|https?:|\*/);
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
    });
    expect(headers['access-control-allow-origin']).toBeUndefined();
  }
});

test('the graph has every workload, with a picture and a table', async () => {
  const { body } = await get('/');
  expect(body).toContain('href="/w/payments/payments"');
  expect(body).toContain('<svg width=');
  expect(body).toContain('nightly-report');
  expect(body).toContain('mTLS');
  const { body: filtered } = await get('/?q=billing&ns=web');
  expect(filtered).not.toContain('href="/w/payments/payments"');
});

test('a workload shows its policies, refusals, certificates and limits', async () => {
  const { body } = await get('/w/payments/payments');
  for (const text of [
    'payments/admit-billing',
    'POST /api/v1/charges',
    'STRICT',
    'r-1',
    '19h left',
    'per-tenant',
    '48k',
  ]) {
    expect(body).toContain(text);
  }
  expect((await get('/w/no/body')).status).toBe(404);
});

test('a refusal is told step by step', async () => {
  const { body } = await get('/why/r-1');
  expect(body).toContain('The rule that came nearest');
  expect(body).toContain('cluster.local/ns/billing/sa/billing-sa');
  expect((await get('/why/none')).status).toBe(404);
  const { status, headers } = await get('/why?id=r%201');
  expect([status, headers.location]).toEqual([303, '/why/r%201']);
});

test('the inspector asks the sidecar of the callee, and shows each rule', async () => {
  mesh.answers.set('payments-0 /explain', {
    snapshot: 4,
    mtls: 'STRICT',
    decision: 'deny',
    explanation: { summary: 'denied: so says the sidecar' },
  });
  const call = 'ask=yes&from=web/web-sa&to=payments/payments&method=POST&path=/api/v1/charges';
  const { body } = await get(`/inspect?${call}`);
  expect(body).toContain('Denied: so says the sidecar');
  expect(body).toContain('<code>to.operation.methods</code>');
  expect(mesh.posted.at(-1)).toEqual({
    pod: 'payments-0',
    path: '/explain',
    body: {
      port: 8080,
      method: 'POST',
      path: '/api/v1/charges',
      authority: 'payments.payments.svc.cluster.local:8080',
      scheme: 'http',
      headers: [],
      identities: ['spiffe://cluster.local/ns/web/sa/web-sa'],
      sourceIp: '10.0.0.1',
      token: null,
      tcp: false,
    },
  });
});

test.each([
  ['from=x&to=payments/payments', 'is no caller'],
  ['from=none&to=no/body', 'no sidecar is of a workload'],
  ['from=none&to=payments/payments&port=99999', 'A port is a number'],
  ['from=none&to=payments/payments&headers=x', 'A header is'],
  ['from=none&to=payments/payments&token=[]', 'Claims are an object'],
  ['from=none&to=payments/payments&ip=x', 'is no IP address'],
])('a form of %s is told what is wrong', async (query, sentence) => {
  const { status, body } = await get(`/inspect?ask=yes&${query}`);
  expect(status).toBe(200);
  expect(body.toLowerCase()).toContain(sentence.toLowerCase());
});

test('a pasted call fills the form in, without its credentials', async () => {
  const call = `curl -H 'authorization: Bearer secret' http://payments.payments:8080/x`;
  const { status, headers } = await get(`/inspect?call=${encodeURIComponent(call)}`);
  expect(status).toBe(303);
  expect(headers.location).toBe(
    '/inspect?to=payments%2Fpayments&method=GET&path=%2Fx&host=payments.payments%3A8080',
  );
});

test('calls without a trace are told apart from no calls', async () => {
  const untraced = new FakeMesh(shop);
  const said = async (): Promise<string> => {
    const collector = new Collector(untraced.sidecars, () => now);
    const { body } = await tracesPage(collector);
    await collector.close();
    return body.text;
  };
  expect(await said()).toContain('No call has been seen yet');
  untraced.records = [{ ...refusal('r-1'), traceId: '' }];
  expect(await said()).toContain('1 record of calls, and none belongs to a trace');
});

test('a trace is a waterfall', async () => {
  expect((await get('/t')).body).toContain('/t/4bf92f3577b34da6a3ce929d0e0e4736');
  const { body } = await get('/t/4bf92f3577b34da6a3ce929d0e0e4736');
  expect(body.match(/class="span /g)).toHaveLength(6);
});

test('a mesh that cannot be asked is a page that says so', async () => {
  const sidecars = {
    ...mesh.sidecars,
    list: () => Promise.reject(new Error('no cluster at home')),
  };
  const other = await startDashboard({ mesh: sidecars, ports: [0] });
  const { origin, search } = new URL(other.url);
  const kept = await fetch(`${origin}/${search}`);
  const headers = { cookie: (kept.headers.get('set-cookie') ?? '').split(';')[0] ?? '' };
  const page = await (await fetch(`${origin}/`, { headers })).text();
  expect(page).toContain('no cluster at home');
  await other.close();
});

test('nothing that a sidecar or an address says gets through as markup', async () => {
  for (const path of ['/', '/why', '/why/r-2', '/w/payments/payments', '/t']) {
    const { body } = await get(
      `${path}?q=${encodeURIComponent(hostile)}&ns=${encodeURIComponent(hostile)}`,
    );
    expect(body).not.toContain('<img');
  }
  const text = fc.string({ unit: 'grapheme', maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(text, text, async (a, b) => {
      const mark = `<x${a}>`;
      const query = new URLSearchParams({
        ask: 'yes',
        from: mark,
        to: b,
        q: mark,
        id: '',
        call: '',
      });
      for (const path of [
        `/w/${encodeURIComponent(mark)}/x`,
        `/why/${encodeURIComponent(mark)}`,
        `/inspect?${query.toString()}`,
      ]) {
        expect((await get(path)).body).not.toContain('<x');
      }
    }),
    { numRuns: 30 },
  );
});

test('a mesh of 150 workloads is drawn, one of more has a table and says why', async () => {
  for (const [count, isDrawn] of [
    [150, true],
    [200, false],
  ] as const) {
    const large = new FakeMesh(manyWorkloads(count));
    const other = await startDashboard({ mesh: large.sidecars, ports: [0] });
    const { origin, search } = new URL(other.url);
    const kept = await fetch(`${origin}/${search}`);
    const headers = { cookie: (kept.headers.get('set-cookie') ?? '').split(';')[0] ?? '' };
    const page = await (await fetch(`${origin}/`, { headers })).text();
    expect(page.includes('class="graph"')).toBe(isDrawn);
    expect(page.includes('too many for a picture')).toBe(!isDrawn);
    await other.close();
  }
});
