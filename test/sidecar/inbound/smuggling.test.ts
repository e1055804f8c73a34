// Published smuggling attacks through two sidecars and through one, towards an application on Node's own parser.
import { afterAll, beforeAll, expect, test } from 'vitest';

import { authorization, exchange, plain, Rig, serviceOf, spiffe, strict } from '../rig.ts';

let rig: Rig;
/** What reached the application. */
const seen: string[] = [];
/** Ports: the caller's proxy in front of a STRICT callee, and a callee that takes plaintext. */
let outbound = 0;
let inbound = 0;

beforeAll(async () => {
  rig = await Rig.create();
  const { port } = await rig.application((request, response) => {
    let body = '';
    request.on('data', (bytes: Buffer) => (body += bytes.toString('latin1')));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      seen.push(`${method} ${url} ${headers.host ?? ''} ${body}`);
      response.end('ok');
    });
  });
  const policies = authorization(
    'no-admin',
    'DENY',
    '[{ to: [{ operation: { paths: ["/admin*"] } }] }]',
  );
  const server = await rig.sidecar({ application: port, policies: strict + policies });
  const identity = spiffe('shop', 'payments');
  const services = [serviceOf('payments', [{ port: server.inboundPort, identity }])];
  const client = await rig.sidecar({ account: 'web', services });
  outbound = client.outboundPort;
  inbound = (await rig.sidecar({ application: port, policies })).inboundPort;
});
afterAll(() => rig.close());

const admin = 'GET /admin HTTP/1.1\r\nHost: payments\r\n\r\n';
const post = 'POST /a HTTP/1.1\r\nHost: payments\r\n';
const chunked = 'Transfer-Encoding: chunked\r\n';

/** What is sent, and which statuses may answer the first request: never one for what hides behind it. */
const attacks: readonly (readonly [name: string, bytes: string, status: number])[] = [
  ['CL.TE', `${post}Content-Length: 6\r\n${chunked}\r\n0\r\n\r\nG${admin}`, 400],
  ['TE.CL', `${post}${chunked}Content-Length: 4\r\n\r\n5c\r\n${admin}\r\n0\r\n\r\n`, 400],
  [
    'TE.TE, another coding after it',
    `${post}${chunked}Transfer-Encoding: x\r\n\r\n0\r\n\r\n${admin}`,
    400,
  ],
  ['TE.TE, a list', `${post}Transfer-Encoding: x, chunked\r\n\r\n0\r\n\r\n${admin}`, 400],
  [
    'TE with a blank before the colon',
    `${post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${admin}`,
    400,
  ],
  ['TE folded', `${post}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${admin}`, 400],
  ['TE with a vertical tab', `${post}Transfer-Encoding:\vchunked\r\n\r\n0\r\n\r\n${admin}`, 400],
  ['TE after a bare CR', `${post}X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${admin}`, 400],
  ['TE after a bare LF', `${post}X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${admin}`, 400],
  ['TE quoted', `${post}Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n${admin}`, 400],
  ['TE in a line before the request line', ` ${chunked}${post}\r\n0\r\n\r\n${admin}`, 400],
  [
    'two lengths',
    `${post}Content-Length: 0\r\nContent-Length: ${admin.length}\r\n\r\n${admin}`,
    400,
  ],
  ['a list of lengths', `${post}Content-Length: 0, 44\r\n\r\n${admin}`, 400],
  ['a signed length', `${post}Content-Length: +0\r\n\r\n${admin}`, 400],
  ['a hexadecimal length', `${post}Content-Length: 0x2c\r\n\r\n${admin}`, 400],
  [
    'a length named by Connection',
    `${post}Connection: content-length\r\nContent-Length: ${admin.length}\r\n\r\n${admin}`,
    400,
  ],
  ['CL.0', `${post}Content-Length: ${admin.length}\r\n\r\n${admin}`, 200],
  [
    '0.CL by Expect',
    `${post}Expect: 100-continue\r\nContent-Length: ${admin.length}\r\n\r\n${admin}`,
    100,
  ],
  [
    'a chunk extension with a bare LF',
    `${post}${chunked}\r\n2;\nxx\r\n4c\r\n0\r\n\r\n${admin}`,
    400,
  ],
  ['a chunk size with a blank', `${post}${chunked}\r\n0 \r\n\r\n${admin}`, 400],
  ['a chunk size with a prefix', `${post}${chunked}\r\n0x0\r\n\r\n${admin}`, 400],
  ['a chunk size that overflows', `${post}${chunked}\r\n10000000000000000\r\n${admin}`, 400],
  ['a chunk that ends in other bytes', `${post}${chunked}\r\n1\r\nabc0\r\n\r\n${admin}`, 400],
  [
    'a trailer that is framing',
    `${post}${chunked}\r\n0\r\nContent-Length: ${admin.length}\r\n\r\n${admin}`,
    400,
  ],
  ['NUL in a value', `${post}X: a\0b\r\n\r\n${admin}`, 400],
  ['a folded value', `${post}X: a\r\n b\r\n\r\n${admin}`, 400],
  ['a second Host', `${post}Host: admin\r\n\r\n${admin}`, 400],
  [
    'user information in the target',
    `GET http://x@payments/ HTTP/1.1\r\nHost: a\r\n\r\n${admin}`,
    400,
  ],
  ['an upgrade to h2c', `${post}Connection: upgrade\r\nUpgrade: h2c\r\n\r\n`, 200],
  [
    'a body with an upgrade',
    `${post}Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: ${admin.length}\r\n\r\n${admin}`,
    400,
  ],
  ['a line end in the path', `GET /%0d%0aX:%20y HTTP/1.1\r\nHost: payments\r\n\r\n`, 200],
  ['no version', `GET /a\r\nHost: payments\r\n\r\n${admin}`, 400],
  [
    'HTTP/1.0 with chunks',
    `POST /a HTTP/1.0\r\nHost: payments\r\n${chunked}\r\n0\r\n\r\n${admin}`,
    400,
  ],
];

test.each(attacks)('%s hides no request', async (_name, bytes, status) => {
  for (const port of [outbound, inbound]) {
    seen.length = 0;
    const socket = await plain(port);
    const last = 'GET /last HTTP/1.1\r\nHost: payments\r\nConnection: close\r\n\r\n';
    const reply = await exchange(socket, bytes + last);
    expect({ port: port === inbound ? 'in' : 'out', status: reply.status }).toMatchObject({
      status,
    });
    expect(seen.filter((line) => line.startsWith('GET /admin'))).toEqual([]);
    expect(status === 400 ? seen : []).toEqual([]);
  }
});
