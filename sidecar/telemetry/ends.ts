// Both ends of a call as metrics name them: this workload, its peers by certificate and header, its endpoints by snapshot.
import type { Endpoint, Service, Snapshot } from '#api/snapshot.ts';
import type { Workload } from '#api/workload.ts';

import { partyLabels, type Connection, type Place } from './metric-labels.ts';
import { OwnServices } from './own-services.ts';
import type { SeriesLabels } from './series.ts';
import type { ConnectionSlot } from './slot.ts';
import {
  labelsOfIdentity,
  labelsOfWorkload,
  unknownWorkload,
  type WorkloadLabels,
} from './workload-labels.ts';

export interface EndsOptions {
  readonly workload: Workload;
  /** Own SPIFFE ID; '' before there is one. */
  readonly identity: () => string;
  readonly cluster: string;
}

/** Where a call went. */
export interface CallTarget {
  readonly endpoint: Endpoint | null;
  readonly service: Service | null;
  readonly place: Place;
}

export class Ends {
  readonly #options: EndsOptions;
  readonly #services = new OwnServices();
  readonly #destinations = new WeakMap<Endpoint, WorkloadLabels>();
  #own: WorkloadLabels | null = null;
  #ownIdentity = '';

  constructor(options: EndsOptions) {
    this.#options = options;
  }

  /** @returns whether a port of this workload belongs to another Service than before */
  update(snapshot: Pick<Snapshot, 'services' | 'workload'>): boolean {
    return this.#services.update(snapshot);
  }

  /** This workload's own labels. */
  self(): WorkloadLabels {
    const { workload, identity, cluster } = this.#options;
    const present = identity();
    if (this.#own === null || present !== this.#ownIdentity) {
      this.#ownIdentity = present;
      this.#own = labelsOfWorkload(workload, present, cluster);
    }
    return this.#own;
  }

  source(downstream: Connection, slot: ConnectionSlot | null): WorkloadLabels {
    if (downstream.direction === 'outbound') return this.self();
    if (slot !== null && slot.peer !== null) return slot.peer;
    if (slot !== null && slot.source !== null) return slot.source;
    const identity = downstream.facts.identities[0];
    const labels = identity === undefined ? unknownWorkload : labelsOfIdentity(identity);
    if (slot !== null) slot.source = labels;
    return labels;
  }

  labels(downstream: Connection, source: WorkloadLabels, target: CallTarget): SeriesLabels {
    const inbound = downstream.direction === 'inbound';
    return partyLabels({
      downstream,
      source,
      destination: inbound ? this.self() : this.#destination(target.endpoint),
      service: target.service ?? (inbound ? this.#services.of(downstream) : null),
      place: target.place,
      declared: this.#services.declares(downstream.facts.destinationPort),
    });
  }

  #destination(endpoint: Endpoint | null): WorkloadLabels {
    if (endpoint === null) return unknownWorkload;
    const known = this.#destinations.get(endpoint);
    if (known !== undefined) return known;
    const { workload: name, namespace, labels } = endpoint;
    const workload = { name, namespace, labels };
    const made = labelsOfWorkload(workload, endpoint.identity ?? '', this.#options.cluster);
    this.#destinations.set(endpoint, made);
    return made;
  }
}
