// A forward proxy on the way: it is asked by CONNECT (RFC 9110 section 9.3.6), or POST, for a tunnel to the target of a DestinationRule.
import type { Socket } from 'node:net';

import type { TrafficPolicy } from '#api/traffic/destination.ts';
import { formatAddress } from '#runtime/plain-address.ts';

import type { ByteStream } from '../wire/tcp.ts';
import { PostedBytes, type AnswerFraming } from './posted-bytes.ts';

export type Tunnel = NonNullable<TrafficPolicy['tunnel']>;

/** What came so far of the proxy's answer. `refused` says why there is no tunnel. */
export type TunnelAnswer =
  | { readonly kind: 'more' }
  | { readonly kind: 'open'; readonly head: string; readonly rest: Buffer }
  | { readonly kind: 'refused'; readonly why: string };

const answerBytesMax = 16_384;
const statusLine = /^HTTP\/1\.[01] (\d{3})(?: |\r?$)/;

/**
 * Resolves with the tunnel; what the target has sent by then is read from it first. Rejects, with the socket destroyed,
 * when the proxy refuses, or says nothing in time.
 * @param socket to the proxy, open, nothing read from it or written to it
 */
export async function askTunnel(
  socket: Socket,
  tunnel: Tunnel,
  timeoutMs: number,
): Promise<ByteStream> {
  const head = await ask(socket, tunnel, timeoutMs);
  if (tunnel.method === 'CONNECT') return socket;
  const framing = framingOf(head);
  if (typeof framing !== 'string') return new PostedBytes(socket, framing);
  socket.destroy();
  throw new Error(`no tunnel: ${framing}`);
}

/** @returns the head of the answer */
async function ask(socket: Socket, tunnel: Tunnel, timeoutMs: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
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
      return resolve(found.head);
    }
  };
  socket.on('error', reject).on('close', onEnd).on('end', onEnd).on('readable', onReadable);
  const timer = setTimeout(() => fail('the proxy did not answer in time'), timeoutMs);
  try {
    socket.write(requestFor(tunnel));
    return await promise;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    socket.off('error', reject).off('close', onEnd).off('end', onEnd).off('readable', onReadable);
  }
}

function requestFor({ method, host, port }: Tunnel): string {
  const authority = formatAddress(host, port);
  return method === 'CONNECT'
    ? `CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n\r\n`
    : `POST / HTTP/1.1\r\nhost: ${authority}\r\ntransfer-encoding: chunked\r\n\r\n`;
}

/** An answer to CONNECT that opens a tunnel has no body, whatever its fields say: all that follows is the target's. */
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
    const head = bytes.toString('latin1', from, end);
    from = end + 4;
    if (status >= 200) return { kind: 'open', head, rest: bytes.subarray(from) };
  }
}

/** By what its head says (RFC 9112 section 6.3); a text says why it cannot carry bytes, or is not clear. */
export function framingOf(head: string): AnswerFraming | string {
  if (/^HTTP\/1\.[01] 20[45]/.test(head)) return 'its answer has no body';
  const values = (name: string): string[] =>
    [...head.matchAll(new RegExp(`\\n${name}:[\\t ]*([^\\r\\n]*?)[\\t ]*(?=\\r|$)`, 'gi'))].map(
      ([, value = '']) => value,
    );
  const [lengths, codings] = [values('content-length'), values('transfer-encoding')];
  const [length = ''] = lengths;
  if (codings.length > 0) {
    const clear = codings.length === 1 && lengths.length === 0 && /^chunked$/i.test(codings[0]!);
    return clear ? { chunked: true, length: -1 } : 'where its answer ends is not clear';
  }
  if (lengths.length === 0) return { chunked: false, length: -1 };
  const clear = lengths.length === 1 && /^\d{1,15}$/.test(length);
  return clear ? { chunked: false, length: Number(length) } : 'where its answer ends is not clear';
}

function read(socket: Socket): Buffer | null {
  return socket.read() as Buffer | null;
}
