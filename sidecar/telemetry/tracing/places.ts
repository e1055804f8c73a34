// Names of the two ends of a call or of a connection, as spans tell them.
import type { Endpoint, Service } from '#api/snapshot.ts';
import type { ConnectionFacts } from '#policy/facts.ts';

import { unknown } from '../workload-labels.ts';
import type { Attributes } from './span.ts';
import type { SpanStyle } from './span-style.ts';

/** What a request and a byte stream have in common. */
export interface Placed {
  readonly downstream: {
    readonly direction: 'inbound' | 'outbound';
    readonly facts: ConnectionFacts;
  };
  readonly service: Service | null;
  readonly endpoint: Endpoint | null;
}

/** Istio's server names: `outbound_.8080_._.payments.shop.svc.cluster.local`. */
const meshName = /^outbound_\.\d{1,5}_\.[^_]*_\.([a-z0-9.-]{1,253})$/;

/** The Service that is called, by its full name: the same at both ends; '' for what is none of the mesh. */
export function calledHost({ downstream, service }: Placed, { owner }: SpanStyle): string {
  if (service !== null) return service.hosts[0] ?? service.name;
  if (downstream.direction === 'outbound') return '';
  // Only a peer of the mesh is believed.
  const named = downstream.facts.mtls ? meshName.exec(downstream.facts.sni)?.[1] : undefined;
  const { canonicalService, namespace } = owner.labels();
  return named ?? `${canonicalService}.${namespace}`;
}

/** Who calls whom, as far as certificates prove it. */
export function partyAttributes(
  attributes: Attributes,
  { downstream, endpoint }: Placed,
  style: SpanStyle,
): void {
  const inbound = downstream.direction === 'inbound';
  const own = style.owner.labels().principal;
  const source = inbound ? downstream.facts.identities[0] : own;
  const destination = inbound ? own : endpoint?.identity;
  if (source !== undefined && source !== unknown) {
    attributes['selvage.source_principal'] = style.cut(source);
  }
  if (destination !== undefined && destination !== null && destination !== unknown) {
    attributes['selvage.destination_principal'] = style.cut(destination);
  }
}

/** `prefix.address` and, where it is told, `prefix.port`. @param place `host:port`, `[::1]:80`, `host` */
export function addressAttributes(attributes: Attributes, prefix: string, place: string): void {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}))?$/.exec(place);
  attributes[`${prefix}.address`] = match?.[1] ?? match?.[2] ?? place;
  if (match?.[3] !== undefined) attributes[`${prefix}.port`] = Number(match[3]);
}
