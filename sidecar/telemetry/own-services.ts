// Which Service a call to one of the workload's own ports was meant for: a snapshot says it by the endpoints of its Services.
import type { Service, Snapshot } from '#api/snapshot.ts';

import type { Downstream } from '../exchange.ts';

type Told = Pick<Snapshot, 'services' | 'workload'>;

export class OwnServices {
  #byPort: ReadonlyMap<number, Service> = new Map();
  #declared: ReadonlySet<number> = new Set();

  /** @returns whether any port has another Service than before */
  update({ services, workload }: Told): boolean {
    const before = this.#byPort;
    const mine = services.filter(({ namespace }) => namespace === workload.namespace);
    const now = new Map<number, Service>();
    for (const service of mine) {
      for (const port of service.ports) {
        for (const { workload: name, namespace, port: target } of port.endpoints) {
          if (name !== workload.name || namespace !== workload.namespace) continue;
          if (!now.has(target)) now.set(target, service);
        }
      }
    }
    // While no pod of the workload is ready its Services have no endpoints to know them by.
    for (const [port, { name }] of before) {
      const still = mine.find((service) => service.name === name);
      if (!now.has(port) && still !== undefined) now.set(port, still);
    }
    this.#byPort = now;
    this.#declared = new Set(workload.ports.map(({ port }) => port));
    return !sameServices(before, now);
  }

  /** In a local mesh endpoints have the port of the sidecar. */
  of({ facts, localPort }: Pick<Downstream, 'facts' | 'localPort'>): Service | null {
    return this.#byPort.get(facts.destinationPort) ?? this.#byPort.get(localPort) ?? null;
  }

  /** The workload says that it has the port, whether a Service leads there or not. */
  declares(port: number): boolean {
    return this.#declared.has(port);
  }
}

function sameServices(a: ReadonlyMap<number, Service>, b: ReadonlyMap<number, Service>): boolean {
  if (a.size !== b.size) return false;
  return [...a].every(([port, one]) => {
    const other = b.get(port);
    return other?.name === one.name && other.hosts[0] === one.hosts[0];
  });
}
