// What listeners report to telemetry, and the reports' shapes.
import type { Endpoint, Service } from '#api/snapshot.ts';
import type { ConnectionFacts } from '#policy/facts.ts';
import type { Explanation, Verdict } from '#policy/verdict.ts';

import type { Exchange, ResponseView } from '../exchange.ts';
import type { Enforced } from '../in-force.ts';

/** Everything a listener tells telemetry. No method throws, blocks or waits for a sink. */
export interface Telemetry {
  /**
   * First thing in RequestPath.start: strips the mesh's own headers, joins or starts the trace
   * and rewrites its headers.
   */
  begin(x: Exchange): void;
  /** Outbound only: `x.endpoint` is chosen and the head is about to go to it. */
  forwarding(x: Exchange): void;
  /** The upstream's final head, as it goes on. */
  respond?(x: Exchange, response: ResponseView): void;
  /** In RequestPath.finish, while `x.request` can still be read: counts, logs, ends the span. */
  end(x: Exchange): void;
  connectionRefused(refusal: ConnectionRefusal): void;
  tcpOpened(session: TcpSession): void;
  tcpClosed(session: TcpSession): void;
}

/** The two ends of a downstream connection, as logs name them. A Downstream is one. */
export interface ConnectionEnds {
  readonly direction: 'inbound' | 'outbound';
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** A connection that was closed before it carried anything. */
export interface ConnectionRefusal {
  readonly downstream: ConnectionEnds;
  /** The workload's own port (the original destination's). */
  readonly destinationPort: number;
  /** How far it came. */
  readonly transport: 'plaintext' | 'tls' | 'mtls' | 'unknown';
  /** Server name of the TLS hello, as the peer sent it; '' without one. */
  readonly sni: string;
  /** One sentence for people: `plaintext refused: STRICT by payments/default`. */
  readonly reason: string;
  /** Where the deciding resource is written: `file:line`; null where unknown. */
  readonly at: string | null;
  /** Made by telemetry: for the log and /why, since nobody is answered. */
  readonly id?: string;
}

/** A connection carried as bytes. The listener keeps the counters up to date while it is open. */
export interface TcpSession {
  readonly downstream: ConnectionEnds & {
    readonly facts: ConnectionFacts;
    readonly forwardedClientCert: string;
  };
  /** performance.now(). */
  readonly openedAtMs: number;
  /** performance.now(); 0 while open. */
  closedAtMs: number;
  /** Payload bytes read from downstream so far. */
  receivedBytes: number;
  /** Payload bytes written downstream so far. */
  sentBytes: number;
  service: Service | null;
  servicePort: number;
  endpoint: Endpoint | null;
  /** `address:port`; '' without one. */
  upstreamAddress: string;
  /** Null on the outbound side. A refusal closes the connection. */
  verdict: Verdict | null;
  /** What was in force when the verdict fell; null without a verdict. */
  enforced: Enforced | null;
  /** Envoy's response flag, '-' where all went well. */
  flag: string;
  /** Envoy's connection termination details; '' without. */
  details: string;
  /** Made by telemetry where it was refused or failed, for the log and /why; '' else. */
  id: string;
  /** Owned by log-reason.ts; null before it was asked. */
  reason: unknown;
}

/** How telemetry asks for the reason of a verdict. policy/explain.ts answers; app.ts binds it. */
export interface ReasonSource {
  /** One sentence with file:line; called once for each Verdict object. */
  describe(verdict: Verdict, chain: 'http' | 'tcp'): string;
  /** The full reason of a verdict, or null when its policies are no longer in force. */
  explain(x: Exchange): Explanation | null;
  explainTcp(session: TcpSession): Explanation | null;
}
