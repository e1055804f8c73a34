import { once } from 'node:events';
import { connect, createServer, type TLSSocket } from 'node:tls';

import { expect, test } from 'vitest';

import { issue, makeTestCa } from './fixtures.ts';

test('a certificate of the test CA is accepted on both ends and carries its SPIFFE ID', async () => {
  const ca = await makeTestCa();
  const uri = 'spiffe://cluster.local/ns/a/sa/b';
  const server = await issue(ca, { uri: 'spiffe://cluster.local/ns/s/sa/s', ip: ['127.0.0.1'] });
  const client = await issue(ca, { uri });
  const listener = createServer({
    key: server.keyPem,
    cert: server.certPem,
    ca: ca.certPem,
    requestCert: true,
    rejectUnauthorized: true,
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const accepted = once(listener, 'secureConnection') as Promise<[TLSSocket]>;
  const socket = connect({
    port: address.port,
    host: '127.0.0.1',
    key: client.keyPem,
    cert: client.certPem,
    ca: ca.certPem,
  });
  await once(socket, 'secureConnect');
  const [peer] = await accepted;
  expect(peer.getPeerCertificate().subjectaltname).toBe(`URI:${uri}`);
  expect(socket.authorized).toBe(true);
  socket.destroy();
  peer.destroy();
  listener.close();
});
