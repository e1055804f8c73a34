// Servers of bytes and of TLS for tests: they greet, echo, break off, and note what they saw.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';

import { makeTestCa, issue, type Issued } from '#test/tls/fixtures.ts';

import type { Rig } from './rig.ts';

/** A TCP server on loopback. @param serve gets each connection, half-open allowed */
export async function bytesServer(rig: Rig, serve: (socket: Socket) => void): Promise<number> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => open.delete(socket));
    serve(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  rig.onClose(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** Sends back what it gets, and `bye` at the end. */
export function echoUntilEnd(socket: Socket): void {
  socket.on('data', (bytes: Buffer) => socket.write(bytes));
  socket.on('end', () => socket.end('bye'));
}

/** The first packets of MySQL: the server's greeting (protocol 10), the client's answer, an OK. */
export const mysql = {
  greeting: Buffer.from('\x4a\0\0\0\x0a8.4.0\0\x08\0\0\0abcdefgh\0', 'latin1'),
  login: Buffer.from('\x05\0\0\x01\x85\xa6\xff\x01\0', 'latin1'),
  ok: Buffer.from('\x07\0\0\x02\0\0\0\x02\0\0\0', 'latin1'),
};

export function serveMysql(socket: Socket): void {
  socket.write(mysql.greeting);
  let got = Buffer.alloc(0);
  socket.on('data', (bytes: Buffer) => {
    got = Buffer.concat([got, bytes]);
    if (got.equals(mysql.login)) socket.write(mysql.ok);
  });
  socket.on('end', () => socket.end());
}

/** Enough of RFC 5321 for one mail. */
export function serveSmtp(socket: Socket): void {
  socket.write('220 mail.shop ESMTP\r\n');
  let text = '';
  let data = false;
  socket.on('data', (bytes: Buffer) => {
    text += String(bytes);
    for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
      const line = text.slice(0, end);
      text = text.slice(end + 2);
      if (data && line !== '.') continue;
      if (line === 'DATA') socket.write('354 go ahead\r\n');
      else if (line === 'QUIT') socket.end('221 bye\r\n');
      else socket.write('250 ok\r\n');
      data = line === 'DATA';
    }
  });
  socket.on('end', () => socket.end());
}

/** A server with TLS of its own, which is none of the mesh's; says what it negotiated, then echoes. */
export async function tlsServer(
  rig: Rig,
  protocols: readonly string[] = ['h2', 'http/1.1'],
): Promise<{ port: number; certificate: Issued; seen: TLSSocket[] }> {
  const certificate = await issue(await makeTestCa(), { uri: 'spiffe://elsewhere/x' });
  const seen: TLSSocket[] = [];
  const server = createTlsServer(
    { key: certificate.keyPem, cert: certificate.certPem, ALPNProtocols: [...protocols] },
    (socket) => {
      seen.push(socket);
      socket.on('error', () => undefined);
      socket.write(`${socket.servername} ${socket.alpnProtocol};`);
      socket.on('data', (bytes: Buffer) => socket.write(bytes));
      socket.on('end', () => socket.end());
    },
  ).listen(0, '127.0.0.1');
  await once(server, 'listening');
  rig.onClose(() => {
    for (const socket of seen) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, certificate, seen };
}

export async function nextBytes(socket: Socket): Promise<Buffer> {
  return (await once(socket, 'data'))[0] as Buffer;
}

/** All that comes, and how it ended: `end`, or the code of the error. */
export async function readWhole(socket: Socket): Promise<{ text: string; how: string }> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = '';
  if (socket.errored !== null) return { text, how: codeOf(socket.errored) };
  socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')));
  socket.once('end', () => resolve('end'));
  socket.once('close', () => resolve('close'));
  socket.on('error', (error) => resolve(codeOf(error)));
  const how = await promise;
  socket.end();
  return { text, how };
}

function codeOf(error: NodeJS.ErrnoException): string {
  return error.code ?? error.message;
}

/** A connection whose reset is told by `readWhole`, not thrown, even when it comes at once. */
export async function dial(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  socket.on('error', () => undefined);
  await once(socket, 'connect').catch(() => []);
  return socket;
}

export async function until(check: () => boolean): Promise<void> {
  const untilMs = performance.now() + 10_000;
  while (!check()) {
    if (performance.now() > untilMs) throw new Error('it did not come true within 10 s');
    await new Promise((done) => setTimeout(done, 5));
  }
}
