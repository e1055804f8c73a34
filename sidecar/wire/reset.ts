// Ends connections by a reset, so that what was cut off never looks whole to its reader.
import type { Socket } from 'node:net';

import type { ByteStream } from './tcp.ts';

/** TLS sockets to the TCP sockets below them. */
const below = new WeakMap<ByteStream, Socket>();

/**
 * Notes which TCP socket carries a TLS socket, after its handshake: Node resets no TLS socket, and
 * its plain end (a FIN, with a close_notify or without) reads like the end of the data.
 */
export function noteBelow(tls: Socket, tcp: Socket): void {
  below.set(tls, tcp);
}

/** Closes at once with a reset (RST); what is not sent yet is lost. */
export function reset(socket: ByteStream): void {
  if (socket.destroyed) return;
  const tcp = below.get(socket);
  if (tcp !== undefined) {
    tcp.resetAndDestroy();
    socket.destroy();
  } else if ('encrypted' in socket) socket.destroy();
  else socket.resetAndDestroy();
}

/** A peer that takes nothing for so long does not get the rest. */
const flushTimeoutMs = 10_000;

/**
 * Sends what was written so far, then resets. A socket that was ended already has all that it will
 * ever get, so it closes in good order.
 */
export function resetWhenFlushed(socket: ByteStream): void {
  if (socket.destroyed) return;
  // Nobody is left to take what its peer still sends.
  socket.pause();
  socket.setTimeout(flushTimeoutMs, () => reset(socket));
  if (socket.writableEnded) socket.destroySoon();
  else if (socket.writableLength === 0) reset(socket);
  else socket.write('', () => reset(socket));
}
