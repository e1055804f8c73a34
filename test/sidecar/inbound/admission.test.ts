import { afterEach, beforeEach, expect, test } from 'vitest';

import { makeTestCa, type Issued } from '#test/tls/fixtures.ts';

import {
  authorization,
  exchange,
  get,
  mutual,
  plain,
  readToEnd,
  received,
  Rig,
  spiffe,
  strict,
} from '../rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

/** In TLS 1.3 a client learns only after its own handshake that the server refuses it. */
async function refusedMutual(port: number, client: Issued | null): Promise<boolean> {
  const socket = await mutual(port, client).catch(() => null);
  return socket === null || (await exchange(socket, get('/'))).status === 0;
}

test('a port under STRICT resets plaintext and says which policy wants mutual TLS', async () => {
  const application = await rig.application();
  const sidecar = await rig.sidecar({ application: application.port, policies: strict });
  const socket = await plain(sidecar.inboundPort);
  socket.write(get('/'));
  expect(await readToEnd(socket)).toBe('');
  expect(sidecar.telemetry.refused).toMatchObject([
    {
      transport: 'plaintext',
      destinationPort: 8080,
      at: expect.stringMatching(/^test\.yaml:\d+$/),
    },
  ]);
  expect(sidecar.telemetry.refused[0]?.reason).toContain('STRICT');
  expect(sidecar.connections.size).toBe(0);
});

test('a port under PERMISSIVE takes plaintext and mutual TLS', async () => {
  const application = await rig.application();
  const sidecar = await rig.sidecar({ application: application.port });
  const clear = await exchange(await plain(sidecar.inboundPort), get('/clear'));
  expect(clear.status).toBe(200);
  expect(received(clear)).toMatchObject({
    url: '/clear',
    headers: {
      'x-forwarded-proto': 'http',
      'x-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
    },
  });
  const client = await rig.issued(spiffe('shop', 'web'));
  const secure = await exchange(await mutual(sidecar.inboundPort, client), get('/secure'));
  expect(secure.status).toBe(200);
  expect(received(secure).headers['x-forwarded-proto']).toBe('https');
  expect(secure.headers['server']).toBe('selvage');
  expect(secure.headers['x-envoy-upstream-service-time']).toMatch(/^\d+$/);
  expect(sidecar.faults).toEqual([]);
});

test('a certificate of another authority is refused with the reason', async () => {
  const application = await rig.application();
  const sidecar = await rig.sidecar({ application: application.port });
  const foreign = await rig.issued(spiffe('shop', 'web'), await makeTestCa('another'));
  expect(await refusedMutual(sidecar.inboundPort, foreign)).toBe(true);
  expect(sidecar.telemetry.refused[0]?.reason).toContain('not verified');
});

test('a client without a certificate is refused under STRICT', async () => {
  const application = await rig.application();
  const sidecar = await rig.sidecar({ application: application.port, policies: strict });
  expect(await refusedMutual(sidecar.inboundPort, null)).toBe(true);
  expect(sidecar.telemetry.refused[0]?.reason).toBe('the client sent no certificate');
});

test('a peer of another trust domain is refused until the domain is an alias', async () => {
  const application = await rig.application();
  const sidecar = await rig.sidecar({ application: application.port });
  const peer = await rig.issued(spiffe('shop', 'web', 'other.example'));
  const refused = await exchange(await mutual(sidecar.inboundPort, peer), get('/'));
  expect(refused.status).toBe(0);
  expect(sidecar.telemetry.refused[0]?.reason).toContain('other.example');
  sidecar.apply({ mesh: { trustDomainAliases: ['other.example'] } });
  const admitted = await exchange(await mutual(sidecar.inboundPort, peer), get('/'));
  expect(admitted.status).toBe(200);
});

test('policies see the principal that the certificate proves', async () => {
  const application = await rig.application();
  const rules = '[{ from: [{ source: { principals: ["cluster.local/ns/shop/sa/web"] } }] }]';
  const policies = authorization('web-only', 'ALLOW', rules);
  const sidecar = await rig.sidecar({ application: application.port, policies });
  const web = await rig.issued(spiffe('shop', 'web'));
  const other = await rig.issued(spiffe('shop', 'other'));
  expect((await exchange(await mutual(sidecar.inboundPort, web), get('/'))).status).toBe(200);
  const denied = await exchange(await mutual(sidecar.inboundPort, other), get('/'));
  expect(denied.status).toBe(403);
  expect(denied.body).toBe('RBAC: access denied');
  expect((await exchange(await plain(sidecar.inboundPort), get('/'))).status).toBe(403);
  expect(sidecar.telemetry.ended.map(({ details }) => details)).toEqual([
    '',
    'rbac_access_denied_matched_policy[none]',
    'rbac_access_denied_matched_policy[none]',
  ]);
});

