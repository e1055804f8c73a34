// API keys through real sockets: who is let in, who is told so, and what the application gets.
import { afterEach, beforeEach, expect, test } from 'vitest';

import {
  authorization,
  exchange,
  get,
  plain,
  received,
  Rig,
  type HttpReply,
  type SidecarOptions,
  type TestSidecar,
} from '../rig.ts';
import { acme, apiKeys, hashOf } from './keys.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

async function guarded(policies: string, more: SidecarOptions = {}): Promise<TestSidecar> {
  const application = await rig.application();
  return rig.sidecar({ application: application.port, policies, ...more });
}

async function send(sidecar: TestSidecar, path: string, headers = ''): Promise<HttpReply> {
  return exchange(await plain(sidecar.inboundPort), get(path, headers));
}

test('a known key makes its owner known to the application, and no client can claim to be one', async () => {
  const sidecar = await guarded(apiKeys(acme));
  const reply = await send(
    sidecar,
    '/',
    'x-api-key: acme-key\r\nx-consumer: root\r\nx_consumer: r\r\n',
  );
  expect(reply.status).toBe(200);
  expect(received(reply).headers).toMatchObject({ 'x-consumer': 'acme', 'x-api-key': 'acme-key' });
  expect(received(reply).headers['x_consumer']).toBeUndefined();
  expect((await send(sidecar, '/', 'apikey: acme-key\r\n')).status).toBe(200);
});

test('without a key, with a wrong one, or with two, the answer is 401 and says which', async () => {
  const sidecar = await guarded(apiKeys(acme));
  const missing = await send(sidecar, '/');
  expect(missing).toMatchObject({ status: 401, body: 'API key missing' });
  expect(missing.headers['www-authenticate']).toBe('Key realm="payments", error="missing_key"');
  const wrong = ['acme-kex', 'ACME-KEY', hashOf('acme-key'), 'a'.repeat(5000)];
  for (const key of wrong) {
    const unknown = await send(sidecar, '/', `x-api-key: ${key}\r\n`);
    expect(unknown).toMatchObject({ status: 401, body: 'API key unknown' });
  }
  const two = await send(sidecar, '/', 'x-api-key: acme-key\r\nx-api-key: acme-key\r\n');
  expect(two).toMatchObject({ status: 401, body: 'more than one API key' });
  const said = sidecar.telemetry.ended.map(({ failure, details }) => `${failure} ${details}`);
  expect(new Set(said)).toEqual(
    new Set([
      'key-refused missing_api_key',
      'key-refused unknown_api_key',
      'key-refused duplicated_api_key',
    ]),
  );
});

test('keys come in headers, after a prefix, in the query and in cookies, and are hidden where asked', async () => {
  const from =
    'from: [{ header: authorization, prefix: "ApiKey " }, { query: key }, { cookie: k }]';
  const sidecar = await guarded(apiKeys(`${acme}, ${from}, hideKey: true`));
  const ok = async (path: string, headers = ''): Promise<ReturnType<typeof received>> => {
    const reply = await send(sidecar, path, headers);
    expect({ path, headers, status: reply.status }).toEqual({ path, headers, status: 200 });
    return received(reply);
  };
  expect((await ok('/a', 'authorization: apikey acme-key\r\n')).headers['authorization']).toBe(
    undefined,
  );
  expect((await ok('/a?b=1&key=acme-key&c=%20')).url).toBe('/a?b=1&c=%20');
  expect((await ok('/a?k%65y=acme%2Dkey')).url).toBe('/a');
  const cookies = await ok('/a', 'cookie: a=1; k="acme-key"\r\ncookie: b=2\r\n');
  expect(cookies.headers['cookie']).toBe('a=1; b=2');
  expect((await ok('/a?key=acme-key', 'cookie: k=other; z=1\r\n')).headers['cookie']).toBe('z=1');
  for (const path of [
    '/a?key',
    '/a?key=',
    '/a?key=x',
    '/a?key=acme-key&key=acme-key',
    '/a#key=x',
  ]) {
    expect({ path, status: (await send(sidecar, path)).status }).toEqual({ path, status: 401 });
  }
  const bearer = 'authorization: Bearer acme-key\r\n';
  expect((await send(sidecar, '/a', bearer)).status).toBe(401);
});

