// Makes recorded calls for real: a connection from the recorded address, with the recorded certificate and bytes.
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type PeerCertificate, type SecureContext } from 'node:tls';

import { alpnOf, type RecordedCall } from '#policy/judge/call.ts';
import { uriNames } from '#runtime/tls/peer-names.ts';

import type { Ends } from './access-lines.ts';
import { readResponse, requestBytes, tcpBytes, type WireResponse } from './wire-request.ts';

/** What came back. */
export type Reply =
  | { readonly kind: 'response'; readonly response: WireResponse }
  | { readonly kind: 'echo' }
  | { readonly kind: 'closed'; readonly reason: string }
  /** Neither an answer nor an end in time. */
  | { readonly kind: 'silent'; readonly reason: string }
  /** This machine cannot send from the recorded address. */
  | { readonly kind: 'unsendable'; readonly reason: string };

export interface Sent {
  readonly reply: Reply;
  /** Null where there was no connection. */
  readonly ends: Ends | null;
}

export interface Destination {
  /** On 127.0.0.1. */
  readonly port: number;
  /** The SPIFFE ID that the sidecar must prove. */
  readonly identity: string;
  /** Of a call that records none. */
  readonly serverName: string;
  readonly clientContext: (identity: string) => SecureContext;
}

const replyTimeoutMs = 10_000;

/** Sends one call on a connection of its own. Never rejects. */
export function send(call: RecordedCall, destination: Destination): Promise<Sent> {
  const { promise, resolve } = Promise.withResolvers<Sent>();
  const raw = connect({ host: '127.0.0.1', port: destination.port, localAddress: call.source.ip });
  raw.setNoDelay(true);
  const openedAtMs = Date.now();
  const to = `127.0.0.1:${destination.port}`;
  let from = '';
  let socket: Socket = raw;
  const settle = (reply: Reply): void => {
    clearTimeout(timer);
    const ends = from === '' ? null : { from, to, openedAtMs, closedAtMs: Date.now() };
    resolve({ reply, ends });
    socket.destroy();
    raw.destroy();
  };
  const reason = `nothing came within ${replyTimeoutMs / 1000} s`;
  const timer = setTimeout(() => settle({ kind: 'silent', reason }), replyTimeoutMs);
  raw.once('error', (error: NodeJS.ErrnoException) => {
    settle({ kind: unsendable.has(error.code) ? 'unsendable' : 'closed', reason: error.message });
  });
  raw.once('connect', () => {
    if (raw.localAddress !== call.source.ip) {
      const used = `the system sends from ${raw.localAddress} in place of ${call.source.ip}`;
      settle({ kind: 'unsendable', reason: used });
      return;
    }
    from = `${raw.localAddress}:${raw.localPort}`;
    socket = secure(raw, call, destination);
    exchange(socket, call, settle);
  });
  return promise;
}

const unsendable: ReadonlySet<string | undefined> = new Set(['EADDRNOTAVAIL', 'EINVAL']);

/** The socket to speak on: mutual TLS, TLS without a certificate, or the connection itself. */
function secure(raw: Socket, call: RecordedCall, to: Destination): Socket {
  const { identity } = call.source;
  if (identity === null) return raw;
  const protocols = alpnOf(call);
  return connectTls({
    socket: raw,
    secureContext: to.clientContext(identity),
    servername: call.sni ?? to.serverName,
    ...(protocols.length > 0 && { ALPNProtocols: [...protocols] }),
    checkServerIdentity: (_, certificate) => checkSidecar(to.identity, certificate),
  });
}

function checkSidecar(wanted: string, certificate: PeerCertificate): Error | undefined {
  const names = uriNames(certificate.subjectaltname);
  return names.includes(wanted) ? undefined : new Error(`the sidecar proves ${names.join(', ')}`);
}

function exchange(socket: Socket, call: RecordedCall, settle: (reply: Reply) => void): void {
  const isTcp = call.kind === 'tcp';
  let text = '';
  const closed = (reason: string): void => {
    const rest = text === '' ? '' : ` after ${JSON.stringify(text.slice(0, 80))}`;
    settle({ kind: 'closed', reason: reason + rest });
  };
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    try {
      const reply = isTcp ? readEcho(text) : readReply(text, call.method === 'HEAD');
      if (reply !== null) settle(reply);
    } catch (error) {
      closed(String(error));
    }
  });
  socket.once('end', () => closed('the connection was closed'));
  socket.once('close', () => closed('the connection was closed'));
  socket.on('error', (error) => closed(error.message));
  socket.write(isTcp ? tcpBytes : requestBytes(call));
}

function readReply(text: string, isHead: boolean): Reply | null {
  const response = readResponse(text, isHead);
  return response === null ? null : { kind: 'response', response };
}

function readEcho(text: string): Reply | null {
  return text === tcpBytes.toString('latin1') ? { kind: 'echo' } : null;
}
