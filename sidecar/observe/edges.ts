// Who calls whom, how often and with what success: counts of its own, since the labels of metrics are for users to change.
import type { EdgeCount } from '#api/call-record.ts';
import type { Endpoint, Service } from '#api/snapshot.ts';

import type { Exchange } from '../exchange.ts';
import { bucketBounds } from '../telemetry/series.ts';
import { slotOf, type ConnectionSlot } from '../telemetry/slot.ts';
import type { TcpSession } from '../telemetry/types.ts';
import type { WorkloadLabels } from '../telemetry/workload-labels.ts';
import { partiesOf } from './call-record.ts';

/** Of further ones nothing is counted: 1 MiB of memory at most. */
const edgesMax = 1000;
/** That a connection has to hand: one of the application's calls several services and endpoints. */
const edgesPerConnection = 16;
const refusedStatuses: ReadonlySet<number> = new Set([401, 403, 429]);
/** UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS: a server's, as OpenTelemetry has it. */
const grpcFailures: ReadonlySet<string> = new Set(['2', '4', '12', '13', '14', '15']);
/** Flags of connections that nobody refused and nothing failed: the client went, or nobody spoke. */
export const ordinaryEnds: ReadonlySet<string> = new Set(['-', 'DC', 'SI']);

type Edge = Omit<EdgeCount, 'requests' | 'failures' | 'refusals' | 'durations'>;

interface Row {
  readonly edge: Edge;
  requests: number;
  failures: number;
  refusals: number;
  readonly durations: Float64Array;
}

/** An edge of a connection, and what it is the edge of. */
export interface KnownEdge {
  readonly peer: WorkloadLabels | null;
  readonly service: Service | null;
  readonly endpoint: Endpoint | null;
  readonly grpc: boolean;
  readonly row: Row;
}

export class Edges {
  readonly #rows = new Map<string, Row>();
  readonly #self: () => WorkloadLabels;

  constructor(self: () => WorkloadLabels) {
    this.#self = self;
  }

  exchange(x: Exchange): void {
    const { failure, status, grpcStatus } = x;
    // A call that ended well says it by its status; only those that failed are looked at for it.
    const grpc = grpcStatus !== '' || (failure !== null && asksGrpc(x));
    const slot = slotOf(x.downstream);
    const row = known(slot, x, grpc) ?? this.#resolve(slot, x, grpc);
    if (row === null) return;
    row.requests += 1;
    const durationMs = x.finishedAtMs - x.startedAtMs;
    let bucket = 0;
    while (bucket < bucketBounds.length && durationMs > bucketBounds[bucket]!) bucket++;
    row.durations[bucket]! += 1;
    if (status === 0 || status >= 500 || (grpc && grpcFailures.has(grpcStatus))) row.failures += 1;
    else if (failure === null) return;
    else if (failure.code === 'rate-limited' || refusedStatuses.has(failure.status)) {
      row.refusals += 1;
    }
  }

  tcpOpened(session: TcpSession): void {
    const row = this.#rowOf(this.#edgeOf(session, 'tcp'));
    if (row !== null) row.requests += 1;
  }

  /** Of one that has been opened. */
  tcpClosed(session: TcpSession): void {
    const refused = session.verdict?.allowed === false;
    if (!refused && ordinaryEnds.has(session.flag)) return;
    const row = this.#rowOf(this.#edgeOf(session, 'tcp'));
    if (row === null) return;
    if (refused) row.refusals += 1;
    else row.failures += 1;
  }

  list(): EdgeCount[] {
    return [...this.#rows.values()].map(({ edge, durations, ...counts }) => ({
      ...edge,
      ...counts,
      durations: [...durations],
    }));
  }

  #resolve(slot: ConnectionSlot, x: Exchange, grpc: boolean): Row | null {
    const row = this.#rowOf(this.#edgeOf(x, grpc ? 'grpc' : 'http'));
    if (row === null) return null;
    const { service, endpoint } = x;
    slot.edges.unshift({ peer: slot.peer, service, endpoint, grpc, row });
    if (slot.edges.length > edgesPerConnection) slot.edges.pop();
    return row;
  }

  #edgeOf(subject: Exchange | TcpSession, protocol: EdgeCount['protocol']): Edge {
    const { direction, facts } = subject.downstream;
    return {
      reporter: direction,
      ...partiesOf(subject, this.#self()),
      service: subject.service?.hosts[0] ?? '',
      protocol,
      security: direction === 'outbound' ? 'unknown' : facts.mtls ? 'mutual_tls' : 'none',
    };
  }

  #rowOf(edge: Edge): Row | null {
    const key = keyOf(edge);
    const present = this.#rows.get(key);
    if (present !== undefined) return present;
    if (this.#rows.size >= edgesMax) return null;
    const durations = new Float64Array(bucketBounds.length + 1);
    const row = { edge, requests: 0, failures: 0, refusals: 0, durations };
    this.#rows.set(key, row);
    return row;
  }
}

/** The counts of the same edge are summed. */
export function mergeEdges(all: readonly (readonly EdgeCount[])[]): EdgeCount[] {
  const merged = new Map<string, EdgeCount>();
  for (const edge of all.flat()) {
    const key = keyOf(edge);
    const before = merged.get(key);
    merged.set(key, before === undefined ? edge : sum(before, edge));
  }
  return [...merged.values()];
}

function sum(one: EdgeCount, other: EdgeCount): EdgeCount {
  return {
    ...one,
    requests: one.requests + other.requests,
    failures: one.failures + other.failures,
    refusals: one.refusals + other.refusals,
    durations: one.durations.map((count, i) => count + (other.durations[i] ?? 0)),
  };
}

function known(slot: ConnectionSlot, x: Exchange, grpc: boolean): Row | null {
  for (const one of slot.edges) {
    const same = one.service === x.service && one.endpoint === x.endpoint;
    if (same && one.peer === slot.peer && one.grpc === grpc) return one.row;
  }
  return null;
}

function asksGrpc(x: Exchange): boolean {
  const type = x.protocol === 'HTTP/1.1' ? undefined : x.request.values('content-type')[0];
  return type !== undefined && type.startsWith('application/grpc');
}

function keyOf({ reporter, source, destination, service, protocol, security }: Edge): string {
  const ends = [source, destination].flatMap(({ namespace, workload, principal }) => [
    namespace,
    workload,
    principal,
  ]);
  return [reporter, ...ends, service, protocol, security].join('\n');
}
