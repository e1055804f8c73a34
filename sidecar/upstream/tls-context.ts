// Mutual TLS towards other sidecars: one context for each certificate, each peer proven by its ID.
import { connect as connectTcp, type OnReadOpts, type Socket } from 'node:net';
import {
  connect,
  createSecureContext,
  type ConnectionOptions,
  type PeerCertificate,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';

import { uriNames } from '#runtime/tls/peer-names.ts';
import type { Svid } from '#runtime/tls/svid.ts';

import { noteBelow } from '../wire/reset.ts';

/** What a connection must be to be the right one. */
export interface TlsTarget {
  readonly host: string;
  readonly port: number;
  /** Istio's `outbound_.8080_._.payments.shop.svc.cluster.local`. */
  readonly serverName: string;
  /** The SPIFFE IDs of which the peer must prove one; none: whoever is of the mesh will do. */
  readonly identities: readonly string[];
  readonly protocols: readonly string[];
  /** Written in the clear before the handshake. */
  readonly preface: Buffer | null;
}

/** TLS of any kind, ready to begin. */
export interface TlsConnecting extends Omit<TlsTarget, 'identities'> {
  readonly context: SecureContext;
  /** Whether the peer is the right one. */
  readonly check: (certificate: PeerCertificate) => Error | undefined;
  /** False: a certificate that nobody vouches for will do. */
  readonly verifies: boolean;
}

/** Where the last session with one peer is kept, to resume it. Never shared between peers. */
export interface SessionSlot {
  session: Buffer | null;
  /** The context that it was made in; a session of an older certificate is not resumed. */
  context: SecureContext | null;
  /** Date.now() at which the certificate that it proved ends: resumption does not look at it again. */
  untilMs: number;
}

export function emptySlot(): SessionSlot {
  return { session: null, context: null, untilMs: 0 };
}

/** Istio's protocols for HTTP within mutual TLS, the callee's choice; for HTTP/1.1 alone; for anything else. */
export const httpProtocols: readonly string[] = [
  'istio-h2',
  'h2',
  'istio-http/1.1',
  'istio',
  'http/1.1',
];
export const http2Protocols: readonly string[] = ['istio-h2', 'h2'];
export const http1Protocols: readonly string[] = ['istio-http/1.1', 'istio', 'http/1.1'];
export const tcpProtocols: readonly string[] = ['istio'];

export class UpstreamTls {
  #context: SecureContext;

  constructor(svid: Svid) {
    this.#context = makeContext(svid);
  }

  /** New connections use the new certificate. Throws, with nothing changed, when it is broken. */
  renew(svid: Svid): void {
    this.#context = makeContext(svid);
  }

  /**
   * Begins a connection. It emits `secureConnect` only after the peer has proven its identity, and
   * is destroyed with an error otherwise; what was written before is then never sent.
   */
  connect(target: TlsTarget, slot: SessionSlot, onread?: OnReadOpts): TLSSocket {
    const context = this.#context;
    const check = (certificate: PeerCertificate): Error | undefined =>
      checkIdentity(target, certificate);
    return connectTls({ ...target, context, check, verifies: true }, slot, onread);
  }
}

/** Begins a connection, as `UpstreamTls.connect` says. */
export function connectTls(
  target: TlsConnecting,
  slot: SessionSlot,
  onread?: OnReadOpts,
): TLSSocket {
  const { host, port, context, preface } = target;
  // Only bytes need a reset passed on, and only a socket made apart can be reset below TLS, or
  // written to before.
  const apart = onread === undefined || preface !== null;
  const tcp = apart ? connectTcp({ host, port, allowHalfOpen: true, noDelay: true }) : undefined;
  if (preface !== null) tcp?.write(preface);
  const options: ConnectionOptions & { onread?: OnReadOpts; allowHalfOpen: boolean } = {
    ...(tcp === undefined ? { host, port } : { socket: tcp }),
    servername: target.serverName,
    secureContext: context,
    session: sessionIn(slot, context),
    ALPNProtocols: [...target.protocols],
    checkServerIdentity: (_name, certificate) => target.check(certificate),
    rejectUnauthorized: target.verifies,
    allowHalfOpen: true,
    ...(onread !== undefined && !apart && { onread }),
  };
  const socket = connect(options);
  if (tcp === undefined) socket.setNoDelay(true);
  else carry(socket, tcp);
  // A socket around another one has no use for `onread`.
  if (apart && onread !== undefined) passOn(socket, onread);
  socket.on('session', (session: Buffer) => {
    // Resumption skips the check of the identity, so only proven sessions are kept.
    if (!socket.authorized) return;
    slot.session = session;
    slot.context = context;
    slot.untilMs = socket.getPeerX509Certificate()?.validToDate.getTime() ?? 0;
  });
  return socket;
}

function passOn(socket: TLSSocket, onread: OnReadOpts): void {
  socket.on('data', (chunk: Buffer) => {
    if (!onread.callback(chunk.length, chunk)) socket.pause();
  });
}

function carry(socket: TLSSocket, tcp: Socket): void {
  // A connection that does not open fails below, and TLS alone would close without a reason.
  tcp.on('error', (error) => socket.destroy(error));
  socket.once('secureConnect', () => noteBelow(socket, tcp));
}

function sessionIn(slot: SessionSlot, context: SecureContext): Buffer | undefined {
  if (slot.session === null || slot.context !== context) return undefined;
  return Date.now() < slot.untilMs ? slot.session : undefined;
}

/** Compares the peer's URI names with the identity that control told. */
function checkIdentity(target: TlsTarget, certificate: PeerCertificate): Error | undefined {
  const { identities } = target;
  const names = uriNames(certificate.subjectaltname);
  if (identities.length === 0 || identities.some((one) => names.includes(one))) return undefined;
  const proven = names.length === 0 ? 'no SPIFFE ID' : names.join(', ');
  const at = `${target.host}:${target.port}`;
  return new Error(`the peer at ${at} is ${proven}, wanted ${identities.join(' or ')}`);
}

function makeContext(svid: Svid): SecureContext {
  return createSecureContext({
    key: svid.keyPem,
    cert: svid.chainPem,
    ca: svid.trustBundlePem,
    minVersion: 'TLSv1.2',
  });
}
