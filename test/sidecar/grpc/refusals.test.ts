// What a gRPC caller hears when a sidecar refuses, or when there is nobody to answer.
import * as grpc from '@grpc/grpc-js';
import { generateKeyPair, exportJWK } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { authorization, Rig, serviceOf, spiffe } from '../rig.ts';

import { caller, deadPort, grpcServer, sidecars } from './rig.ts';
import type { Way } from './rig.ts';

let rig: Rig;

beforeAll(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());
afterAll(() => rig.close());

const ways: readonly Way[] = ['tunnel', 'direct'];
const denyUploads = authorization(
  'no-uploads',
  'DENY',
  '[{ to: [{ operation: { paths: ["/test.Echo/Upload", "/test.Echo/Unary"] } }] }]',
);

describe.each(ways)('gRPC refusals, the caller asks by %s', (way) => {
  test('a denied call is PERMISSION_DENIED, also while it is still sending', async () => {
    const { port } = await grpcServer(rig);
    const { client, server } = await sidecars(rig, port, denyUploads);
    const calls = caller(rig, client.outboundPort, way);
    const denied = { code: grpc.status.PERMISSION_DENIED, details: 'RBAC: access denied' };
    expect(await calls.unary('x')).toMatchObject(denied);
    expect(await calls.unary(Buffer.alloc(4_000_000))).toMatchObject(denied);
    const upload = await calls.upload((call) => {
      for (let i = 0; i < 100; i += 1) call.write(Buffer.alloc(50_000));
    });
    expect(upload).toMatchObject(denied);
    expect(server.telemetry.ended[0]).toMatchObject({
      failure: 'denied',
      verdict: 'shop/no-uploads',
    });
    // What is not denied passes on the same connections.
    const chat = calls.chat();
    const ended = new Promise<grpc.StatusObject>((done) => chat.on('status', done));
    chat.on('data', () => undefined);
    chat.end(Buffer.from('x'));
    expect((await ended).code).toBe(grpc.status.OK);
  });

  test('a server that is dead is UNAVAILABLE, and so is its sidecar, and no endpoint at all', async () => {
    const { client } = await sidecars(rig, await deadPort());
    const dead = await caller(rig, client.outboundPort, way).unary('x');
    expect(dead.code).toBe(grpc.status.UNAVAILABLE);
    expect(dead.details).toContain('the request was refused unprocessed');

    const endpoint = { port: await deadPort(), identity: spiffe('shop', 'payments') };
    client.apply({ services: [serviceOf('payments', [endpoint], 'grpc')] });
    const gone = await caller(rig, client.outboundPort, way).unary('x');
    expect(gone.code).toBe(grpc.status.UNAVAILABLE);
    expect(gone.details).toContain('upstream connect error');

    client.apply({ services: [serviceOf('payments', [], 'grpc')] });
    const none = await caller(rig, client.outboundPort, way).unary('x');
    expect(none).toMatchObject({
      code: grpc.status.UNAVAILABLE,
      details: 'no healthy upstream',
    });
  });

  test('a server that dies during a call breaks it off, and the next call says UNAVAILABLE', async () => {
    const server = await grpcServer(rig);
    const { client } = await sidecars(rig, server.port);
    const calls = caller(rig, client.outboundPort, way);
    const begun = server.untilBegun();
    const hanging = calls.unary('hang');
    await begun;
    server.stop();
    expect((await hanging).code).toBe(grpc.status.UNAVAILABLE);
    expect((await calls.unary('x')).code).toBe(grpc.status.UNAVAILABLE);
  });

  test('a callee that is not who it should be is UNAVAILABLE', async () => {
    const { port } = await grpcServer(rig);
    const { client, server } = await sidecars(rig, port);
    const identity = spiffe('shop', 'somebody-else');
    const endpoint = { port: server.inboundPort, identity };
    client.apply({ services: [serviceOf('payments', [endpoint], 'grpc')] });
    const reply = await caller(rig, client.outboundPort, way).unary('x');
    expect(reply.code).toBe(grpc.status.UNAVAILABLE);
  });

  test('a token that does not verify is UNAUTHENTICATED', async () => {
    const { port } = await grpcServer(rig);
    const { publicKey } = await generateKeyPair('ES256');
    const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'one' }] });
    const policies = `
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: tokens, namespace: shop }
spec: { jwtRules: [{ issuer: 'https://issuer.example', jwks: '${jwks}' }] }
`;
    const { client } = await sidecars(rig, port, policies);
    const calls = caller(rig, client.outboundPort, way);
    const metadata = new grpc.Metadata();
    metadata.set('authorization', 'Bearer no.token.here');
    const reply = await calls.unary('x', {}, metadata);
    expect(reply.code).toBe(grpc.status.UNAUTHENTICATED);
    expect(reply.details).not.toBe('');
    expect((await calls.unary('x')).code).toBe(grpc.status.OK);
  });
});
