// One endpoint of a cluster: its pool of connections, its TLS sessions, its calls under way, why it last failed.
import { connect, type OnReadOpts, type Socket } from 'node:net';

import type { Endpoint } from '#api/snapshot.ts';
import { formatAddress } from '#runtime/plain-address.ts';

import type { Budget } from '../wire/budget.ts';
import { HttpPool } from '../wire/http-pool.ts';
import type { Monitor } from './outlier/detector.ts';
import type { Outcome } from './outcome.ts';
import type { ProxiedAddresses } from './proxy-header.ts';
import { emptySlot } from './tls-context.ts';
import type { Tunnel } from './tunnel.ts';
import type { Purpose, Way } from './way.ts';

/** The cluster, as its members see it. */
export interface MemberOwner {
  readonly way: Way;
  /** What its members share of connections; null: each for itself. */
  readonly budget: Budget | null;
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
  /** Weight as it counts now, while it warms up too. */
  share = 1;
  /** performance.now() since when it is called, for slow start. */
  sinceMs = performance.now();
  monitor: Monitor | null = null;
  /** Left out for a while because calls to it failed. */
  ejected = false;
  /** Left out because its active checks fail. */
  failing = false;
  readonly #owner: MemberOwner;
  /** Kinds of connection that negotiate different protocols share no session. */
  readonly #slots = { http: emptySlot(), http1: emptySlot(), http2: emptySlot(), tcp: emptySlot() };
  #pool: HttpPool | null = null;

  constructor(endpoint: Endpoint, owner: MemberOwner) {
    this.endpoint = endpoint;
    this.address = formatAddress(endpoint.address, endpoint.port);
    this.#owner = owner;
  }

  get weight(): number {
    return this.endpoint.weight ?? 1;
  }

  /** May be called. */
  get healthy(): boolean {
    return !this.ejected && !this.failing;
  }

  /** Another sidecar answers there: it translates between versions of HTTP. */
  get meshed(): boolean {
    return this.#owner.way.meshes(this.endpoint);
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
    const { way, budget } = this.#owner;
    this.#pool ??= new HttpPool({
      address: this.address,
      connectHttp1: (onread) => this.#open('http1', onread),
      connectHttp2: (onread) => this.#open('http', onread),
      http1: way.limits.http1,
      http2: way.limits.http2,
      budget,
    });
    return this.#pool;
  }

  /** Open HTTP connections, idle ones included. */
  get connections(): number {
    return this.#pool?.connections ?? 0;
  }

  /** What it is to be asked for before it carries bytes; null: nothing. */
  get tunnel(): Tunnel | null {
    return this.#owner.way.tunnel;
  }

  /**
   * A connection of its own, for bytes; begun, not yet open, and its tunnel not asked for.
   * @param proxied on whose behalf, where the PROXY protocol tells it
   */
  openTcp(proxied: ProxiedAddresses | null = null): Socket {
    const purpose = this.tunnel === null ? 'tcp' : 'http1';
    return this.#counted(this.#open(purpose, undefined, proxied));
  }

  /** A connection of its own, for HTTP/1.1 outside the pool; begun, not yet open. */
  openHttp(): Socket {
    return this.#counted(this.#open('http1'));
  }

  /** A connection of its own, for HTTP/2 alone; begun, not yet open. */
  openHttp2(): Socket {
    return this.#counted(this.#open('http2'));
  }

  /** Connections to it are TLS, of the mesh or to outside. */
  get encrypted(): boolean {
    return this.#owner.way.encrypts(this.endpoint);
  }

  /** The event by which a connection of this member tells that it is open and its peer proven. */
  get openEvent(): 'connect' | 'secureConnect' {
    return this.encrypted ? 'secureConnect' : 'connect';
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

  #open(purpose: Purpose, onread?: OnReadOpts, proxied: ProxiedAddresses | null = null): Socket {
    const slot = this.#slots[purpose];
    const socket = this.#owner.way.open(this.endpoint, { purpose, slot, onread, proxied });
    socket.on('error', (error) => {
      this.lastError = error.message;
    });
    socket.once(this.openEvent, () => {
      this.lastError = '';
    });
    return socket;
  }

  /** Connections outside the pool are of the same budget. */
  #counted(socket: Socket): Socket {
    const { budget } = this.#owner;
    if (budget === null) return socket;
    budget.connections += 1;
    socket.once('close', () => {
      budget.connections -= 1;
    });
    return socket;
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
