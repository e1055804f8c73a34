// A forward proxy on the way: it is asked by CONNECT (RFC 9110 section 9.3.6) for a tunnel to the target of a DestinationRule.
import type { Socket } from 'node:net';

import type { TrafficPolicy } from '#api/traffic/destination.ts';
import { formatAddress } from '#runtime/plain-address.ts';

export type Tunnel = NonNullable<TrafficPolicy['tunnel']>;

/** What came so far of the proxy's answer. `refused` says why there is no tunnel. */
export type TunnelAnswer =
  | { readonly kind: 'more' }
  | { readonly kind: 'open'; readonly rest: Buffer }
  | { readonly kind: 'refused'; readonly why: string };

const answerBytesMax = 16_384;
const statusLine = /^HTTP\/1\.[01] (\d{3})(?: |\r?$)/;

/**
 * Resolves when the socket is a tunnel; what the target has sent by then is read from it first. Rejects, with the socket
 * destroyed, when the proxy refuses, or says nothing in time.
 * @param socket to the proxy, open, nothing read from it or written to it
 */
export async function askTunnel(socket: Socket, tunnel: Tunnel, timeoutMs: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = (why: string): void => reject(new Error(`no tunnel: ${why}`));
  const onEnd = (): void => fail('the proxy closed the connection');
  let answer: Buffer = Buffer.alloc(0);
  const onReadable = (): void => {
    for (let piece = read(socket); piece !== null; piece = read(socket)) {
      answer = Buffer.concat([answer, piece]);
      const found = readTunnelAnswer(answer);
      if (found.kind === 'more') continue;
      // First, or it would hear of what is put back.
      socket.off('readable', onReadable);
      if (found.kind === 'refused') return fail(found.why);
      if (found.rest.length > 0) socket.unshift(found.rest);
      return resolve();
    }
  };
  socket.on('error', reject).on('close', onEnd).on('end', onEnd).on('readable', onReadable);
  const timer = setTimeout(() => fail('the proxy did not answer in time'), timeoutMs);
  try {
    socket.write(requestFor(tunnel));
    await promise;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    socket.off('error', reject).off('close', onEnd).off('end', onEnd).off('readable', onReadable);
  }
}

function requestFor({ method, host, port }: Tunnel): string {
  // A body in pieces, each way, where CONNECT has bytes.
  if (method === 'POST') throw new Error('no tunnel: sidecars ask by CONNECT only');
  const authority = formatAddress(host, port);
  return `CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n\r\n`;
}

/** An answer that opens a tunnel has no body, whatever its fields say: all that follows is the target's. */
export function readTunnelAnswer(bytes: Buffer): TunnelAnswer {
  for (let from = 0; ;) {
    const end = bytes.indexOf('\r\n\r\n', from);
    const line = bytes.toString('latin1', from, end === -1 ? bytes.length : end).split('\n', 1)[0];
    if (end === -1) {
      if (bytes.length - from <= answerBytesMax) return { kind: 'more' };
      return { kind: 'refused', why: `its answer has more than ${answerBytesMax} bytes` };
    }
    const status = Number(statusLine.exec(line ?? '')?.[1] ?? 0);
    if (status < 100) return { kind: 'refused', why: 'what the proxy answered is not HTTP/1.1' };
    if (status === 101 || status >= 300) {
      return { kind: 'refused', why: `the proxy answered ${status}` };
    }
    from = end + 4;
    if (status >= 200) return { kind: 'open', rest: bytes.subarray(from) };
  }
}

function read(socket: Socket): Buffer | null {
  return socket.read() as Buffer | null;
}
