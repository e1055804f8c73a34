// New connections: each makes a handshake, asks for one empty answer as proof that it counts, and closes.
import { TLSSocket } from 'node:tls';

import { openSocket } from './connection.ts';
import { readAnswers, requestOf } from './http1.ts';
import type { Meter } from './meter.ts';
import type { LoadOptions } from './options.ts';

/** The last ticket that the proxy gave. */
let ticket: Buffer | null = null;

export function openHandshakes(options: LoadOptions, meter: Meter): void {
  const request = requestOf(options);
  const again = (): void => meter.ready((atMs) => shake(options, request, meter, atMs, again));
  again();
}

function shake(
  options: LoadOptions,
  request: Buffer,
  meter: Meter,
  startedAtMs: number,
  again: () => void,
): void {
  const session = options.resume ? ticket : null;
  const socket = openSocket(options, session);
  let failure = 'closed before the answer';
  socket.on('error', (error) => (failure = error.message));
  if (options.resume) socket.on('session', (given: Buffer) => (ticket = given));
  socket.once('secureConnect', () => socket.write(request));
  readAnswers(socket, (statusLine) => {
    const resumed = socket instanceof TLSSocket && socket.isSessionReused();
    if (!statusLine.startsWith('HTTP/1.1 200')) failure = statusLine;
    else if (options.resume && session !== null && !resumed) failure = 'not resumed';
    else failure = '';
    socket.destroy();
  });
  socket.once('close', () => {
    if (failure === '') meter.done(startedAtMs, 1);
    else meter.fail(failure);
    if (failure === '') again();
    else setTimeout(again, 50);
  });
}
