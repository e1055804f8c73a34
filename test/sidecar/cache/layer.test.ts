// A response cache on the inbound path of a sidecar, over sockets: what is asked of the application, and what is not.
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';

import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import {
  authorization,
  exchange,
  get,
  mutual,
  plain,
  Rig,
  spiffe,
  type HttpReply,
  type TestSidecar,
} from '../rig.ts';

let rig: Rig;
/** Requests that came to the application. */
let asked: IncomingMessage[];
let says: OutgoingHttpHeaders;
beforeEach(async () => {
  rig = await Rig.create();
  asked = [];
  says = { 'cache-control': 'max-age=60' };
});
afterEach(async () => {
  vi.useRealTimers();
  await rig.close();
});

/** Counts its answers, and knows the entity tag that it gave last. */
function application(request: IncomingMessage, response: ServerResponse): void {
  asked.push(request);
  if (says['etag'] !== undefined && request.headers['if-none-match'] === says['etag']) {
    response.writeHead(304, says).end();
    return;
  }
  response.writeHead(request.url === '/missing' ? 404 : 200, says);
  response.write('answer ');
  setImmediate(() => response.end(String(asked.length)));
}

const cache = responseCache('{}');

function responseCache(rule: string, more = ''): string {
  return `
---
apiVersion: selvage.dev/v1alpha1
kind: ResponseCache
metadata: { name: answers, namespace: shop }
spec: { rules: [${rule}]${more} }
`;
}

async function sidecarWith(policies: string): Promise<TestSidecar> {
  const { port } = await rig.application(application);
  return rig.sidecar({ application: port, policies });
}

async function call(sidecar: TestSidecar, path = '/', headers = '', method = 'GET') {
  const raw = get(path, headers).replace('GET', method);
  return exchange(await plain(sidecar.inboundPort), raw);
}

async function bodies(sidecar: TestSidecar, ...calls: [path?: string, headers?: string][]) {
  const found: string[] = [];
  for (const one of calls) found.push(textOf(await call(sidecar, ...one)));
  return found.join(' ');
}

/** The number of the application's answer. */
function textOf({ body }: HttpReply): string {
  return /answer ?\D*(\d+)/s.exec(body.replace(/\r\n(0|1|7)\r\n/g, ''))?.[1] ?? body;
}

test('an answer is given again, with its age and what the cache did', async () => {
  const sidecar = await sidecarWith(cache);
  const first = await call(sidecar);
  expect(first.headers['cache-status']).toBe('selvage;fwd=uri-miss;stored');
  const again = await call(sidecar);
  expect(again).toMatchObject({ status: 200, body: 'answer 1' });
  expect(again.headers).toMatchObject({ age: '0', 'content-length': '8', server: 'selvage' });
  expect(again.headers['date']).toBe(first.headers['date']);
  expect(again.headers['cache-status']).toMatch(/^selvage;hit;ttl=(59|60)$/);
  expect(sidecar.telemetry.ended[1]?.details).toBe('response_from_cache');
  expect((await call(sidecar, '/', '', 'HEAD')).headers['content-length']).toBe('8');
  expect((await call(sidecar, '/missing')).status).toBe(404);
  expect((await call(sidecar, '/missing')).body).toBe('answer 2');
  expect(asked).toHaveLength(2);
});

test('off where no rule matches, and what is not said to last is not kept', async () => {
  const sidecar = await sidecarWith(responseCache('{ match: [{ paths: ["/c/*"] }] }'));
  expect(await bodies(sidecar, ['/'], ['/'])).toBe('1 2');
  expect((await call(sidecar)).headers['cache-status']).toBeUndefined();
  says = {};
  expect(await bodies(sidecar, ['/c/a'], ['/c/a'])).toBe('4 5');
  sidecar.apply({ policies: responseCache('{ defaultTtl: 1m }') });
  expect(await bodies(sidecar, ['/c/a'], ['/c/a'])).toBe('6 6');
});

test('a hit is authorised as a miss is', async () => {
  const sidecar = await sidecarWith(cache);
  await call(sidecar);
  const deny = authorization(
    'no-red',
    'DENY',
    '[{ when: [{ key: "request.headers[x-c]", values: [red] }] }]',
  );
  sidecar.apply({ policies: cache + deny });
  expect((await call(sidecar, '/', 'x-c: red\r\n')).status).toBe(403);
  expect((await call(sidecar, '/', 'x-c: blue\r\n')).body).toBe('answer 1');
});

test.each(['authorization: Bearer a', 'cookie: a=b', 'x-api-key: k'])(
  'what is asked with %s is not kept, and gets nothing that others were given',
  async (credential) => {
    const sidecar = await sidecarWith(cache);
    const line = `${credential}\r\n`;
    expect(await bodies(sidecar, ['/'], ['/', line], ['/', line], ['/'])).toBe('1 2 3 1');
    says = { 'cache-control': 'public, max-age=60' };
    expect(await bodies(sidecar, ['/b', line], ['/b', line], ['/b', `${credential}2\r\n`])).toBe(
      '4 4 4',
    );
  },
);

