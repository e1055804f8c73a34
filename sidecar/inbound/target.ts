// One port of the workload: where its application is, the connections to it, and how many calls it is given at once.
import { connect, type OnReadOpts, type Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';

import type { ConnectionPool } from '#api/traffic/destination.ts';
import type { InboundPort } from '#api/traffic/inbound.ts';
import { formatAddress } from '#runtime/plain-address.ts';

import type { Counted } from '../exchange.ts';
import type { Failure } from '../failures.ts';
import { Limits } from '../upstream/limit/limits.ts';
import { openPlain } from '../upstream/member.ts';
import type { OwnPorts } from '../upstream/own-ports.ts';
import { keepAliveOn, poolLimitsOf } from '../upstream/pool-limits.ts';
import { HttpPool } from '../wire/http-pool.ts';
import type { Application, InboundTarget } from './connection.ts';

export interface TargetParts {
  /** As policies call it; '': the one that was connected to. */
  readonly ip: string;
  /** As policies call it. */
  readonly port: number;
  /** Where it is unless something else is said. */
  readonly application: Application;
  /** Where an address that is said is from here. @param place its host is '' for the pod's own */
  readonly at: (place: { readonly host: string; readonly port: number }) => Application;
  /** No application is behind them, whatever is said; null: only this one place is called. */
  readonly ownPorts: Pick<OwnPorts, 'guard'> | null;
}

export class Target implements InboundTarget, Counted {
  readonly ip: string;
  readonly port: number;
  application: Application;
  pool: HttpPool;
  /** What is said of connections; null: nothing. */
  connections: ConnectionPool | null = null;
  readonly #parts: TargetParts;
  #limits: Limits | null = null;
  #active = 0;
  #rule: InboundPort | null = null;

  constructor(parts: TargetParts) {
    this.#parts = parts;
    this.ip = parts.ip;
    this.port = parts.port;
    this.application = parts.application;
    this.pool = this.#newPool();
  }

  /** `address:port` of the application, or the path of its socket. */
  get address(): string {
    const { host, port, path } = this.application;
    return path === '' ? formatAddress(host, port) : path;
  }

  /** What is said of the port from now on: calls under way end where they are. */
  follow(rule: InboundPort | null): void {
    const { application, pool } = rule ?? {};
    const before = this.#rule;
    this.#rule = rule;
    // Another rule may say the same: of every port or of this one, by this Sidecar or by the next.
    if (isDeepStrictEqual([application, pool], [before?.application, before?.pool])) return;
    this.connections = pool ?? null;
    if (pool !== undefined) this.#limits ??= new Limits();
    this.#limits?.change(pool ?? {}, undefined);
    if (application === undefined) this.application = this.#parts.application;
    else if ('path' in application) {
      this.application = { host: '', port: 0, path: application.path, from: '' };
    } else this.application = this.#parts.at(application);
    const replaced = this.pool;
    this.pool = this.#newPool();
    replaced.close();
  }

  /** A call is given to the application: where this is null, `end` must follow, once. Only asked where something is said. */
  begin(): Failure | null {
    const refused = this.#limits?.admit(this.#active, performance.now()) ?? null;
    if (refused === null) this.#active += 1;
    return refused;
  }

  end(): void {
    this.#active -= 1;
  }

  /** Why there may be no other connection of bytes at present. */
  admitConnection(): Failure | null {
    return this.#limits?.admitConnection() ?? null;
  }

  /** A connection for bytes, begun. */
  open(): Socket {
    const socket = this.#connect();
    const limits = this.#limits;
    if (limits !== null) {
      limits.connections += 1;
      socket.once('close', () => {
        limits.connections -= 1;
      });
    }
    return socket;
  }

  #newPool(): HttpPool {
    const { http1, http2 } = poolLimitsOf(this.connections ?? undefined);
    const connectHttp = (onread?: OnReadOpts): Socket => this.#connect(onread);
    return new HttpPool({
      address: this.address,
      connectHttp1: connectHttp,
      connectHttp2: connectHttp,
      http1,
      http2,
      budget: this.#limits,
    });
  }

  #connect(onread?: OnReadOpts): Socket {
    const { host, port, path, from } = this.application;
    const socket = path === '' ? openPlain(host, port, onread, from) : openPath(path, onread);
    if (this.#rule?.application !== undefined) this.#parts.ownPorts?.guard(socket);
    keepAliveOn(socket, this.connections?.keepAlive ?? null);
    return socket;
  }
}

function openPath(path: string, onread?: OnReadOpts): Socket {
  const real = path.startsWith('@') ? `\0${path.slice(1)}` : path;
  return connect({ path: real, allowHalfOpen: true, ...(onread !== undefined && { onread }) });
}
