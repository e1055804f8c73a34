// The services that a recorded case knows, led to where they are during a replay.
import { loadText } from '#api/load.ts';
import { collectMesh } from '#api/mesh.ts';
import type { Service } from '#api/snapshot.ts';
import { Catalog } from '#control/catalog.ts';

import type { ReplayCase } from './format.ts';

/** All of them are authorizers. @param port where ours listens on loopback */
export function servicesOf(c: ReplayCase, port: number): Service[] {
  const { resources } = loadText((c.extraResources ?? []).join('\n---\n'), `${c.name}.yaml`);
  const services = new Catalog(collectMesh(resources), null).visibleTo(c.workload.namespace);
  return services.map((service) => redirect(service, port));
}

function redirect(service: Service, port: number): Service {
  const address = '127.0.0.1';
  const ports = service.ports.map((one) => ({
    ...one,
    endpoints: one.endpoints.map((endpoint) => ({ ...endpoint, address, port })),
  }));
  return { ...service, ports };
}
