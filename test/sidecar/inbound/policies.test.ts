import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterEach, beforeEach, expect, test } from 'vitest';

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

const tcpProtocols = { ALPNProtocols: ['istio'] };
const denyWeb = authorization(
  'no-web',
  'DENY',
  '[{ from: [{ source: { principals: ["cluster.local/ns/shop/sa/web"] } }] }]',
);

/** Echoes, after a greeting where one is given. */
async function echo(greeting = ''): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    if (greeting !== '') socket.write(greeting);
    socket.on('data', (bytes: Buffer) => socket.write(bytes));
    socket.on('end', () => socket.end('bye'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  rig.onClose(() => server.close());
  return (server.address() as AddressInfo).port;
}

async function nextData(socket: Socket): Promise<string> {
  return String((await once(socket, 'data'))[0]);
}

async function ended(socket: Socket): Promise<void> {
  socket.on('error', () => undefined);
  if (socket.readableEnded || socket.closed) return;
  socket.resume();
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.once('end', resolve);
  socket.once('close', () => resolve());
  await promise;
}

async function tokens(): Promise<{
  policy: string;
  sign: (claims: Record<string, unknown>, audience?: string) => Promise<string>;
}> {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwks = JSON.stringify({
    keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256' }],
  });
  const policy = `
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: tokens, namespace: shop }
spec:
  jwtRules:
    - issuer: https://issuer.example
      audiences: [shop]
      jwks: '${jwks}'
      outputClaimToHeaders: [{ header: x-team, claim: team }]
`;
  return {
    policy,
    sign: (claims, audience = 'shop') =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: 'ES256', kid: 'k' })
        .setIssuer('https://issuer.example')
        .setAudience(audience)
        .setSubject('ann')
        .setExpirationTime('1h')
        .sign(privateKey),
  };
}

test('no token passes, a good one is told and cut, a bad one is refused', async () => {
  const application = await rig.application();
  const { policy, sign } = await tokens();
  const sidecar = await rig.sidecar({ application: application.port, policies: policy });
  const send = async (header: string): ReturnType<typeof exchange> =>
    exchange(await plain(sidecar.inboundPort), get('/', header));

  const none = await send('x-team: forged\r\nX_Team: forged\r\nx_other: kept\r\n');
  expect(none.status).toBe(200);
  expect(received(none).headers['x-team']).toBeUndefined();
  expect(received(none).headers['x_team']).toBeUndefined();
  expect(received(none).headers['x_other']).toBe('kept');
  const cors = 'origin: https://a\r\naccess-control-request-method: GET\r\nx-team: forged\r\n';
  const options = get('/', cors).replace('GET', 'OPTIONS');
  const preflight = await exchange(await plain(sidecar.inboundPort), options);
  expect(received(preflight).headers['x-team']).toBeUndefined();

  const good = await send(`authorization: Bearer ${await sign({ team: 'red' })}\r\n`);
  expect(received(good).headers['x-team']).toBe('red');
  expect(received(good).headers['authorization']).toBeUndefined();

  const bad = await send('authorization: Bearer abc.def.ghi\r\n');
  expect(bad.status).toBe(401);
  expect(bad.headers['www-authenticate']).toContain('error="invalid_token"');

  const foreign = await send(`authorization: Bearer ${await sign({}, 'elsewhere')}\r\n`);
  expect(foreign.status).toBe(403);
  expect(foreign.body).toBe('Audiences in Jwt are not allowed');
});

test('a rule may ask for a claim', async () => {
  const application = await rig.application();
  const { policy, sign } = await tokens();
  const rules = '[{ when: [{ key: "request.auth.claims[team]", values: ["red"] }] }]';
  const policies = policy + authorization('red', 'ALLOW', rules);
  const sidecar = await rig.sidecar({ application: application.port, policies });
  const send = async (team: string): Promise<number> => {
    const header = `authorization: Bearer ${await sign({ team })}\r\n`;
    return (await exchange(await plain(sidecar.inboundPort), get('/', header))).status;
  };
  expect(await send('red')).toBe(200);
  expect(await send('blue')).toBe(403);
});

