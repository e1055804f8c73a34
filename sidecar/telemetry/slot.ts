// What telemetry keeps with a downstream connection, so that a request looks nothing up twice.
import type { Endpoint, Service } from '#api/snapshot.ts';

import type { Downstream } from '../exchange.ts';
import type { KnownEdge } from '../observe/edges.ts';
import type { WorkloadLabels } from './workload-labels.ts';

/** A series of this connection and what it is a series of. */
export interface ResolvedSeries {
  readonly source: WorkloadLabels;
  readonly service: Service | null;
  readonly endpoint: Endpoint | null;
  readonly status: number;
  readonly flag: string;
  readonly grpc: boolean;
  readonly grpcStatus: string;
  /** First cell in the table. */
  readonly base: number;
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
