// Each file of manifests/examples/edge, through control's snapshots and a sidecar with real sockets.
import type { IncomingMessage } from 'node:http';

import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { AddressGuard } from '#control/jwks/addresses.ts';
import { KeyFetcher } from '#control/jwks/fetch.ts';
import { KeyResolver, wantedKeys } from '#control/jwks/resolve.ts';
import { decodeRequest, encodeResponse } from '#test/sidecar/authorizer/envoy-proto.ts';
import { grpcAuthorizer } from '#test/sidecar/authorizer/grpc-authorizer.ts';
import { tokenEndpoint } from '#test/sidecar/credentials/token-endpoint.ts';
import {
  exchange,
  plain,
  received,
  Rig,
  type HttpReply,
  type TestSidecar,
} from '#test/sidecar/rig.ts';

import { meshOf, snapshotFor } from './mesh-of-files.ts';

let rig: Rig;
let application = 0;
beforeEach(async () => {
  rig = await Rig.create();
  application = (await rig.application()).port;
});
afterEach(() => rig.close());

function sidecarOf(account: string): Promise<TestSidecar> {
  return rig.sidecar({ namespace: 'edge', account, application });
}

async function send(
  { inboundPort }: TestSidecar,
  method: string,
  path: string,
  headers = '',
): Promise<HttpReply> {
  const raw = `${method} ${path} HTTP/1.1\r\nhost: api.edge\r\nconnection: close\r\ncontent-length: 0\r\n`;
  return exchange(await plain(inboundPort), `${raw}${headers}\r\n`);
}

test('api-keys.yaml: callers of the file and of the Secret are known by their keys, and only acme writes', async () => {
  const files = meshOf('api-keys.yaml');
  expect(files.problems).toEqual([]);
  const sidecar = await sidecarOf('api');
  const snapshot = snapshotFor(files, 'api');
  expect(JSON.stringify(snapshot)).not.toContain('globex-key');
  sidecar.inForce.apply(snapshot);
  const acme = 'x-api-key: acme-key-e5b1c6f0\r\n';
  const globex = 'authorization: ApiKey globex-key-77d02c9a\r\n';
  const written = await send(sidecar, 'POST', '/v1/orders', acme);
  expect(written.status).toBe(200);
  expect(received(written).headers).toMatchObject({ 'x-consumer': 'acme' });
  expect(received(written).headers['x-api-key']).toBeUndefined();
  const read = await send(sidecar, 'GET', '/v1/orders', globex);
  expect(received(read).headers).toMatchObject({ 'x-consumer': 'globex' });
  expect((await send(sidecar, 'POST', '/v1/orders', globex)).status).toBe(403);
  expect((await send(sidecar, 'POST', '/v1/orders', `${globex}x-consumer: acme\r\n`)).status).toBe(
    403,
  );
  expect((await send(sidecar, 'GET', '/v1/orders')).status).toBe(401);
  expect((await send(sidecar, 'GET', '/v1/health')).status).toBe(200);
});

test('token-exchange.yaml: calls of web to api carry a token for api', async () => {
  const files = meshOf('token-exchange.yaml');
  expect(files.problems).toEqual([]);
  const endpoint = await tokenEndpoint(rig);
  const sidecar = await sidecarOf('web');
  const ports = { 'identity:80': endpoint.port, 'api:80': application, 'web:80': application };
  sidecar.inForce.apply(snapshotFor(files, 'web', ports));
  const call = async (host: string): Promise<string | undefined> => {
    const raw = `GET http://${host}/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer alice\r\n\r\n`;
    const reply = await exchange(await plain(sidecar.outboundPort), raw);
    expect(reply.status).toBe(200);
    return received(reply).headers['authorization'];
  };
  expect(await call('api.edge')).toBe('Bearer api~alice~1');
  expect(await call('api')).toBe('Bearer api~alice~1');
  expect(await call('web')).toBe('Bearer alice');
  expect(endpoint.asked).toMatchObject([{ form: { audience: 'api', scope: 'orders.read' } }]);
});

