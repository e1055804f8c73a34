// Makes recorded calls for real: a connection from the recorded address, with the recorded certificate and bytes.
import { once } from 'node:events';
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
  | { readonly kind: 'silent'; readonly reason: string };

export interface Sent {
  readonly reply: Reply;
  /** Null where there was no connection. */
  readonly ends: Ends | null;
  /** The address it was sent from: the recorded one, unless this system cannot send from that. */
  readonly address: string;
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
export async function send(call: RecordedCall, destination: Destination): Promise<Sent> {
  const { ip } = call.source;
  const connection = (await open(destination.port, ip)) ?? (await open(destination.port, null));
  if (connection === null) {
    const reply = { kind: 'closed', reason: 'nobody accepts the connection' } as const;
    return { reply, ends: null, address: ip };
  }
  const { raw, ends } = connection;
  // A socket forgets it when it is destroyed.
  const address = raw.localAddress ?? '';
  const { promise, resolve } = Promise.withResolvers<Reply>();
  const reason = `nothing came within ${replyTimeoutMs / 1000} s`;
  const timer = setTimeout(() => resolve({ kind: 'silent', reason }), replyTimeoutMs);
  const socket = secure(raw, call, destination);
  exchange(socket, call, resolve);
  const reply = await promise;
  clearTimeout(timer);
  socket.destroy();
  raw.destroy();
  return { reply, ends: { ...ends, closedAtMs: Date.now() }, address };
}

/** Null where the system cannot connect from that address, or takes another one without a word. */
async function open(
  port: number,
  localAddress: string | null,
): Promise<{ raw: Socket; ends: Omit<Ends, 'closedAtMs'> } | null> {
  const openedAtMs = Date.now();
  const to = { host: '127.0.0.1', port };
  const raw = connect(localAddress === null ? to : { ...to, localAddress });
  raw.setNoDelay(true);
  try {
    await once(raw, 'connect');
  } catch {
    return null;
  }
  if (localAddress !== null && raw.localAddress !== localAddress) {
    raw.destroy();
    return null;
  }
  const from = `${raw.localAddress}:${raw.localPort}`;
  return { raw, ends: { from, to: `127.0.0.1:${port}`, openedAtMs } };
}

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
