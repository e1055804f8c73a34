// The record of one connection carried as bytes, reported to telemetry at its start and its end.
import type { Endpoint, Service } from '#api/snapshot.ts';
import type { Verdict } from '#policy/verdict.ts';

import type { Downstream } from './exchange.ts';
import type { Enforced } from './in-force.ts';
import type { TcpSession, Telemetry } from './telemetry/types.ts';
import type { Member } from './upstream/member.ts';
import type { RelayEnd } from './wire/tcp.ts';

const ends: Readonly<Record<RelayEnd, readonly [flag: string, details: string]>> = {
  ended: ['-', ''],
  'downstream-failed': ['DC', 'downstream_reset'],
  'upstream-failed': ['UC', 'upstream_reset'],
  idle: ['SI', 'idle_timeout'],
  closed: ['-', 'closed_by_sidecar'],
};

export class TcpSessionRecord implements TcpSession {
  readonly downstream: Downstream;
  readonly openedAtMs = performance.now();
  closedAtMs = 0;
  receivedBytes = 0;
  sentBytes = 0;
  service: Service | null = null;
  servicePort = 0;
  endpoint: Endpoint | null = null;
  upstreamAddress = '';
  /** Outbound: the chosen endpoint, and those whose connection did not open. */
  member: Member | null = null;
  tried: readonly Member[] = [];
  attempts = 0;
  verdict: Verdict | null = null;
  enforced: Enforced | null = null;
  flag = '-';
  details = '';
  id = '';
  reason: unknown = null;
  readonly #telemetry: Telemetry;

  constructor(downstream: Downstream, telemetry: Telemetry) {
    this.downstream = downstream;
    this.#telemetry = telemetry;
  }

  /** Notes a verdict with what was in force when it fell. */
  judged(verdict: Verdict, enforced: Enforced): void {
    this.verdict = verdict;
    this.enforced = enforced;
    this.details = verdict.details;
  }

  open(): void {
    this.#telemetry.tcpOpened(this);
  }

  /** Closes, and says how the relay of its bytes ended unless something else was said. */
  end(how: RelayEnd): void {
    const [flag, details] = ends[how];
    if (this.flag === '-') this.flag = flag;
    if (this.details === '') this.details = details;
    this.close();
  }

  /** May be called by every path that ends the connection; the first one counts. */
  close(): void {
    if (this.closedAtMs !== 0) return;
    this.closedAtMs = performance.now();
    this.#telemetry.tcpClosed(this);
  }
}
