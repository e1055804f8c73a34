// A service with some of its ports.
import type { Service } from '#api/snapshot.ts';

import { madeLike } from '../made-of.ts';

const forms = new WeakMap<Service, Map<string, Service>>();

/** The same object where nothing is cut from it, and for the same ports. Null: none is left. */
export function keepPorts(service: Service, keep: (port: number) => boolean): Service | null {
  const ports = service.ports.filter(({ port }) => keep(port));
  if (ports.length === 0) return null;
  if (ports.length === service.ports.length) return service;
  const key = ports.map(({ port }) => port).join(' ');
  let known = forms.get(service);
  if (known === undefined) forms.set(service, (known = new Map()));
  let form = known.get(key);
  if (form === undefined) known.set(key, (form = madeLike({ ...service, ports }, service)));
  return form;
}
