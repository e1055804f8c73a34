// What telemetry keeps with a downstream connection, so that a request looks nothing up twice.
import type { Endpoint, Service } from '#api/snapshot.ts';
import type { Verdict } from '#policy/verdict.ts';

import type { Downstream } from '../exchange.ts';
import type { KnownEdge } from '../observe/edges.ts';
import type { Place } from './metric-labels.ts';
import type { DecisionCount } from './policy-decisions.ts';
import type { SeriesLabels } from './series.ts';
import type { WorkloadLabels } from './workload-labels.ts';

/** A series of this connection and what it is a series of. */
export interface ResolvedSeries {
  readonly source: WorkloadLabels;
  readonly service: Service | null;
  readonly endpoint: Endpoint | null;
  readonly status: number;
  readonly flags: string;
  readonly grpc: boolean;
  readonly grpcStatus: string;
  readonly place: Place;
  /** First cells in the table of HTTP: one, but where Telemetry resources give metrics different labels. */
  readonly bases: readonly number[];
  /** In the table of gRPC's messages. */
  readonly messageBases: readonly number[];
  /** Null: no label has a value of the call itself. */
  readonly tagged: TaggedLabels | null;
}

/** What is known of labels before the values of the call are added. */
export interface TaggedLabels {
  readonly labels: SeriesLabels;
  /** Those of gRPC's messages. */
  readonly parties: SeriesLabels;
  readonly owner: string;
}

export class ConnectionSlot {
  /** The last peer header seen, and what it says. */
  peerValue = '';
  peer: WorkloadLabels | null = null;
  /** Made when first counted. */
  source: WorkloadLabels | null = null;
  /** Newest first; a few, since a connection sees few services and statuses. */
  readonly series: ResolvedSeries[] = [];
  /** The same, of who calls whom. */
  readonly edges: KnownEdge[] = [];
  /** Of `Metrics`: series of another one are not true any more. */
  epoch = 0;
  /** The last verdict, and where it is counted. */
  verdict: Verdict | null = null;
  decision: DecisionCount | null = null;
  /** `address:port`, made when first logged. */
  remote = '';
  local = '';
  sni: string | null = null;
  cluster = '';
  clusterService: Service | null = null;
  clusterPort = -1;
}

const ids = new WeakMap<object, number>();
let lastId = 0;

/** Of a connection, as long as it is open: given when it is first asked for. */
export function connectionId(connection: object): number {
  let id = ids.get(connection);
  if (id === undefined) ids.set(connection, (id = ++lastId));
  return id;
}

/** The slot of a connection, made at its first use. */
export function slotOf(downstream: Downstream): ConnectionSlot {
  const slot = downstream.telemetry;
  if (slot instanceof ConnectionSlot) return slot;
  const fresh = new ConnectionSlot();
  downstream.telemetry = fresh;
  return fresh;
}
