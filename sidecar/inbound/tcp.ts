// Bytes to the application: judged by the TCP rules, relayed, judged again when policy changes.
import type { Socket } from 'node:net';

import type { ConnectionPool } from '#api/traffic/destination.ts';
import { decide, decideCustom } from '#policy/decide.ts';
import { describe } from '#policy/explain.ts';
import type { Verdict } from '#policy/verdict.ts';

import type { Enforced } from '../in-force.ts';
import type { Telemetry } from '../telemetry/types.ts';
import { TcpSessionRecord } from '../tcp-session.ts';
import { reset } from '../wire/reset.ts';
import { relay, relayIdleTimeoutMs, type Relay } from '../wire/tcp.ts';
import type { Carrier, InboundConnection } from './connection.ts';

/** As Istio's default for connections to the application. */
const connectTimeoutMs = 10_000;

/** Serves a connection that is to be read as bytes. @param head what was read of it already */
export function serveTcp(
  connection: InboundConnection,
  socket: Socket,
  head: Buffer,
  enforced: Enforced,
  telemetry: Telemetry,
): void {
  const session = new TcpSessionRecord(connection, telemetry);
  session.judged(judgeTcp(connection, enforced), enforced);
  const allowed = session.verdict?.allowed === true;
  const overflow = allowed ? connection.target.admitConnection() : null;
  // Known before it is counted: labels may name it.
  if (allowed && overflow === null) session.upstreamAddress = connection.target.address;
  session.open();
  if (!allowed) {
    session.close();
    socket.destroy();
    return;
  }
  if (overflow !== null) {
    session.flag = overflow.flag;
    session.details = overflow.details;
    session.close();
    reset(socket);
    return;
  }
  connection.carry(new TcpCarrier(connection, socket, head, session));
}

/** CUSTOM on bytes can only deny: no authorizer that Selvage speaks to judges them. */
function judgeTcp(connection: InboundConnection, { policies }: Enforced): Verdict {
  const custom = decideCustom(policies.tcp, connection.facts, null);
  return custom?.verdict ?? decide(policies.tcp, connection.facts, null);
}

class TcpCarrier implements Carrier {
  readonly #connection: InboundConnection;
  readonly #downstream: Socket;
  readonly #upstream: Socket;
  readonly #session: TcpSessionRecord;
  readonly #policy: ConnectionPool | null;
  #relay: Relay | null = null;

  constructor(
    connection: InboundConnection,
    downstream: Socket,
    head: Buffer,
    session: TcpSessionRecord,
  ) {
    this.#connection = connection;
    this.#downstream = downstream;
    this.#session = session;
    const { target } = connection;
    this.#policy = target.connections;
    this.#upstream = target.open();
    this.#upstream.setTimeout(this.#policy?.connectTimeoutMs ?? connectTimeoutMs, () =>
      this.#failed(),
    );
    this.#upstream.on('error', () => this.#failed());
    this.#upstream.once('connect', () => this.#connected(head));
    downstream.once('close', () => {
      if (this.#relay !== null) return;
      this.#upstream.destroy();
      this.#session.close();
    });
  }

  judge(enforced: Enforced): string {
    const verdict = judgeTcp(this.#connection, enforced);
    if (verdict.allowed) return '';
    this.#session.judged(verdict, enforced);
    return describe(enforced.policies.tcp, verdict);
  }

  revoke(): void {
    this.close();
  }

  close(): void {
    if (this.#relay !== null) this.#relay.close();
    else reset(this.#downstream);
  }

  /** Bytes have no end of their own to wait for but the connection's; the deadline closes it. */
  drain(): void {}

  #connected(head: Buffer): void {
    this.#relay = relay({
      downstream: this.#downstream,
      upstream: this.#upstream,
      counters: this.#session,
      head,
      idleTimeoutMs: this.#policy?.tcpIdleTimeoutMs ?? relayIdleTimeoutMs,
      onEnd: (how) => {
        clearTimeout(lifetime);
        this.#session.end(how);
      },
    });
    const { maxConnectionDurationMs: lifeMs = 0 } = this.#policy ?? {};
    const lifetime = lifeMs > 0 ? setTimeout(() => this.close(), lifeMs) : undefined;
  }

  #failed(): void {
    if (this.#relay !== null) return;
    this.#session.flag = 'UF';
    this.#session.details = 'upstream_connect_failed';
    this.#upstream.destroy();
    reset(this.#downstream);
  }
}
