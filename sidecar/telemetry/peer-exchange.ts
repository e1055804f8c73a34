// Tells the next sidecar which workload calls, and believes the same of a caller with a certificate.
import type { Exchange } from '../exchange.ts';
import { slotOf } from './slot.ts';
import {
  formatPeer,
  istioPeerHeaders,
  parsePeer,
  peerHeader,
  type WorkloadLabels,
} from './workload-labels.ts';

/**
 * A service account usually runs one workload. What one of them may claim is bounded, so that a
 * caller inside the mesh cannot fill the table of series either.
 */
export const workloadsPerIdentityMax = 16;

export class PeerExchange {
  private readonly self: () => WorkloadLabels;
  private readonly byIdentity = new Map<string, Map<string, WorkloadLabels>>();
  private formatted = '';
  private formattedOf: WorkloadLabels | null = null;

  constructor(self: () => WorkloadLabels) {
    this.self = self;
  }

  /** Inbound: learns the caller's workload. Both directions: cuts what the caller may not set. */
  begin(x: Exchange): void {
    const { request, downstream } = x;
    const values = request.values(peerHeader);
    const value = values[0];
    if (value !== undefined) {
      if (downstream.direction === 'inbound' && values.length === 1) this.learn(x, value);
      request.remove(peerHeader);
    }
    for (const name of istioPeerHeaders) {
      if (request.values(name).length > 0) request.remove(name);
    }
  }

  /** Outbound, endpoint known: only a peer with a sidecar is told. */
  forwarding(x: Exchange): void {
    if (x.endpoint === null || x.endpoint.identity === null) return;
    const self = this.self();
    if (this.formattedOf !== self) {
      this.formattedOf = self;
      this.formatted = formatPeer(self);
    }
    x.request.append(peerHeader, this.formatted);
  }

  private learn(x: Exchange, value: string): void {
    const slot = slotOf(x.downstream);
    if (slot.peerValue === value) return;
    const { facts } = x.downstream;
    const identity = facts.identities[0];
    if (!facts.mtls || identity === undefined) return;
    slot.peer = this.known(identity, value);
    slot.peerValue = value;
  }

  private known(identity: string, value: string): WorkloadLabels | null {
    let workloads = this.byIdentity.get(identity);
    if (workloads === undefined) {
      if (this.byIdentity.size >= identitiesMax) return null;
      workloads = new Map();
      this.byIdentity.set(identity, workloads);
    }
    const seen = workloads.get(value);
    if (seen !== undefined) return seen;
    if (workloads.size >= workloadsPerIdentityMax) return null;
    const parsed = parsePeer(value, identity);
    if (parsed !== null) workloads.set(value, parsed);
    return parsed;
  }
}

const identitiesMax = 4096;
