// What the admin endpoint asks of what carries traffic, be it one plane in this thread or several in workers.
import type { Closer } from '#runtime/shutdown.ts';

import type { ConnectionCounts, DataPlane, Ports } from '../data-plane.ts';
import { Observed } from '../observe/observed.ts';
import type { Family } from '../telemetry/families.ts';
import { clustersOf, type ClusterView } from './views.ts';

export interface Planes {
  readonly ports: Ports;
  /** In the order in which they are to be closed. */
  readonly closers: readonly Closer[];
  /** What all of them have counted. */
  families(): Promise<readonly Family[]>;
  clusters(): Promise<readonly ClusterView[]>;
  connections(): Promise<ConnectionCounts>;
  readonly observed: Observed;
  /** Inbound connections finish what is under way and close. */
  drain(): void;
  setLevel(level: string): void;
  /** A port of this process that no call of the application may reach. */
  noteOwnPort(port: number): void;
}

export function onePlane(plane: DataPlane): Planes {
  return {
    ports: plane.ports,
    closers: plane.closers,
    families: async () => plane.telemetry.collect(),
    clusters: async () => clustersOf(plane.upstreams),
    connections: async () => plane.connections(),
    observed: new Observed([plane.ask]),
    drain: () => plane.drain(),
    // The one log of this thread has it already.
    setLevel: () => undefined,
    noteOwnPort: (port) => plane.upstreams.ownPorts.add(port),
  };
}
