// One connection to the workload, from first byte to end: what policies and logs know of it.
import type { Socket } from 'node:net';

import type { ConnectionPool } from '#api/traffic/destination.ts';
import type { ConnectionFacts, RequestFacts } from '#policy/facts.ts';
import { admitPeer, admitTransport, type Hello } from '#policy/transport.ts';
import { plainAddress } from '#runtime/plain-address.ts';

import type { LiveConnection } from '../connections.ts';
import type { Failure } from '../failures.ts';
import type { Downstream, Exchange } from '../exchange.ts';
import type { Enforced } from '../in-force.ts';
import type { HttpPool } from '../wire/http-pool.ts';
import type { Peer } from './peer.ts';

export interface Application {
  readonly host: string;
  readonly port: number;
  /** Of a socket of a file, in place of both; '': none. */
  readonly path: string;
  /** Source address of connections to it; '': the system's choice. */
  readonly from: string;
}

/** Where connections to one of the workload's ports go. */
export interface InboundTarget {
  /** The workload's own address, whatever the listener's is; '': the one that was connected to. */
  readonly ip: string;
  /** The workload's own port, whatever the listener's is. */
  readonly port: number;
  readonly application: Application;
  /** `address:port` of the application, or the path of its socket. */
  readonly address: string;
  readonly pool: HttpPool;
  /** What is said of connections to it; null: nothing, and a call need not `begin`. */
  readonly connections: ConnectionPool | null;
  /** A call is given to it: where this is null, `end` must follow, once; else why it is not. */
  begin(): Failure | null;
  end(): void;
  /** Why there may be no other connection of bytes at present. */
  admitConnection(): Failure | null;
  /** A connection for bytes, begun. */
  open(): Socket;
}

/** What a connection carries once it is admitted. */
export interface Carrier {
  /** Why what it carries may no longer go on under what is now in force; '' when it may. */
  judge(enforced: Enforced): string;
  /** Ends it because of policy: at once, but for a request that was admitted already. */
  revoke(): void;
  close(): void;
  drain(): void;
}

export type Transport = 'unknown' | 'plaintext' | 'tls' | 'mtls';

export class InboundConnection implements Downstream, LiveConnection {
  readonly direction = 'inbound';
  readonly target: InboundTarget;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  facts: ConnectionFacts;
  forwardedClientCert = '';
  telemetry: unknown = null;
  transport: Transport = 'unknown';
  deadlineMs = 0;
  /** Exchanges that became tunnels (WebSocket), with their requests as they were admitted. */
  readonly tunnels = new Map<Exchange, RequestFacts>();
  /** The outermost socket: once TLS wraps the first one, only the TLS socket may be closed. */
  #socket: Socket;
  #hello: Hello | null = null;
  #carrier: Carrier | null = null;

  constructor(raw: Socket, target: InboundTarget) {
    this.#socket = raw;
    this.target = target;
    this.remoteAddress = plainAddress(raw.remoteAddress ?? '');
    this.remotePort = raw.remotePort ?? 0;
    this.localAddress = plainAddress(raw.localAddress ?? '');
    this.localPort = raw.localPort ?? 0;
    this.facts = this.#makeFacts(false, [], '');
  }

  /** Neither TLS nor anything else has been proven. */
  setPlaintext(): void {
    this.transport = 'plaintext';
  }

  /** Somebody else's TLS, passed on as it is. */
  setOpaque(hello: Hello): void {
    this.transport = 'tls';
    this.#hello = hello;
    this.facts = this.#makeFacts(false, [], hello.sni);
  }

  setPeer(socket: Socket, hello: Hello, peer: Peer): void {
    this.transport = 'mtls';
    this.#socket = socket;
    this.#hello = hello;
    this.forwardedClientCert = peer.forwardedClientCert;
    this.deadlineMs = peer.notAfterMs;
    this.facts = this.#makeFacts(true, peer.identities, hello.sni);
  }

  carry(carrier: Carrier): void {
    this.#carrier = carrier;
  }

  /** A connection that still arrives is judged by what is in force when it has arrived. */
  judge(enforced: Enforced): string {
    if (this.#carrier === null) return '';
    return this.#judgeTransport(enforced) || this.#carrier.judge(enforced);
  }

  revoke(): void {
    if (this.#carrier === null) this.#socket.destroy();
    else this.#carrier.revoke();
  }

  close(): void {
    this.#carrier?.close();
    this.#socket.destroy();
  }

  drain(): void {
    this.#carrier?.drain();
  }

  #judgeTransport({ policies }: Enforced): string {
    const wanted = { unknown: '', plaintext: 'plaintext', tls: 'opaque', mtls: 'terminate' };
    const admission = admitTransport(policies, this.target.port, this.#hello);
    if (admission.kind === 'refused') return admission.reason;
    if (admission.kind !== wanted[this.transport]) return 'PeerAuthentication has changed';
    if (this.transport !== 'mtls') return '';
    const peer = admitPeer(policies, this.facts.identities);
    return peer.ok ? '' : peer.reason;
  }

  #makeFacts(mtls: boolean, identities: readonly string[], sni: string): ConnectionFacts {
    return Object.freeze({
      mtls,
      identities,
      sourceIp: this.remoteAddress,
      destinationIp: this.target.ip || this.localAddress,
      destinationPort: this.target.port,
      sni,
    });
  }
}