test('with identity each caller has answers of its own', async () => {
  const sidecar = await sidecarWith(responseCache('{ identity: true }'));
  expect(
    await bodies(
      sidecar,
      ['/'],
      ['/', 'authorization: a\r\n'],
      ['/', 'authorization: b\r\n'],
      ['/', 'authorization: a\r\n'],
    ),
  ).toBe('1 2 3 2');
  const peers = await Promise.all(['web', 'api'].map((name) => rig.issued(spiffe('shop', name))));
  const seen: string[] = [];
  for (const peer of [...peers, ...peers]) {
    seen.push(textOf(await exchange(await mutual(sidecar.inboundPort, peer), get('/'))));
  }
  expect(seen.join(' ')).toBe('4 5 4 5');
});

test('answers vary by the headers that they name', async () => {
  says = { 'cache-control': 'max-age=60', vary: 'Accept-Language' };
  const sidecar = await sidecarWith(cache);
  const [de, en] = ['accept-language: de\r\n', 'accept-language: en\r\n'];
  expect(await bodies(sidecar, ['/', de], ['/', en], ['/', de], ['/', en], ['/'])).toBe(
    '1 2 1 2 3',
  );
});

test('what is stale is asked for again by its tag, and a 304 makes it new', async () => {
  says = { 'cache-control': 'max-age=0', etag: '"1"', 'x-n': '1' };
  const sidecar = await sidecarWith(cache);
  await call(sidecar);
  says['cache-control'] = 'max-age=60';
  const again = await call(sidecar);
  expect(asked[1]?.headers['if-none-match']).toBe('"1"');
  expect(again).toMatchObject({ status: 200, body: 'answer 1' });
  expect(again.headers['cache-status']).toBe('selvage;fwd=stale;fwd-status=304;stored;ttl=60');
  expect((await call(sidecar)).headers['cache-status']).toContain('hit');
  expect(asked).toHaveLength(2);
  says = { 'cache-control': 'max-age=60', etag: '"2"' };
  expect(textOf(await call(sidecar, '/', 'cache-control: no-cache\r\n'))).toBe('3');
  expect(await bodies(sidecar, ['/'])).toBe('3');
});

test('a client that has it is told so, from what is kept and after it was asked for again', async () => {
  says = { 'cache-control': 'max-age=60', etag: '"1"' };
  const sidecar = await sidecarWith(cache);
  await call(sidecar);
  expect(await call(sidecar, '/', 'if-none-match: "1"\r\n')).toMatchObject({
    status: 304,
    body: '',
  });
  expect((await call(sidecar, '/', 'if-none-match: "0"\r\n')).status).toBe(200);
  const both = 'if-none-match: "1"\r\ncache-control: no-cache\r\n';
  expect((await call(sidecar, '/', both)).status).toBe(304);
  expect(asked).toHaveLength(2);
});

test('a change of a target forgets it, and what it names, on the same host only', async () => {
  const sidecar = await sidecarWith(cache);
  const targets: [string][] = [['/a'], ['/b'], ['/c']];
  expect(await bodies(sidecar, ...targets, ...targets)).toBe('1 2 3 1 2 3');
  says = { location: '/b', 'content-location': 'http://elsewhere/c' };
  const reply = await call(sidecar, '/a', '', 'DELETE');
  expect(reply.headers['cache-status']).toBe('selvage;fwd=method');
  says = { 'cache-control': 'max-age=60' };
  expect(await bodies(sidecar, ...targets)).toBe('5 6 3');
});

test('directives of a request: no-store, only-if-cached, and parts, which pass by', async () => {
  const sidecar = await sidecarWith(cache);
  expect(await bodies(sidecar, ['/', 'cache-control: no-store\r\n'], ['/'])).toBe('1 2');
  expect((await call(sidecar, '/x', 'cache-control: only-if-cached\r\n')).status).toBe(504);
  expect((await call(sidecar, '/', 'cache-control: only-if-cached\r\n')).body).toBe('answer 2');
  const part = await call(sidecar, '/', 'range: bytes=0-1\r\n');
  expect(part.headers['cache-status']).toBe('selvage;fwd=bypass');
});

test('what is larger than it may be passes, and is not kept; a cache that is said otherwise begins anew', async () => {
  const sidecar = await sidecarWith(responseCache('{}', ', maxBodyBytes: 5'));
  expect(await bodies(sidecar, ['/'], ['/'])).toBe('1 2');
  sidecar.apply({ policies: cache });
  expect(await bodies(sidecar, ['/'], ['/'])).toBe('3 3');
  sidecar.apply({ policies: cache, mesh: { accessLogFile: '' } });
  expect(await bodies(sidecar, ['/'])).toBe('3');
  sidecar.apply({ policies: responseCache('{}', ', maxBytes: 2000000') });
  expect(await bodies(sidecar, ['/'])).toBe('4');
});

