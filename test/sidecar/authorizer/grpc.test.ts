// Authorizers that speak gRPC, as a real server of grpc-js, asked through real sockets.
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test } from 'vitest';

import {
  exchange,
  get,
  mutual,
  plain,
  received,
  Rig,
  serviceOf,
  spiffe,
  type HttpReply,
  type SidecarOptions,
  type TestSidecar,
} from '../rig.ts';
import { decodeRequest, encodeResponse } from './envoy-proto.ts';
import { grpcAuthorizer } from './grpc-authorizer.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

const custom = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ask, namespace: shop }
spec:
  action: CUSTOM
  provider: { name: authorizer }
  rules: [{ to: [{ operation: { paths: ["/guarded*"] } }] }]
`;

type Answer = object | status | 'hang';

/** The check as protobufjs reads it. */
interface Seen {
  readonly attributes: {
    readonly source: { readonly principal?: string };
    readonly destination: { readonly principal?: string };
    readonly request: {
      readonly http: Readonly<Record<string, unknown>> & {
        readonly headers: Readonly<Record<string, string>>;
      };
    };
  };
}

function authorizer(answer: (check: Seen) => Answer): Promise<number> {
  return grpcAuthorizer(rig, (message) => {
    const given = answer(decodeRequest(message) as unknown as Seen);
    return typeof given === 'object' ? encodeResponse(given) : given;
  });
}

async function guarded(
  port: number,
  options: Record<string, unknown> = {},
  more: SidecarOptions = {},
): Promise<TestSidecar> {
  const application = await rig.application();
  const provider = { service: '127.0.0.1', port, ...options };
  const mesh = { extensionProviders: [{ name: 'authorizer', envoyExtAuthzGrpc: provider }] };
  return rig.sidecar({ application: application.port, policies: custom, mesh, ...more });
}

async function send(sidecar: TestSidecar, path: string, headers = ''): Promise<HttpReply> {
  return exchange(await plain(sidecar.inboundPort), get(path, headers));
}

const option = (key: string, value: string, append?: boolean): object => ({
  header: { key, value },
  ...(append !== undefined && { append: { value: append } }),
});

test('an authorizer sees the call, and what it says of headers is done', async () => {
  const seen: Seen[] = [];
  const port = await authorizer((check) => {
    seen.push(check);
    return {
      status: { code: 0 },
      okResponse: {
        headers: [
          option('X-User', 'ann'),
          option('x-trail', 'b', true),
          option('x-nobody', 'n', true),
          option('host', 'evil'),
          option('content-length', '9'),
        ],
        headersToRemove: ['x-secret', 'host', 'content-length'],
        responseHeadersToAdd: [option('x-asked', 'yes'), option('server', 'mine')],
      },
    };
  });
  const sidecar = await guarded(port);
  const headers = 'x-user: forged\r\nx-secret: s\r\nx-trail: a\r\ncookie: a=1\r\ncookie: b=2\r\n';
  const reply = await send(sidecar, '/guarded/a?b=c', headers);
  expect(reply.status).toBe(200);
  expect(reply.headers).toMatchObject({ 'x-asked': 'yes', server: 'selvage' });
  const got = received(reply).headers;
  expect(got).toMatchObject({ host: 'payments', 'x-user': 'ann', 'x-trail': 'a, b' });
  expect(got['x-secret']).toBeUndefined();
  expect(got['x-nobody']).toBeUndefined();
  expect(seen).toHaveLength(1);
  expect(seen[0]?.attributes.request.http).toMatchObject({
    method: 'GET',
    path: '/guarded/a?b=c',
    query: 'b=c',
    host: 'payments',
    scheme: 'http',
    protocol: 'HTTP/1.1',
    headers: { ':authority': 'payments', ':path': '/guarded/a?b=c', cookie: 'a=1; b=2' },
  });
  expect(seen[0]?.attributes.destination.principal).toBe(spiffe('shop', 'payments'));
  expect((await send(sidecar, '/open')).status).toBe(200);
  expect(seen).toHaveLength(1);
  expect(sidecar.faults).toEqual([]);
});

test('a caller with a certificate is known to it', async () => {
  const seen: Seen[] = [];
  const port = await authorizer((check) => {
    seen.push(check);
    return {};
  });
  const sidecar = await guarded(port);
  const socket = await mutual(sidecar.inboundPort, await rig.issued(spiffe('shop', 'web')));
  expect((await exchange(socket, get('/guarded'))).status).toBe(200);
  expect(seen[0]?.attributes.source.principal).toBe(spiffe('shop', 'web'));
});

test('a refusal has its status, headers and body', async () => {
  const deniedResponse = {
    status: { code: 302 },
    headers: [option('location', 'https://login'), option('x-why', 'no')],
    body: 'log in',
  };
  const port = await authorizer(() => ({ status: { code: 16 }, deniedResponse }));
  const sidecar = await guarded(port);
  expect(await send(sidecar, '/guarded')).toMatchObject({
    status: 302,
    body: 'log in',
    headers: { location: 'https://login', 'x-why': 'no' },
  });
  expect(sidecar.telemetry.ended).toMatchObject([
    { failure: 'authorizer-denied', details: 'ext_authz_denied', verdict: 'shop/ask' },
  ]);
});

test('a refusal that says no more is a 403', async () => {
  const port = await authorizer(() => ({ status: { code: 7 } }));
  expect((await send(await guarded(port), '/guarded')).status).toBe(403);
});

test.each([
  ['fails closed', {}, 403],
  ['fails with the status that was asked for', { statusOnError: '503' }, 503],
  ['fails open when told so', { failOpen: true }, 200],
])('an authorizer that errs %s', async (_name, options, expected) => {
  const errs: readonly Answer[] = [
    status.UNAVAILABLE,
    { okResponse: { headers: [option('x', 'a\r\nb: c')] } },
  ];
  for (const answer of errs) {
    const port = await authorizer(() => answer);
    const sidecar = await guarded(port, options);
    expect((await send(sidecar, '/guarded')).status).toBe(expected);
    const details = expected === 200 ? '' : 'ext_authz_error';
    expect(sidecar.telemetry.ended[0]?.details).toBe(details);
  }
});

test('one that is slower than its timeout, or not there, has erred', async () => {
  const port = await authorizer(() => 'hang');
  expect((await send(await guarded(port, { timeout: '100ms' }), '/guarded')).status).toBe(403);
  expect((await send(await guarded(1), '/guarded')).status).toBe(403);
});

test('a body is told as text or as bytes, in part where that is allowed', async () => {
  const seen: Seen[] = [];
  const port = await authorizer((check) => {
    seen.push(check);
    return {};
  });
  const body = '\xff\xfe binary';
  const head = `POST /guarded HTTP/1.1\r\nhost: payments\r\nconnection: close\r\n`;
  const raw = `${head}content-length: ${body.length}\r\n\r\n${body}`;
  const sizes = { maxRequestBytes: 4, allowPartialMessage: true, packAsBytes: true };
  const sidecar = await guarded(port, { includeRequestBodyInCheck: sizes });
  expect((await exchange(await plain(sidecar.inboundPort), raw)).status).toBe(200);
  const http = seen[0]?.attributes.request.http;
  expect(http?.['rawBody']).toBe(Buffer.from('\xff\xfe b', 'latin1').toString('base64'));
  expect(http?.headers['x-envoy-auth-partial-body']).toBe('true');
  const strict = await guarded(port, { includeRequestBodyInCheck: { maxRequestBytes: 4 } });
  expect((await exchange(await plain(strict.inboundPort), raw)).status).toBe(413);
});

test('an authorizer of the mesh is called with mutual TLS, and told who asks', async () => {
  const seen: Seen[] = [];
  const port = await authorizer((check) => {
    seen.push(check);
    return {};
  });
  const theirs = await rig.sidecar({ account: 'authorizer', application: port, protocol: 'grpc' });
  const endpoint = { port: theirs.inboundPort, identity: spiffe('shop', 'authorizer') };
  const service = 'authorizer.shop.svc.cluster.local';
  const services = [serviceOf('authorizer', [endpoint], 'grpc')];
  const sidecar = await guarded(80, { service }, { services });
  expect((await send(sidecar, '/guarded')).status).toBe(200);
  expect(seen).toHaveLength(1);
  expect(theirs.telemetry.ended).toHaveLength(1);
  expect(theirs.telemetry.protocols).toEqual(['HTTP/2']);
});