test('a WebSocket passes, and is closed when policy comes to deny what opened it', async () => {
  const application = await rig.application();
  const sidecar = await rig.sidecar({ application: application.port });
  const client = await rig.issued(spiffe('shop', 'web'));
  const socket = await mutual(sidecar.inboundPort, client);
  socket.write(
    'GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
  );
  expect(await nextData(socket)).toMatch(/^HTTP\/1\.1 101 /);
  socket.write('hello');
  expect(await nextData(socket)).toBe('hello');

  const other = authorization('x', 'DENY', '[{ to: [{ operation: { paths: ["/other"] } }] }]');
  sidecar.apply({ policies: other });
  socket.write('still');
  expect(await nextData(socket)).toBe('still');

  sidecar.apply({
    policies: authorization('x', 'DENY', '[{ to: [{ operation: { paths: ["/chat"] } }] }]'),
  });
  await ended(socket);
  expect(sidecar.revoked).toEqual(['denied by shop/x rule 0 (test.yaml:6)']);
});

test('bytes of a TCP port are relayed, half-close kept, and judged by the peer', async () => {
  const application = await echo();
  const sidecar = await rig.sidecar({ application, protocol: 'tcp', policies: denyWeb });
  const api = await mutual(
    sidecar.inboundPort,
    await rig.issued(spiffe('shop', 'api')),
    tcpProtocols,
  );
  api.end('ping');
  expect(await readToEnd(api)).toBe('pingbye');
  const web = await mutual(
    sidecar.inboundPort,
    await rig.issued(spiffe('shop', 'web')),
    tcpProtocols,
  );
  web.write('ping');
  expect(await readToEnd(web)).toBe('');
  await sleep(20);
  expect(sidecar.telemetry.closed).toMatchObject([
    { receivedBytes: 4, sentBytes: 7, verdict: { allowed: true }, flag: '-' },
    { receivedBytes: 0, verdict: { allowed: false, policy: 'no-web' } },
  ]);
});

test('a live TCP connection is closed when policy changes to deny it', async () => {
  const application = await echo();
  const sidecar = await rig.sidecar({ application, protocol: 'tcp' });
  const web = await mutual(
    sidecar.inboundPort,
    await rig.issued(spiffe('shop', 'web')),
    tcpProtocols,
  );
  const api = await mutual(
    sidecar.inboundPort,
    await rig.issued(spiffe('shop', 'api')),
    tcpProtocols,
  );
  for (const socket of [web, api]) {
    socket.write('one');
    expect(await nextData(socket)).toBe('one');
  }
  sidecar.apply({ policies: denyWeb });
  await ended(web);
  api.write('two');
  expect(await nextData(api)).toBe('two');
  expect(sidecar.revoked).toHaveLength(1);
  expect(sidecar.connections.size).toBe(1);
});

test('live plaintext connections end when a port becomes STRICT', async () => {
  const application = await rig.application();
  const sidecar = await rig.sidecar({ application: application.port });
  const socket = await plain(sidecar.inboundPort);
  socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  expect(await nextData(socket)).toMatch(/^HTTP\/1\.1 200 /);
  sidecar.apply({ policies: strict });
  await ended(socket);
  expect(sidecar.revoked[0]).toContain('STRICT');
});

test('no HTTP/2 reaches the application past the policies by an upgrade', async () => {
  const heads: string[] = [];
  const application = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (bytes: Buffer) => {
      heads.push(String(bytes));
      socket.write('HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n');
      socket.on('data', (bytes: Buffer) => heads.push(String(bytes)));
    });
  }).listen(0, '127.0.0.1');
  await once(application, 'listening');
  rig.onClose(() => application.close());
  const { port } = application.address() as AddressInfo;
  const sidecar = await rig.sidecar({ application: port, policies: denyWeb });
  const socket = await plain(sidecar.inboundPort);
  const upgrade = 'connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AA\r\n';
  socket.write(`GET / HTTP/1.1\r\nhost: a\r\n${upgrade}\r\n`);
  expect(await nextData(socket)).toMatch(/^HTTP\/1\.1 502 /);
  expect(heads).toHaveLength(1);
  expect(heads[0]).not.toMatch(/upgrade|h2c/i);
  socket.destroy();
});