test('what comes from the cache is transformed as what comes from the application', async () => {
  says = { 'cache-control': 'max-age=60', 'content-type': 'application/json' };
  const { port } = await rig.application((_request, response) => {
    response.writeHead(200, says);
    response.end('{"a":1,"secret":2}');
  });
  const edits = `
---
apiVersion: selvage.dev/v1alpha1
kind: Transformation
metadata: { name: edits, namespace: shop }
spec: { rules: [{ response: { headers: { set: { x-for: "%REQ(x-user)%" } }, json: { remove: [secret] } } }] }
`;
  const sidecar = await rig.sidecar({ application: port, policies: cache + edits });
  for (const user of ['ada', 'grace']) {
    const reply = await call(sidecar, '/', `x-user: ${user}\r\n`);
    expect([reply.body, reply.headers['x-for']]).toEqual(['{"a":1}', user]);
  }
  expect(sidecar.telemetry.ended[1]?.details).toBe('response_from_cache');
  expect(sidecar.faults).toEqual([]);
});

/** From a whole second on, so that ages are whole. */
function freeze(): void {
  vi.useFakeTimers({ toFake: ['Date'], now: Math.ceil(Date.now() / 1000) * 1000 });
}

/** What is said now: Node itself writes a Date that may be a second old. */
function saidNow(): OutgoingHttpHeaders {
  return { ...says, date: new Date().toUTCString() };
}

function pass(seconds: number): void {
  vi.setSystemTime(Date.now() + seconds * 1000);
}

test('while one call asks anew others are given what is stale, and one that fails is not followed at once', async () => {
  freeze();
  says = { 'cache-control': 'max-age=60, stale-while-revalidate=30' };
  const waiting: ServerResponse[] = [];
  const { port } = await rig.application((_request, response) => {
    waiting.push(response.writeHead(200, saidNow()));
  });
  const sidecar = await rig.sidecar({ application: port, policies: cache });
  const answer = (at: number, text: string): unknown => waiting[at]?.end(text);
  const asking = async (count: number): Promise<HttpReply> => {
    const reply = call(sidecar);
    await expect.poll(() => waiting.length).toBe(count);
    answer(count - 1, `answer ${count}`);
    return reply;
  };
  await asking(1);
  pass(61);
  const slow = call(sidecar);
  await expect.poll(() => waiting.length).toBe(2);
  const [one, two] = await Promise.all([call(sidecar), call(sidecar)]);
  expect([one.body, two.body]).toEqual(['answer 1', 'answer 1']);
  expect(one.headers).toMatchObject({ age: '61', 'cache-status': 'selvage;hit;ttl=-1' });
  pass(4);
  expect((await call(sidecar)).body).toBe('answer 1');
  pass(2);
  expect(textOf(await asking(3))).toBe('3');
  answer(1, 'answer 2');
  expect(textOf(await slow)).toBe('2');
  pass(91);
  expect(textOf(await asking(4))).toBe('4');
  expect(waiting).toHaveLength(4);
});

test('what is stale is given where the application fails, in whatever way, for as long as it said', async () => {
  freeze();
  let fails: ((response: ServerResponse) => void) | null = null;
  const { port, server } = await rig.application((_request, response) => {
    if (fails === null) response.writeHead(200, saidNow()).end('answer 1');
    else fails(response);
  });
  says = { 'cache-control': 'max-age=60, stale-if-error=60' };
  const sidecar = await rig.sidecar({ application: port, policies: cache });
  await call(sidecar);
  pass(61);
  fails = (response) => response.writeHead(503).end('broken');
  const given = await call(sidecar);
  expect(given).toMatchObject({ status: 200, body: 'answer 1' });
  expect(given.headers['cache-status']).toBe('selvage;fwd=stale;fwd-status=503;ttl=-1');
  fails = (response) => response.writeHead(500, { 'content-length': '0' }).end();
  expect((await call(sidecar)).body).toBe('answer 1');
  fails = (response) => response.writeHead(404).end('no');
  expect((await call(sidecar)).status).toBe(404);
  expect((await call(sidecar, '/other')).status).toBe(404);
  fails = (response) => void response.socket?.destroy();
  expect((await call(sidecar)).body).toBe('answer 1');
  expect((await call(sidecar, '/', 'cache-control: no-cache\r\n')).status).toBe(503);
  server.closeAllConnections();
  server.close();
  const gone = await call(sidecar);
  expect(gone.body).toBe('answer 1');
  expect(gone.headers['cache-status']).toBe('selvage;fwd=stale;ttl=-1');
  const peer = await rig.issued(spiffe('shop', 'web'));
  expect((await exchange(await mutual(sidecar.inboundPort, peer), get('/'))).body).toBe('answer 1');
  expect(sidecar.telemetry.ended.at(-1)).toMatchObject({ status: 200, failure: '' });
  pass(60);
  expect((await call(sidecar)).status).toBe(503);
  expect(sidecar.faults).toEqual([]);
});
