// The snapshot of one workload, from the resources of a mesh.
import type { MeshResources } from '#api/mesh.ts';
import type { Snapshot } from '#api/snapshot.ts';
import type { Workload } from '#api/workload.ts';

import { keptFor, madeFrom } from './made-of.ts';
import { withIngress } from './traffic/inbound.ts';
import { MeshView } from './view.ts';

/** The snapshot of a workload; `jwksUri` stays where it is written. @param version its number */
export function snapshotOf(resources: MeshResources, workload: Workload, version = 1): Snapshot {
  const view = new MeshView(resources, resources.requestAuthentications, null);
  return buildSnapshot(view, workload, version);
}

/** The snapshot of a workload, from a view that many of them share. */
export function buildSnapshot(view: MeshView, workload: Workload, version: number): Snapshot {
  const scope = view.scope(workload);
  const routes = scope.cutRoutes(view.routes(workload));
  const services = scope.cut(view.services(workload.namespace), routes);
  const destinations = view.destinations(workload, services);
  const extensions = view.extensions(workload);
  const telemetry = view.telemetry(workload);
  const inbound = view.inbound(workload, scope.sidecar);
  const snapshot: Snapshot = {
    version,
    mesh: view.mesh,
    workload: withIngress(workload, scope.sidecar?.spec.ingress ?? []),
    policies: view.policies(workload),
    services,
    ...(destinations.length > 0 && { destinations }),
    ...(routes.length > 0 && { routes }),
    ...(extensions.length > 0 && { extensions }),
    ...(scope.outbound !== null && { scope: scope.outbound }),
    ...(telemetry !== null && { telemetry }),
    ...(inbound.length > 0 && { inbound }),
  };
  return madeFrom(snapshot, scope.sidecar === null ? [] : [scope.sidecar]);
}

/** A snapshot that is used on, because the newest is equal but for its number: its parts are made of the newest resources. */
export function keepSnapshot(kept: Snapshot, newest: Snapshot): void {
  keptFor(kept, newest);
  keepList(kept.services, newest.services);
  keepList(kept.routes, newest.routes);
  keepList(kept.destinations, newest.destinations);
  if (kept.telemetry !== undefined && newest.telemetry !== undefined) {
    keptFor(kept.telemetry, newest.telemetry);
  }
}

/** Equal lists: what is at one place is equal too. */
function keepList(kept: readonly object[] = [], newest: readonly object[] = []): void {
  if (kept === newest) return;
  for (const [i, one] of kept.entries()) {
    const made = newest[i];
    if (made !== undefined && made !== one) keptFor(one, made);
  }
}
