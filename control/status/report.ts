// What one replica of control knows of its sidecars: which generation of which resource each has, and should have.
import type { Service, Snapshot } from '#api/snapshot.ts';

import { madeOf, madeOfChanges, resourceKey, type Written } from '../made-of.ts';
import type { Snapshots } from '../snapshots.ts';
import type { Sessions } from '../push/sessions.ts';

/** Generation by `Kind/namespace/name`; 0 of what was written in a file. */
export type Generations = ReadonlyMap<string, number>;

export interface SidecarReport {
  readonly namespace: string;
  readonly workload: string;
  readonly pod: string;
  /** Of its software. */
  readonly version: string;
  /** RFC 3339. */
  readonly connectedSince: string;
  /** The snapshot that it enforces; null: none that this replica knows of. */
  readonly ackedVersion: number | null;
  /** RFC 3339. */
  readonly ackedAt: string | null;
  /** The snapshot that it should enforce. */
  readonly wantedVersion: number | null;
  readonly inSync: boolean;
  /** Why it refused the last one; '' when it did not. */
  readonly refused: string;
}

/** A sidecar with the policies of its snapshots. */
export interface SidecarPolicies extends SidecarReport {
  readonly wanted: Generations;
  readonly acked: Generations;
}

export interface ReplicaReport {
  /** Of the process, never used again. */
  readonly id: string;
  /** Name of its pod. */
  readonly replica: string;
  /** The resources that it goes by. */
  readonly known: Generations;
  readonly sidecars: readonly SidecarPolicies[];
}

/** Of these kinds control knows the generation in each snapshot, so each sidecar's ack says which it enforces. */
export const enforcedKinds: ReadonlySet<string> = new Set([
  'AuthorizationPolicy',
  'RequestAuthentication',
  'PeerAuthentication',
  'RateLimit',
  'ApiKeyAuthentication',
  'TokenExchange',
  'Filter',
  'ResponseCache',
  'Transformation',
  'VirtualService',
  'HTTPRoute',
  'GRPCRoute',
  'DestinationRule',
  'CircuitBreaker',
  'HealthCheck',
  'Sidecar',
  'ServiceEntry',
  'Telemetry',
]);

const nothing: Generations = new Map();
const generations = new WeakMap<
  Snapshot,
  { readonly found: Generations; readonly changes: number }
>();

/** What this replica knows now. */
export function reportOf(
  sessions: Sessions,
  snapshots: Snapshots,
  { id, replica }: Pick<ReplicaReport, 'id' | 'replica'>,
): ReplicaReport {
  return {
    id,
    replica,
    known: snapshots.view?.generations ?? nothing,
    sidecars: sessions.list().map((session) => {
      const { namespace, workload, pod, softwareVersion, connectedAt, ackedAt, refused } =
        session.state();
      const { acked, wanted } = session.snapshots();
      return {
        namespace,
        workload,
        pod,
        version: softwareVersion,
        connectedSince: connectedAt,
        ackedVersion: acked?.version ?? null,
        ackedAt,
        wantedVersion: wanted?.version ?? null,
        inSync: wanted !== null && wanted === acked,
        refused: refused?.reason ?? '',
        wanted: generationsOf(wanted),
        acked: generationsOf(acked),
      };
    }),
  };
}

/** Of lists that all sidecars of a namespace share. */
const ofServices = new WeakMap<
  readonly Service[],
  { readonly found: readonly Written[]; readonly changes: number }
>();

/** The resources that a snapshot was made of; the same map for the same snapshot while that stays true. */
export function generationsOf(snapshot: Snapshot | null): Generations {
  if (snapshot === null) return nothing;
  const changes = madeOfChanges();
  const known = generations.get(snapshot);
  if (known?.changes === changes) return known.found;
  const found = new Map<string, number>();
  const note = (one: Written): void => {
    found.set(resourceKey(one), one.metadata.generation ?? 0);
  };
  const {
    policies,
    services,
    extensions = [],
    routes = [],
    destinations = [],
    telemetry,
  } = snapshot;
  for (const one of policies) note(one);
  for (const one of extensions) note(one);
  for (const one of madeOfServices(services, changes)) note(one);
  const parts = [snapshot, ...routes, ...destinations];
  for (const part of telemetry === undefined ? parts : [...parts, telemetry]) {
    for (const one of madeOf(part)) note(one);
  }
  generations.set(snapshot, { found, changes });
  return found;
}

/** ServiceEntries: what Services say is not ours to report. */
function madeOfServices(services: readonly Service[], changes: number): readonly Written[] {
  const known = ofServices.get(services);
  if (known?.changes === changes) return known.found;
  const found = services.flatMap((service) => madeOf(service));
  ofServices.set(services, { found, changes });
  return found;
}
