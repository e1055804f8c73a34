// One endpoint of a cluster: its pool of connections, its TLS session, its calls under way, why it last failed.
import { connect, type OnReadOpts, type Socket } from 'node:net';

import type { Endpoint } from '#api/snapshot.ts';

import { HttpPool } from '../wire/http-pool.ts';
import { http1PoolLimits, type Http1PoolLimits } from '../wire/http1/limits.ts';
import { http2Limits } from '../wire/http2/limits.ts';
import type { Monitor } from './outlier/detector.ts';
import type { Outcome } from './outcome.ts';
import {
  emptySlot,
  http1Protocols,
  httpProtocols,
  tcpProtocols,
  type SessionSlot,
  type TlsTarget,
  type UpstreamTls,
} from './tls-context.ts';

/** The cluster, as its members see it. */
export interface MemberOwner {
  readonly tls: UpstreamTls;
  /** For mutual TLS. */
  readonly serverName: string;
  /** Calls under way to all members. */
  active: number;
  ended(member: Member, outcome: Outcome): void;
}

export class Member {
  /** Replaced when only labels or the workload's name change; address, port, identity stay. */
  endpoint: Endpoint;
  /** Message of the last connection that failed; '' when the last one opened. */
  lastError = '';
  readonly address: string;
  /** Calls under way. */
  active = 0;
  /** Weight as it counts now. */
  share = 1;
  monitor: Monitor | null = null;
  /** Left out for a while because calls to it failed. */
  ejected = false;
  readonly #owner: MemberOwner;
  readonly #limits: Readonly<Http1PoolLimits>;
  /** Kinds of connection that negotiate different protocols share no session. */
  readonly #httpSession = emptySlot();
  readonly #http1Session = emptySlot();
  readonly #tcpSession = emptySlot();
  #pool: HttpPool | null = null;

  constructor(
    endpoint: Endpoint,
    owner: MemberOwner,
    limits: Readonly<Http1PoolLimits> = http1PoolLimits,
  ) {
    this.endpoint = endpoint;
    this.address = formatAddress(endpoint.address, endpoint.port);
    this.#owner = owner;
    this.#limits = limits;
  }

  /** A call is given to it: `end` must follow, once. */
  begin(): void {
    this.active += 1;
    this.#owner.active += 1;
  }

  /** That attempt is over, whatever became of it. */
  end(outcome: Outcome): void {
    this.active -= 1;
    this.#owner.active -= 1;
    this.#owner.ended(this, outcome);
  }

  /** Made when first needed: most services are never called. */
  get pool(): HttpPool {
    this.#pool ??= new HttpPool({
      address: this.address,
      connectHttp1: (onread) => this.#open(http1Protocols, this.#http1Session, onread),
      connectHttp2: (onread) => this.#open(httpProtocols, this.#httpSession, onread),
      http1: this.#limits,
      http2: http2Limits,
    });
    return this.#pool;
  }

  /** Open HTTP connections, idle ones included. */
  get connections(): number {
    return this.#pool?.connections ?? 0;
  }

  /** A connection of its own, for bytes; begun, not yet open. */
  openTcp(): Socket {
    return this.#open(tcpProtocols, this.#tcpSession);
  }

  /** A connection of its own, for HTTP/1.1 outside the pool; begun, not yet open. */
  openHttp(): Socket {
    return this.#open(http1Protocols, this.#http1Session);
  }

  /** The event by which a connection of this member tells that it is open and its peer proven. */
  get openEvent(): 'connect' | 'secureConnect' {
    return this.endpoint.identity === null ? 'connect' : 'secureConnect';
  }

  /** Idle connections close, busy ones end their exchange; the next call opens new ones. */
  renew(): void {
    this.#pool?.close();
    this.#pool = null;
  }

  /** The endpoint is gone, and others are there: calls that wait for a connection soon go to those. */
  leave(): void {
    this.#pool?.abandon();
    this.#pool = null;
  }

  #open(protocols: readonly string[], slot: SessionSlot, onread?: OnReadOpts): Socket {
    const { address: host, port, identity } = this.endpoint;
    const socket =
      identity === null
        ? openPlain(host, port, onread)
        : this.#owner.tls.connect(this.#target(identity, protocols), slot, onread);
    socket.on('error', (error) => {
      this.lastError = error.message;
    });
    socket.once(this.openEvent, () => {
      this.lastError = '';
    });
    return socket;
  }

  #target(identity: string, protocols: readonly string[]): TlsTarget {
    const { address: host, port } = this.endpoint;
    return { host, port, serverName: this.#owner.serverName, identity, protocols };
  }
}

/**
 * A plain connection, begun.
 * @param host also a name, resolved by the system
 * @param from source address; '': the system's choice
 */
export function openPlain(host: string, port: number, onread?: OnReadOpts, from = ''): Socket {
  return connect({
    host,
    port,
    allowHalfOpen: true,
    noDelay: true,
    ...(onread !== undefined && { onread }),
    ...(from !== '' && { localAddress: from }),
  });
}

/** `address:port`, IPv6 in brackets. */
export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
