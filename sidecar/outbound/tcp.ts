// Bytes from the application to a service or a host outside: opened by turns, relayed, reported.
import type { Socket } from 'node:net';

import type { ConnectionPool } from '#api/traffic/destination.ts';

import { failures, type Failure } from '../failures.ts';
import type { Enforced } from '../in-force.ts';
import { TcpSessionRecord } from '../tcp-session.ts';
import type { Telemetry } from '../telemetry/types.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { reset } from '../wire/reset.ts';
import { relay, relayIdleTimeoutMs, type ByteStream, type Relay } from '../wire/tcp.ts';
import { routeBytes } from './connection-route.ts';
import type { OutboundConnection } from './connection.ts';
import { destinationOf, openUpstream, outside } from './destination.ts';
import type { OriginalDestination } from './original-destination.ts';
import type { Found } from './routes.ts';

export interface OutboundTcpParts {
  readonly connection: OutboundConnection;
  readonly socket: Socket;
  readonly original: OriginalDestination;
  readonly found: Found;
  /** What was in force when it was opened. */
  readonly enforced: Enforced;
  readonly upstreams: Upstreams;
  readonly telemetry: Telemetry;
}

/**
 * A connection carried as bytes. It is opened at once, and relays when it has been told to as well:
 * it may be opened before anybody knows whether it is to carry bytes.
 */
export class OutboundTcp {
  readonly found: Found;
  readonly #downstream: Socket;
  readonly #session: TcpSessionRecord;
  readonly #onSpeaks: () => void;
  /** What was read of the application; null: whether it is bytes is not known yet. */
  #head: Buffer | null = null;
  #upstream: ByteStream | Failure | null = null;
  #relay: Relay | null = null;
  #abandoned = false;
  /** What a DestinationRule says of connections to the service. */
  #policy: ConnectionPool | null = null;
  #lifetime: NodeJS.Timeout | undefined;

  /** @param onSpeaks called when the other end speaks, or ends, before `start` */
  constructor(parts: OutboundTcpParts, onSpeaks: () => void) {
    this.found = parts.found;
    this.#downstream = parts.socket;
    this.#session = new TcpSessionRecord(parts.connection, parts.telemetry);
    this.#onSpeaks = onSpeaks;
    parts.socket.once('close', () => this.#left());
    void this.#open(parts);
  }

  /** It is bytes. @param head what was read of it already */
  start(head: Buffer): void {
    this.#head = head;
    if (this.#upstream !== null) this.#opened(this.#upstream);
  }

  /** It is something else, or bytes to somebody else: as if it had never been opened. */
  abandon(): void {
    this.#abandoned = true;
    if (this.#upstream !== null && !('code' in this.#upstream)) this.#upstream.destroy();
  }

  close(): void {
    if (this.#relay !== null) this.#relay.close();
    else reset(this.#downstream);
  }

  /** Never rejects. */
  async #open({
    connection,
    original,
    found,
    enforced,
    upstreams,
  }: OutboundTcpParts): Promise<void> {
    const session = this.#session;
    const meant =
      found === 'unknown-host' ? outside(original) : destinationOf(session, upstreams, found);
    const { sni } = connection.facts;
    const to =
      'code' in meant ? meant : routeBytes(session, enforced, upstreams, meant, sni, original);
    if (!('code' in to) && to.kind === 'service') this.#policy = to.cluster.pool ?? null;
    const opened =
      'code' in to
        ? to
        : await openUpstream(
            session,
            connection,
            upstreams,
            { to, called: original },
            (message) => {
              session.details = `upstream_connect_failed{${message}}`;
              return !this.#abandoned;
            },
          );
    this.#upstream = opened;
    if (this.#abandoned) this.abandon();
    else if (this.#head !== null) this.#opened(opened);
    else if (!('code' in opened)) this.#listen(opened);
  }

  /** Hears the other end without taking anything from it. */
  #listen(upstream: ByteStream): void {
    upstream.on('error', () => undefined);
    upstream.once('readable', () => {
      if (this.#head === null && !this.#abandoned) this.#onSpeaks();
    });
  }

  #opened(upstream: ByteStream | Failure): void {
    const session = this.#session;
    if ('code' in upstream) {
      this.#fail(upstream);
    } else if (upstream.destroyed) {
      session.details = 'upstream_reset';
      this.#fail(failures['upstream-reset']);
    } else {
      session.details = '';
      session.open();
      upstream.removeAllListeners('readable');
      this.#relay = relay({
        downstream: this.#downstream,
        upstream,
        counters: session,
        head: this.#head ?? Buffer.alloc(0),
        idleTimeoutMs: this.#policy?.tcpIdleTimeoutMs ?? relayIdleTimeoutMs,
        onEnd: (how) => {
          clearTimeout(this.#lifetime);
          session.end(how);
        },
      });
      const { maxConnectionDurationMs: lifeMs = 0 } = this.#policy ?? {};
      if (lifeMs > 0) this.#lifetime = setTimeout(() => this.close(), lifeMs);
    }
  }

  /** A reset: to whoever reads to the end, a plain close would be an empty answer. */
  #fail(failure: Failure): void {
    const session = this.#session;
    session.flag = failure.flag;
    if (session.details === '') session.details = failure.details;
    session.open();
    session.close();
    reset(this.#downstream);
  }

  /** The application went before there was anybody to talk to. */
  #left(): void {
    const session = this.#session;
    if (this.#relay !== null || this.#abandoned || session.closedAtMs !== 0) return;
    this.abandon();
    if (this.#head === null) return;
    session.flag = 'DC';
    session.open();
    session.close();
  }
}
