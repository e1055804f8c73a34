// Filters on the inbound path of a sidecar, in threads: what they may change, and what they cannot break.
import type { ServerResponse, IncomingMessage } from 'node:http';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { exchange, get, plain, received, Rig, type HttpReply, type TestSidecar } from '../rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(async () => {
  await rig.close();
});

/** @param more of the spec, as YAML flow text */
function filter(source: string, more = '', name = 'own'): string {
  return `
---
apiVersion: selvage.dev/v1alpha1
kind: Filter
metadata: { name: ${name}, namespace: shop }
spec: { timeout: 2s, source: ${JSON.stringify(source)}${more} }
`;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function sidecarWith(policies: string, handler?: Handler): Promise<TestSidecar> {
  const { port } = await rig.application(handler);
  const sidecar = await rig.sidecar({ application: port, policies });
  // Its threads end with it.
  rig.onClose(() => sidecar.apply({ policies: '' }));
  return sidecar;
}

async function call(sidecar: TestSidecar, raw = get('/')): Promise<HttpReply> {
  return exchange(await plain(sidecar.inboundPort), raw);
}

function post(body: string): string {
  return `POST /p HTTP/1.1\r\nhost: p\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

test('a filter sees a request and edits its head, path and body', async () => {
  const sidecar = await sidecarWith(
    filter(
      `
      import { createHash } from 'node:crypto';
      export function onRequest(r: { method: string; path: string; headers: [string, string][]; body: Uint8Array }) {
        const text = new TextDecoder().decode(r.body);
        return {
          path: r.path + '/more?x',
          headers: { set: { 'X-Seen': [r.method, r.path, new Map(r.headers).get('host')].join(' ') }, add: { 'x-a': createHash('md5').update(text).digest('hex') } },
          body: text.toUpperCase(),
        };
      }`,
      ', requestBody: true',
    ),
  );
  const { url, headers, body } = received(await call(sidecar, post('hello')));
  expect([url, body, headers['x-seen']]).toEqual(['/p/more?x', 'HELLO', 'POST /p p']);
  expect(headers['x-a']).toBe('5d41402abc4b2a76b9719d911017c592');
  expect(headers['content-length']).toBe('5');
});

test('a filter may answer itself, and only what it matches', async () => {
  const source = `export const onRequest = async () => ({ respond: { status: 451, headers: { 'x-why': 'law' }, body: 'no' } });`;
  const sidecar = await sidecarWith(filter(source, ', match: [{ paths: [/no] }]'));
  const reply = await call(sidecar, get('/no'));
  expect(reply).toMatchObject({ status: 451, body: 'no' });
  expect(reply.headers).toMatchObject({ 'x-why': 'law', server: 'selvage' });
  expect((await call(sidecar)).status).toBe(200);
});

test('a filter sees answers whole and edits them; those that pass by are streams and what is encoded', async () => {
  const source = `
    export function onResponse(response: { status: number; body: Uint8Array }, request: { path: string }) {
      const text = new TextDecoder().decode(response.body);
      return { headers: { remove: ['x-inner'], set: { 'x-of': request.path + response.status } }, body: text.replaceAll('secret', '***') };
    }`;
  let type = 'text/plain';
  const sidecar = await sidecarWith(filter(source, ', responses: true'), (_request, response) => {
    response.writeHead(201, { 'content-type': type, 'x-inner': '1' });
    response.write('the ');
    response.end('secret');
  });
  const reply = await call(sidecar);
  expect([reply.body, reply.headers['x-of'], reply.headers['x-inner']]).toEqual([
    'the ***',
    '/201',
    undefined,
  ]);
  type = 'text/event-stream';
  expect((await call(sidecar)).body).toContain('secret');
});

const failing: [string, string, RegExp][] = [
  ['throws', `export function onRequest() { throw new Error('on no account'); }`, /on_no_account/],
  ['rejects', `export async function onRequest() { throw 'x'; }`, /filter_failed\{x\}/],
  ['gives nonsense', `export const onRequest = () => ({ path: 'a b' });`, /path_is_no_path/],
  [
    'breaks lines',
    `export const onRequest = () => ({ headers: { set: { a: 'b\\r\\nc: d' } } });`,
    /is_no_header/,
  ],
  [
    'gives what cannot be sent',
    `export const onRequest = () => ({ f() {} });`,
    /could_not_be_cloned/,
  ],
  ['gives an unasked body', `export const onRequest = () => ({ body: 'x' });`, /requestBody/],
  ['is no TypeScript', `export const onRequest = (: number`, /filter_failed/],
  ['exports nothing of use', `export const other = 1;`, /exports_neither/],
  ['ends its thread', `export function onRequest() { process.exit(0); }`, /thread_ended|exit/],
  ['imports what is not there', `import 'nowhere'; export const onRequest = 1;`, /filter_failed/],
];

test.each(failing)(
  'one that %s refuses the request, or lets it pass by choice',
  async (_, source, why) => {
    const sidecar = await sidecarWith(filter(source));
    expect(await call(sidecar)).toMatchObject({ status: 500, body: 'filter failed' });
    expect(sidecar.telemetry.ended[0]?.details).toMatch(why);
    sidecar.apply({ policies: filter(source, ', onFailure: pass') });
    expect((await call(sidecar)).status).toBe(200);
    expect(sidecar.faults).toEqual([]);
  },
);

test('an endless loop is ended in time, and the sidecar and the filter go on', async () => {
  const source = `export function onRequest(r: { path: string }) { while (r.path === '/loop'); return { path: '/ok' }; }`;
  const sidecar = await sidecarWith(filter(source).replace('timeout: 2s', 'timeout: 200ms'));
  expect(received(await call(sidecar)).url).toBe('/ok');
  expect((await call(sidecar, get('/loop'))).status).toBe(500);
  expect(sidecar.telemetry.ended[1]?.details).toContain('took_longer_than_200_ms');
  await expect.poll(async () => (await call(sidecar)).status, { timeout: 10_000 }).toBe(200);
});

test.each([
  [
    'its heap',
    `const kept: unknown[] = []; export function onRequest() { for (;;) kept.push(new Array(100_000).fill(kept.length)); }`,
  ],
  [
    'buffers',
    `const kept: Uint8Array[] = []; export async function onRequest() { for (;;) { kept.push(new Uint8Array(1 << 20).fill(1)); await new Promise((r) => setTimeout(r, 5)); } }`,
  ],
])(
  'a leak of %s ends its thread, not the sidecar',
  async (_, source) => {
    const policies = filter(source, ', memoryMiB: 16').replace('timeout: 2s', 'timeout: 60s');
    const sidecar = await sidecarWith(policies);
    expect((await call(sidecar)).status).toBe(500);
    expect(sidecar.telemetry.ended[0]?.details).toMatch(/memory|over_16_MiB/);
  },
  70_000,
);

function counting(text: string): string {
  const source = `let n = 0; export const onRequest = () => ({ headers: { set: { x: '${text}' + ++n } } });`;
  return filter(source);
}

test('an edit is in force with the next request; the thread of the one before ends', async () => {
  const sidecar = await sidecarWith(counting('a'));
  const seen = async () => received(await call(sidecar)).headers['x'];
  expect([await seen(), await seen()]).toEqual(['a1', 'a2']);
  sidecar.apply({ policies: counting('b') });
  expect(await seen()).toBe('b1');
  // What says the same keeps its thread, and what that remembers.
  sidecar.apply({ policies: counting('b') });
  expect(await seen()).toBe('b2');
});

test('several filters are asked in order, each of what the one before made', async () => {
  const one = `export const onRequest = (r: { path: string }) => ({ path: r.path + 'a' });`;
  const sidecar = await sidecarWith(
    filter(one, '', 'a') + filter(one.replace(`'a'`, `'b'`), '', 'b'),
  );
  expect(received(await call(sidecar)).url).toBe('/ab');
});
