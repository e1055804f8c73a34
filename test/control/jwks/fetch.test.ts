import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, expect, test } from 'vitest';

import { AddressGuard, deniedByDefault, parseCidr } from '#control/jwks/addresses.ts';
import { KeyFetcher, placeOfSource, type Place } from '#control/jwks/fetch.ts';

const servers: Server[] = [];
const fetchers: KeyFetcher[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
  await Promise.all(fetchers.splice(0).map((fetcher) => fetcher.close()));
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function fetcher(denied: readonly string[] = deniedByDefault): KeyFetcher {
  const made = new KeyFetcher(new AddressGuard(denied));
  fetchers.push(made);
  return made;
}

const key = { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', kid: '1' };

test('keys are fetched, private members left out, members in one order', async () => {
  const origin = await serve((_, response) => {
    response.end(JSON.stringify({ keys: [{ d: 'secret', ...key }] }));
  });
  const text = await fetcher().fetchKeys({ uri: `${origin}/keys`, issuer: 'i' }, 1000);
  expect(text).toBe('{"keys":[{"crv":"P-256","kid":"1","kty":"EC","x":"x","y":"y"}]}');
});

test('with only an issuer, its OpenID configuration says where the keys are', async () => {
  const asked: string[] = [];
  const origin = await serve((request, response) => {
    asked.push(request.url ?? '');
    const body =
      request.url === '/realm/.well-known/openid-configuration'
        ? { issuer: 'i', jwks_uri: `http://${request.headers.host ?? ''}/jwks` }
        : { keys: [key] };
    response.end(JSON.stringify(body));
  });
  const text = await fetcher().fetchKeys({ uri: '', issuer: `${origin}/realm/` }, 1000);
  expect(JSON.parse(text)).toEqual({ keys: [key] });
  expect(asked).toEqual(['/realm/.well-known/openid-configuration', '/jwks']);
});

test('an issuer that is a Service of the mesh is asked at its endpoint, by its own name', async () => {
  const asked: string[] = [];
  const origin = await serve((request, response) => {
    asked.push(`${request.headers.host ?? ''}${request.url ?? ''}`);
    response.end(JSON.stringify({ keys: [key] }));
  });
  const place = { address: '127.0.0.1', port: Number(new URL(origin).port) };
  const made = new KeyFetcher(new AddressGuard(deniedByDefault), undefined, (host, port) =>
    host === 'web.web.svc.cluster.local' && port === 8080 ? place : null,
  );
  fetchers.push(made);
  const uri = 'http://web.web.svc.cluster.local:8080/keys?v=1';
  expect(JSON.parse(await made.fetchKeys({ uri, issuer: 'i' }, 1000))).toEqual({ keys: [key] });
  expect(asked).toEqual(['web.web.svc.cluster.local:8080/keys?v=1']);
});

test('an endpoint at a denied address is not asked either', async () => {
  const made = new KeyFetcher(new AddressGuard(deniedByDefault), undefined, () => ({
    address: '169.254.169.254',
    port: 80,
  }));
  fetchers.push(made);
  const fetched = made.fetchKeys({ uri: 'http://web.web.svc:8080/keys', issuer: 'i' }, 1000);
  await expect(fetched).rejects.toThrow(/169\.254\.169\.254/);
});

const answers: [string, RequestListener, RegExp][] = [
  ['an error status', (_, r) => r.writeHead(503).end(), /answered 503/],
  ['no JSON', (_, r) => r.end('<html>'), /not JSON/],
  ['another shape', (_, r) => r.end('{"keys":"none"}'), /no list/],
  ['an empty set', (_, r) => r.end('{"keys":[]}'), /empty/],
  ['a key that is no object', (_, r) => r.end('{"keys":[1]}'), /not a JSON object/],
  [
    'too many keys',
    (_, r) => r.end(JSON.stringify({ keys: Array.from({ length: 300 }, () => key) })),
    /more than 200 keys/,
  ],
  ['an endless body', endless, /more than 1048576 bytes/],
  ['no answer', () => undefined, /no answer within 200 ms/],
  ['half an answer', (_, r) => void r.write('{"keys":'), /no answer within 200 ms/],
  [
    'redirects without end',
    (_, r) => r.writeHead(302, { location: '/again' }).end(),
    /more than 3/,
  ],
  [
    'a redirect to a metadata service',
    (_, r) => r.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data' }).end(),
    /may not be fetched/,
  ],
  [
    'a redirect to a file',
    (_, r) => r.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    /no http/,
  ],
];

test.each(answers)(
  'an issuer that answers with %s gives no keys and the reason',
  async (_, listener, reason) => {
    const origin = await serve(listener);
    await expect(fetcher().fetchKeys({ uri: origin, issuer: 'i' }, 200)).rejects.toThrow(reason);
  },
);

test.each([
  'http://169.254.169.254/latest',
  'http://2852039166/latest',
  'http://0xa9fea9fe/',
  'http://[::ffff:169.254.169.254]/',
  'http://[fe80::1]/',
  'http://[fd00:ec2::254]/',
  'http://0.0.0.0/',
])('link-local and metadata addresses are denied however they are written: %s', async (uri) => {
  await expect(fetcher().fetchKeys({ uri, issuer: 'i' }, 500)).rejects.toThrow(
    /may not be fetched/,
  );
});

test('a name is denied when it resolves to a denied address', async () => {
  const origin = await serve((_, response) => response.end(JSON.stringify({ keys: [key] })));
  const uri = origin.replace('127.0.0.1', 'localhost');
  const strict = fetcher([...deniedByDefault, '127.0.0.0/8', '::1']);
  await expect(strict.fetchKeys({ uri, issuer: 'i' }, 1000)).rejects.toThrow(/localhost is at/);
  await expect(fetcher().fetchKeys({ uri, issuer: 'i' }, 1000)).resolves.toContain('P-256');
});

test('an OpenID configuration cannot point at a denied address', async () => {
  const origin = await serve((_, r) => r.end('{"jwks_uri":"http://169.254.169.254/"}'));
  await expect(fetcher().fetchKeys({ uri: '', issuer: origin }, 500)).rejects.toThrow(/may not be/);
});

test.each(['', 'x', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', '::1/129', '10.0.0/8'])(
  '%j is refused as a CIDR',
  (text) => {
    expect(() => parseCidr(text)).toThrow(/no address or CIDR/);
  },
);

function endless(_: unknown, response: Parameters<RequestListener>[1]): void {
  const chunk = Buffer.alloc(64 * 1024, ' ');
  const more = (): void => {
    while (!response.destroyed && response.write(chunk));
    response.once('drain', more);
  };
  more();
}

function placeOf(address: string, port: number): Place {
  return { address, port };
}

test.each([
  ['http://idp.a/keys', 'i', 'idp.a:80'],
  ['http://idp.a:8080/keys', 'i', 'idp.a:8080'],
  // A certificate is for the name, so an endpoint is not asked.
  ['https://idp.a/keys', 'i', null],
  ['', 'http://idp.a', 'idp.a:80'],
  ['', 'no address', null],
])('keys at %j of issuer %j are served in the mesh at %s', (uri, issuer, place) => {
  expect(placeOfSource({ uri, issuer }, placeOf)).toBe(place);
  expect(placeOfSource({ uri, issuer }, () => null)).toBeNull();
});
