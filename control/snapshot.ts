// The snapshot of one workload, from the resources of a mesh.
import type { MeshResources } from '#api/mesh.ts';
import type { Snapshot } from '#api/snapshot.ts';
import type { Workload } from '#api/workload.ts';

import { MeshView } from './view.ts';

/** The snapshot of a workload; `jwksUri` stays where it is written. @param version its number */
export function snapshotOf(resources: MeshResources, workload: Workload, version = 1): Snapshot {
  const view = new MeshView(resources, resources.requestAuthentications, null);
  return buildSnapshot(view, workload, version);
}

/** The snapshot of a workload, from a view that many of them share. */
export function buildSnapshot(view: MeshView, workload: Workload, version: number): Snapshot {
  const scope = view.scope(workload);
  const services = scope.cut(view.services(workload.namespace));
  const destinations = view.destinations(workload, services);
  const routes = scope.cutRoutes(view.routes(workload));
  const extensions = view.extensions(workload);
  return {
    version,
    mesh: view.mesh,
    workload,
    policies: view.policies(workload),
    services,
    ...(destinations.length > 0 && { destinations }),
    ...(routes.length > 0 && { routes }),
    ...(extensions.length > 0 && { extensions }),
    ...(scope.outbound !== null && { scope: scope.outbound }),
  };
}
