// A connection of the load process: plaintext or mutual TLS, through a tunnel where a forward proxy wants one.
import { readFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls';

import type { Meter } from './meter.ts';
import type { LoadOptions } from './options.ts';

/** As Istio's sidecars offer them to each other. */
const protocols = {
  http1: ['istio-http/1.1', 'istio', 'http/1.1'],
  http2: ['istio-h2', 'h2'],
  grpc: ['istio-h2', 'h2'],
  tcp: ['istio'],
  handshakes: ['istio-http/1.1', 'istio', 'http/1.1'],
} as const;

const reopenMs = 50;
let context: SecureContext | null = null;

/**
 * Opens a connection and gives it to `use`; `reopen` is called a little after it has closed, since
 * none should close before the end.
 */
export function openConnection(
  options: LoadOptions,
  meter: Meter,
  use: (socket: Socket) => void,
  reopen: () => void,
): void {
  const socket = openSocket(options, null);
  let reason = 'closed';
  socket.on('error', (error) => (reason = error.message));
  socket.on('close', () => {
    meter.fail(`connection: ${reason}`);
    if (!meter.over) setTimeout(reopen, reopenMs);
  });
  socket.once(options.tls === null ? 'connect' : 'secureConnect', () => {
    if (options.tunnel === null) use(socket);
    else openTunnel(socket, options.tunnel, () => use(socket));
  });
}

/** @param session null: a full handshake */
export function openSocket({ port, tls, speaks }: LoadOptions, session: Buffer | null): Socket {
  if (tls === null) return connectTcp({ host: '127.0.0.1', port, noDelay: true });
  context ??= createSecureContext({
    ca: readFileSync(tls.ca),
    cert: readFileSync(tls.cert),
    key: readFileSync(tls.key),
    // One that all know; else Node's post-quantum offer is taken by some and not by others.
    ecdhCurve: 'X25519',
  });
  const socket = connectTls({
    host: '127.0.0.1',
    port,
    secureContext: context,
    servername: 'outbound_.8080_._.server.bench.svc.cluster.local',
    ALPNProtocols: [...protocols[speaks]],
    // The load does not judge the proxy's name; the pair's sidecars do.
    checkServerIdentity: () => undefined,
    ...(session !== null && { session }),
  });
  socket.setNoDelay(true);
  return socket;
}

function openTunnel(socket: Socket, authority: string, open: () => void): void {
  let head = '';
  const read = (chunk: Buffer): void => {
    head += chunk.toString('latin1');
    if (!head.includes('\r\n\r\n')) return;
    socket.off('data', read);
    if (head.startsWith('HTTP/1.1 200')) open();
    else socket.destroy(new Error(`CONNECT: ${head.slice(0, head.indexOf('\r'))}`));
  };
  socket.on('data', read);
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n\r\n`);
}