test('only requests that match need a key, whatever way their path is written', async () => {
  const match = 'match: [{ paths: ["/v1/*"], notPaths: ["/v1/health"] }]';
  const sidecar = await guarded(apiKeys(`${acme}, ${match}`));
  const open = ['/', '/v1/health', '/v1/./health'];
  const shut = ['/v1/a', '/v1/health/x', '/V1/../v1/a', '/v1/%61', '//v1/a'.slice(1)];
  for (const path of open) expect((await send(sidecar, path)).status).toBe(200);
  for (const path of shut) {
    expect({ path, status: (await send(sidecar, path)).status }).toEqual({ path, status: 401 });
  }
  const forged = await send(sidecar, '/v1/health', 'x-consumer: acme\r\n');
  expect(received(forged).headers['x-consumer']).toBeUndefined();
});

test('where a key is optional, none is nobody and a wrong one is refused', async () => {
  const sidecar = await guarded(apiKeys(`${acme}, optional: true`));
  const none = await send(sidecar, '/');
  expect(none.status).toBe(200);
  expect(received(none).headers['x-consumer']).toBeUndefined();
  expect((await send(sidecar, '/', 'x-api-key: wrong\r\n')).status).toBe(401);
});

test('AuthorizationPolicy judges by the owner of the key', async () => {
  const rules = '[{ when: [{ key: "request.headers[x-consumer]", values: [acme] }] }]';
  const globex = `{ name: globex, hashes: [${hashOf('globex-key')}, ${hashOf('globex-old')}] }`;
  const keys = acme.replace('[{', `[${globex}, {`);
  const sidecar = await guarded(apiKeys(keys) + authorization('acme-only', 'ALLOW', rules));
  expect((await send(sidecar, '/', 'x-api-key: acme-key\r\n')).status).toBe(200);
  for (const key of ['globex-key', 'globex-old']) {
    const forged = `x-api-key: ${key}\r\nx-consumer: acme\r\n`;
    expect((await send(sidecar, '/', forged)).status).toBe(403);
  }
});

test('of several, a key that any knows is enough, and callers of each are told in its header', async () => {
  const globex = `consumers: [{ name: globex, hashes: [${hashOf('globex-key')}] }]`;
  const second = `${globex}, from: [{ header: x-key }], forwardConsumerHeader: x-partner`;
  const sidecar = await guarded(apiKeys(acme) + apiKeys(second, 'more'));
  const reply = await send(sidecar, '/', 'x-key: globex-key\r\nx-consumer: a\r\n');
  expect(received(reply).headers).toMatchObject({ 'x-partner': 'globex' });
  expect(received(reply).headers['x-consumer']).toBeUndefined();
  expect((await send(sidecar, '/', 'x-api-key: acme-key\r\n')).status).toBe(200);
  expect((await send(sidecar, '/', 'x-api-key: globex-key\r\n')).status).toBe(401);
  expect((await send(sidecar, '/')).status).toBe(401);
});

test('a key that is taken away is refused from then on, and one without policy costs nothing', async () => {
  const sidecar = await guarded(apiKeys(acme));
  const headers = 'x-api-key: acme-key\r\n';
  expect((await send(sidecar, '/', headers)).status).toBe(200);
  sidecar.apply({ policies: apiKeys('consumers: []') });
  expect((await send(sidecar, '/', headers)).status).toBe(401);
  sidecar.apply({ policies: '' });
  expect(sidecar.inForce.current()?.apiKeys).toBeNull();
  expect((await send(sidecar, '/')).status).toBe(200);
});