test('a forged client certificate header is removed, and the proven one told', async () => {
  const application = await rig.application();
  const sidecar = await rig.sidecar({ application: application.port });
  const forged = 'x-forwarded-client-cert: By=x;URI=spiffe://cluster.local/ns/a/sa/admin\r\n';
  // An application behind CGI or WSGI reads `_` and `-` as one.
  const spellings = [
    'x-forwarded-client-cert',
    'X_Forwarded_Client_Cert',
    'x-forwarded_client-cert',
  ];
  const lines = spellings.map((name) => forged.replace('x-forwarded-client-cert', name)).join('');
  const clear = await exchange(await plain(sidecar.inboundPort), get('/', lines));
  expect(Object.keys(received(clear).headers).join(' ')).not.toContain('client');
  const client = await rig.issued(spiffe('shop', 'web'));
  const odd = lines.slice(forged.length);
  const secure = await exchange(await mutual(sidecar.inboundPort, client), get('/', odd));
  expect(Object.keys(received(secure).headers).filter((name) => /client/.test(name))).toEqual([
    'x-forwarded-client-cert',
  ]);
  expect(received(secure).headers['x-forwarded-client-cert']).toMatch(
    /^By=\S+\/sa\/payments;Hash=[0-9a-f]{64};Subject="";URI=spiffe:\S+\/ns\/shop\/sa\/web$/,
  );
});

test('what is no request is answered, and told to telemetry all the same', async () => {
  const application = await rig.application();
  const sidecar = await rig.sidecar({ application: application.port });
  const socket = await plain(sidecar.inboundPort);
  const reply = await exchange(socket, 'GET / HTTP/1.1\r\nhost: a b\r\n\r\n');
  expect(reply.status).toBe(400);
  expect(sidecar.telemetry.ended).toMatchObject([{ status: 400, failure: 'malformed' }]);
});

test('policies may look at headers that steer Envoy', async () => {
  const application = await rig.application();
  const when = '[{ key: "request.headers[x-envoy-original-path]", values: ["*"] }]';
  const policies = authorization('steering', 'DENY', `[{ when: ${when} }]`);
  const sidecar = await rig.sidecar({ application: application.port, policies });
  const headers = 'x-envoy-original-path: /admin\r\n';
  const denied = await exchange(await plain(sidecar.inboundPort), get('/', headers));
  expect(denied.status).toBe(403);
});

test('headers that steer Envoy do not reach the application', async () => {
  const application = await rig.application();
  const sidecar = await rig.sidecar({ application: application.port });
  const headers = 'x-envoy-internal: true\r\nx-envoy-original-path: /admin\r\nx-mine: kept\r\n';
  const reply = await exchange(await plain(sidecar.inboundPort), get('/', headers));
  const seen = received(reply).headers;
  expect(Object.keys(seen).filter((name) => name.startsWith('x-envoy-'))).toEqual([]);
  expect(seen['x-mine']).toBe('kept');
});

test('the path is made normal before policies look, and forwarded so', async () => {
  const application = await rig.application();
  const rules = '[{ to: [{ operation: { paths: ["/admin"] } }] }]';
  const policies = authorization('no-admin', 'DENY', rules);
  const sidecar = await rig.sidecar({ application: application.port, policies });
  const denied = await exchange(await plain(sidecar.inboundPort), get('/x/../%61dmin?q'));
  expect(denied.status).toBe(403);
  const open = await exchange(await plain(sidecar.inboundPort), get('/x/./y/../%61?q#f'));
  expect(received(open).url).toBe('/x/a?q');
});

test.each([
  ['HTTP/1.0', 'GET / HTTP/1.0\r\nhost: a\r\n\r\n', 426],
  ['an unknown method', 'get / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n', 400],
  ['a NUL in the path', get('/a%00'), 400],
  ['no Host', 'GET / HTTP/1.1\r\nconnection: close\r\n\r\n', 400],
  ['CONNECT', 'CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n', 403],
])('%s is answered with its status', async (_name, raw, status) => {
  const application = await rig.application();
  const sidecar = await rig.sidecar({ application: application.port });
  const reply = await exchange(await plain(sidecar.inboundPort), raw);
  expect(reply.status).toBe(status);
});

test('a dead application gives 503 with the reason', async () => {
  const application = await rig.application();
  application.server.close();
  const sidecar = await rig.sidecar({ application: application.port });
  const reply = await exchange(await plain(sidecar.inboundPort), get('/'));
  expect(reply.status).toBe(503);
  expect(sidecar.telemetry.ended).toMatchObject([
    { failure: 'upstream-connect', details: expect.stringContaining('connection_failure') },
  ]);
});

test("TLS that is not the mesh's is passed on as it is under PERMISSIVE", async () => {
  const application = await rig.application();
  const sidecar = await rig.sidecar({ application: application.port });
  const socket = await mutual(sidecar.inboundPort, null, { ALPNProtocols: ['http/1.1'] }).catch(
    () => null,
  );
  expect(socket).toBe(null);
  expect(sidecar.telemetry.opened).toMatchObject([
    {
      downstream: {
        facts: { mtls: false, sni: 'outbound_.8080_._.payments.shop.svc.cluster.local' },
      },
    },
  ]);
});
