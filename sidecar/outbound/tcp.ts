// Bytes from the application to a service or a host outside: opened by turns, relayed, reported.
import type { Socket } from 'node:net';

import type { Failure } from '../failures.ts';
import { TcpSessionRecord } from '../tcp-session.ts';
import type { Telemetry } from '../telemetry/types.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { reset } from '../wire/reset.ts';
import { relay, relayIdleTimeoutMs, type Relay } from '../wire/tcp.ts';
import type { OutboundConnection } from './connection.ts';
import { destinationOf, openUpstream, outside, type Destination } from './destination.ts';
import type { OriginalDestination } from './original-destination.ts';
import type { Found } from './routes.ts';

export interface OutboundTcpParts {
  readonly connection: OutboundConnection;
  readonly socket: Socket;
  /** What was read of it already. */
  readonly head: Buffer;
  readonly original: OriginalDestination;
  readonly found: Found;
  readonly upstreams: Upstreams;
  readonly telemetry: Telemetry;
}

/** Serves a captured connection as bytes: nothing is waited for but the connection to its end. */
export function serveOutboundTcp(parts: OutboundTcpParts): void {
  const { connection, socket, head, original, found, upstreams, telemetry } = parts;
  const session = new TcpSessionRecord(connection, telemetry);
  const carrier = new OutboundTcp(socket, session);
  connection.tcp = carrier;
  const to =
    found === 'unknown-host' ? outside(original) : destinationOf(session, upstreams, found);
  if ('kind' in to) void carrier.open(upstreams, to, head);
  else carrier.fail(to);
}

class OutboundTcp {
  readonly #downstream: Socket;
  readonly #session: TcpSessionRecord;
  #relay: Relay | null = null;

  constructor(downstream: Socket, session: TcpSessionRecord) {
    this.#downstream = downstream;
    this.#session = session;
    downstream.once('close', () => this.#left());
  }

  /** Never rejects. */
  async open(upstreams: Upstreams, to: Destination, head: Buffer): Promise<void> {
    const session = this.#session;
    const downstream = this.#downstream;
    const upstream = await openUpstream(session, upstreams, to, (message) => {
      session.details = `upstream_connect_failed{${message}}`;
      return !downstream.destroyed;
    });
    if ('code' in upstream) {
      this.fail(upstream);
    } else if (downstream.destroyed) {
      upstream.destroy();
    } else {
      session.details = '';
      session.open();
      this.#relay = relay({
        downstream,
        upstream,
        counters: session,
        head,
        idleTimeoutMs: relayIdleTimeoutMs,
        onEnd: (how) => session.end(how),
      });
    }
  }

  /** A reset: to whoever reads to the end, a plain close would be an empty answer. */
  fail(failure: Failure): void {
    const session = this.#session;
    if (session.closedAtMs !== 0) return;
    session.flag = failure.flag;
    if (session.details === '') session.details = failure.details;
    session.open();
    session.close();
    reset(this.#downstream);
  }

  close(): void {
    if (this.#relay !== null) this.#relay.close();
    else reset(this.#downstream);
  }

  /** The application went before there was anybody to talk to. */
  #left(): void {
    const session = this.#session;
    if (this.#relay !== null || session.closedAtMs !== 0) return;
    session.flag = 'DC';
    session.open();
    session.close();
  }
}
