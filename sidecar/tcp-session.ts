// The record of one connection carried as bytes, reported to telemetry at its start and its end.
import type { Endpoint, Service } from '#api/snapshot.ts';
import type { Verdict } from '#policy/verdict.ts';

import type { Downstream } from './exchange.ts';
import type { TcpSession, Telemetry } from './telemetry/types.ts';

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
  verdict: Verdict | null = null;
  flag = '-';
  details = '';
  readonly #telemetry: Telemetry;

  constructor(downstream: Downstream, telemetry: Telemetry) {
    this.downstream = downstream;
    this.#telemetry = telemetry;
  }

  open(): void {
    this.#telemetry.tcpOpened(this);
  }

  /** May be called by every path that ends the connection; the first one counts. */
  close(): void {
    if (this.closedAtMs !== 0) return;
    this.closedAtMs = performance.now();
    this.#telemetry.tcpClosed(this);
  }
}