test('forward-auth.yaml: an authorizer over HTTP hears what it is to, and hands over who calls', async () => {
  const files = meshOf('forward-auth.yaml');
  expect(files.problems).toEqual([]);
  const asked: Pick<IncomingMessage, 'url' | 'headers'>[] = [];
  const authorizer = await rig.application(({ url, headers }, response) => {
    asked.push({ url, headers });
    if (headers.cookie === 'session=ann') response.setHeader('x-user', 'ann').end();
    else response.writeHead(302, { location: 'https://login', 'x-internal': 'no' }).end();
  });
  const sidecar = await sidecarOf('api');
  sidecar.inForce.apply(snapshotFor(files, 'api', { 'identity:80': authorizer.port }));
  const headers = 'cookie: session=ann\r\nx-user: root\r\nx-forwarded-for: 6.6.6.6\r\n';
  const allowed = await send(sidecar, 'GET', '/pages/a', headers);
  expect(received(allowed).headers).toMatchObject({ 'x-user': 'ann' });
  expect(asked[0]?.url).toBe('/verify/pages/a');
  expect(asked[0]?.headers).toMatchObject({ 'x-forwarded-proto': 'https', host: 'api.edge' });
  expect(asked[0]?.headers['x-forwarded-for']).toBeUndefined();
  const denied = await send(sidecar, 'GET', '/pages/a');
  expect(denied).toMatchObject({ status: 302, headers: { location: 'https://login' } });
  expect(denied.headers['x-internal']).toBeUndefined();
  expect((await send(sidecar, 'GET', '/')).status).toBe(200);
  authorizer.server.closeAllConnections();
  authorizer.server.close();
  expect((await send(sidecar, 'GET', '/pages/a', headers)).status).toBe(503);
});

test('ext-authz-grpc.yaml: an authorizer over gRPC is asked about orders', async () => {
  const files = meshOf('ext-authz-grpc.yaml');
  expect(files.problems).toEqual([]);
  const port = await grpcAuthorizer(rig, (message) => {
    const allowed = JSON.stringify(decodeRequest(message)).includes('"x-role":"clerk"');
    const header = { key: 'x-checked', value: 'by opa' };
    return allowed
      ? encodeResponse({ okResponse: { headers: [{ header }] } })
      : encodeResponse({ status: { code: 7 }, deniedResponse: { body: 'clerks only' } });
  });
  const sidecar = await sidecarOf('web');
  sidecar.inForce.apply(snapshotFor(files, 'web', { 'opa:9000': port }));
  const allowed = await send(sidecar, 'GET', '/orders/1', 'x-role: clerk\r\n');
  expect(received(allowed).headers).toMatchObject({ 'x-checked': 'by opa' });
  const denied = await send(sidecar, 'GET', '/orders/1');
  expect(denied).toMatchObject({ status: 403, body: 'clerks only' });
  expect((await send(sidecar, 'GET', '/')).status).toBe(200);
});

test('required-claims.yaml: keys are found by discovery, and a token must have its claims', async () => {
  const files = meshOf('required-claims.yaml');
  expect(files.problems).toEqual([]);
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  const asked: (string | undefined)[] = [];
  const issuer = 'http://identity.edge.svc.cluster.local';
  const served: Readonly<Record<string, unknown>> = {
    '/.well-known/openid-configuration': { issuer, jwks_uri: `${issuer}/keys` },
    '/keys': { keys: [{ ...(await exportJWK(publicKey)), kid: '1', alg: 'RS256' }] },
  };
  const { port } = await rig.application(({ url }, response) => {
    asked.push(url);
    response.end(JSON.stringify(served[url ?? '']));
  });
  const fetcher = new KeyFetcher(new AddressGuard([]), undefined, () => ({
    address: '127.0.0.1',
    port,
  }));
  rig.onClose(() => fetcher.close());
  const policies = files.mesh.requestAuthentications;
  const [wanted] = wantedKeys(policies);
  if (wanted === undefined) throw new Error('no keys are wanted');
  const keys = await fetcher.fetchKeys(wanted, 5000);
  expect(asked).toEqual(['/.well-known/openid-configuration', '/keys']);
  const resolved = new KeyResolver().resolve(policies, () => ({ keys, error: null }));
  const mesh = { ...files.mesh, requestAuthentications: resolved.policies };
  const sidecar = await sidecarOf('api');
  sidecar.inForce.apply(snapshotFor({ ...files, mesh }, 'api'));
  const good = { aud: 'api', sub: 'ann', tenant: 'acme', scope: 'orders.read profile' };
  const statusWith = async (claims: object): Promise<number> => {
    const token = await new SignJWT({ ...good, ...claims })
      .setProtectedHeader({ alg: 'RS256', kid: '1' })
      .setIssuer(issuer)
      .setExpirationTime('5m')
      .sign(privateKey);
    return (await send(sidecar, 'GET', '/orders/1', `authorization: Bearer ${token}\r\n`)).status;
  };
  expect(await statusWith({})).toBe(200);
  expect(await statusWith({ tenant: 'initech' })).toBe(403);
  expect(await statusWith({ scope: 'profile' })).toBe(403);
  expect(await statusWith({ aud: 'other' })).toBe(403);
  expect((await send(sidecar, 'GET', '/orders/1')).status).toBe(403);
  expect((await send(sidecar, 'GET', '/')).status).toBe(200);
});