test('half a plaintext request is not completed once the port is STRICT', async () => {
  const application = await rig.application();
  const sidecar = await rig.sidecar({ application: application.port });
  const [head, dropped] = [await plain(sidecar.inboundPort), await plain(sidecar.inboundPort)];
  head.write('GET / HTTP/1.1\r\n');
  dropped.write('POST /../%00 HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab');
  expect(await nextData(dropped)).toMatch(/^HTTP\/1\.1 400 /);
  await sleep(30);
  sidecar.apply({ policies: strict });
  head.write('host: a\r\n\r\n');
  dropped.write('cdGET / HTTP/1.1\r\nhost: a\r\n\r\n');
  expect(await Promise.all([readToEnd(head), readToEnd(dropped)])).toEqual(['', '']);
});

test('a server that speaks first is heard through mutual TLS at once', async () => {
  const application = await echo('220 ready');
  const sidecar = await rig.sidecar({ application, protocol: 'tcp' });
  const client = await rig.issued(spiffe('shop', 'web'));
  const startedAtMs = performance.now();
  const socket = await mutual(sidecar.inboundPort, client, tcpProtocols);
  expect(await nextData(socket)).toBe('220 ready');
  expect(performance.now() - startedAtMs).toBeLessThan(250);
  socket.destroy();
});

test.each(['DISABLE', 'PERMISSIVE'])(
  'a server that speaks first is heard in the clear under %s',
  async (mode) => {
    const application = await echo('220 ready');
    const policies = strict.replace('STRICT', mode);
    const sidecar = await rig.sidecar({ application, protocol: 'tcp', policies });
    const socket = await plain(sidecar.inboundPort);
    expect(await nextData(socket)).toBe('220 ready');
    socket.destroy();
  },
);

test('a port without a declared protocol reads HTTP as HTTP and the rest as bytes', async () => {
  const policies = authorization(
    'no-a',
    'DENY',
    '[{ to: [{ operation: { paths: ["/a"], ports: ["8080"] } }] }]',
  );
  const application = await rig.application();
  const sidecar = await rig.sidecar({
    application: application.port,
    protocol: 'detect',
    policies,
  });
  expect((await exchange(await plain(sidecar.inboundPort), get('/b'))).status).toBe(200);
  expect((await exchange(await plain(sidecar.inboundPort), get('/a'))).status).toBe(403);
  // As bytes the rule has lost its paths and denies the whole port.
  const socket = await plain(sidecar.inboundPort);
  socket.write('\x01\x02\x03');
  expect(await readToEnd(socket)).toBe('');
  expect(sidecar.telemetry.closed).toMatchObject([{ verdict: { policy: 'no-a', allowed: false } }]);
});

test("a connection ends with its peer's certificate", async () => {
  const application = await echo();
  const sidecar = await rig.sidecar({ application, protocol: 'tcp' });
  const { keyPem, chainPem, trustBundlePem } = await rig.svid(spiffe('shop', 'web'), rig.ca, 2);
  const client = { keyPem, certPem: chainPem, caPem: trustBundlePem };
  const socket = await mutual(sidecar.inboundPort, client, tcpProtocols);
  socket.write('x');
  expect(await nextData(socket)).toBe('x');
  await ended(socket);
  expect(sidecar.revoked).toEqual(["the peer's certificate has expired"]);
});

test('certificate rotation under traffic drops no request and closes no connection', async () => {
  const application = await rig.application();
  const sidecar = await rig.sidecar({ application: application.port });
  const client = await rig.issued(spiffe('shop', 'web'));
  const kept = await mutual(sidecar.inboundPort, client);
  const statuses: number[] = [];
  const load = { running: true };
  const clients = [0, 1, 2].map(async () => {
    while (load.running) {
      const reply = await exchange(await mutual(sidecar.inboundPort, client), get('/'));
      statuses.push(reply.status);
    }
  });
  const serials = new Set<string>();
  for (let i = 0; i < 5; i += 1) {
    await sleep(60);
    sidecar.identity.replace(await rig.svid(spiffe('shop', 'payments')));
    const socket = await mutual(sidecar.inboundPort, client);
    serials.add(socket.getPeerX509Certificate()?.serialNumber ?? '');
    socket.destroy();
  }
  load.running = false;
  await Promise.all(clients);
  expect(serials.size).toBe(5);
  expect(statuses.length).toBeGreaterThan(5);
  expect(statuses.filter((status) => status !== 200)).toEqual([]);
  expect((await exchange(kept, get('/'))).status).toBe(200);
});
