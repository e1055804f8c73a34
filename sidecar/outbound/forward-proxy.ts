// A tunnel through a forward proxy, which is the endpoint then: DestinationRule's `trafficPolicy.tunnel`.
import type { Socket } from 'node:net';

import type { TrafficPolicy } from '#api/traffic/destination.ts';
import { formatAddress } from '#runtime/plain-address.ts';

export type TunnelPolicy = NonNullable<TrafficPolicy['tunnel']>;

/** Of a proxy's answer, which is nobody's to read. */
const headBytesMax = 16_384;
const endOfHead = '\r\n\r\n';

/**
 * Asks for the tunnel (RFC 9110 section 9.3.6). What comes after the proxy's consent is left in the socket.
 * Rejects with what the proxy answered instead; the socket is destroyed then.
 */
export async function askForTunnel(
  socket: Socket,
  { method, host, port }: TunnelPolicy,
  timeoutMs: number,
): Promise<void> {
  try {
    // Its bytes would be a body in chunks: nothing that a connection of bytes could be handed over to.
    if (method === 'POST') throw new Error('tunnels are asked for by CONNECT only');
    const target = formatAddress(host, port);
    socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
    const status = await readAnswer(socket, timeoutMs);
    if (status > 299) throw new Error(`the proxy refused the tunnel: ${status}`);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

interface Answer {
  readonly status: number;
  readonly rest: Buffer;
}

/** Exported for fuzzing. @return null: its head goes on. @throws Error for what is no answer */
export function answerIn(bytes: Buffer): Answer | null {
  const end = bytes.indexOf(endOfHead, 0, 'latin1');
  const head = bytes.toString('latin1', 0, end < 0 ? headBytesMax : end);
  const [, status] = /^HTTP\/1\.[01] ([1-9]\d\d)(?: |\r|$)/.exec(head) ?? [];
  if (end >= 0 && status !== undefined) {
    return { status: Number(status), rest: bytes.subarray(end + endOfHead.length) };
  }
  if (end >= 0) throw new Error('the proxy answered no HTTP/1.1');
  if (bytes.length > headBytesMax) throw new Error('the proxy answers without end');
  return null;
}

/** @return its status, 200 or more */
async function readAnswer(socket: Socket, timeoutMs: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let bytes: Buffer = Buffer.alloc(0);
  const onReadable = (): void => {
    for (;;) {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      bytes = Buffer.concat([bytes, chunk]);
      try {
        const answer = answerIn(bytes);
        if (answer === null) continue;
        bytes = answer.rest;
        // Steps before the answer (100 and the like) are none.
        if (answer.status < 200) continue;
        socket.off('readable', onReadable);
        // At once: where the end came with it, a moment later is too late.
        if (bytes.length > 0) socket.unshift(bytes);
        return resolve(answer.status);
      } catch (error) {
        return reject(error);
      }
    }
  };
  const onGone = (): void => reject(new Error('the proxy closed the connection'));
  const timer = setTimeout(() => reject(new Error('the proxy did not answer in time')), timeoutMs);
  socket.on('readable', onReadable).on('error', reject).once('end', onGone).once('close', onGone);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.off('readable', onReadable).off('error', reject).off('end', onGone).off('close', onGone);
  }
}
