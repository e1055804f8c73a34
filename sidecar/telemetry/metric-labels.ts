// The labels of Istio's standard metrics, each from a source whose values are bounded; in Istio's words where nothing is known.
import type { Service } from '#api/snapshot.ts';

import type { Downstream, Exchange } from '../exchange.ts';
import { grpcStatusOf } from '../wire/reply.ts';
import type { SeriesLabels } from './series.ts';
import { unknown, type WorkloadLabels } from './workload-labels.ts';

export type Connection = Pick<Downstream, 'direction' | 'facts' | 'localPort'>;

/** Where a call without a Service goes. */
export type Place = 'service' | 'PassthroughCluster' | 'BlackHoleCluster' | 'unknown';

/** Both ends and the Service: what every standard metric has. */
export interface Parties {
  readonly downstream: Connection;
  readonly source: WorkloadLabels;
  readonly destination: WorkloadLabels;
  readonly service: Service | null;
  readonly place: Place;
  /** Inbound: the workload says that it has this port. */
  readonly declared: boolean;
}

export function partyLabels(parties: Parties): SeriesLabels {
  const { downstream, source, destination } = parties;
  return {
    reporter: downstream.direction === 'inbound' ? 'destination' : 'source',
    ...labelled('source', source),
    ...labelled('destination', destination),
    ...serviceLabels(parties),
  };
}

/** What a standard metric of HTTP has beside the parties. @param grpc the call is gRPC's */
export function callLabels(x: Exchange, flags: string, grpc: boolean): SeriesLabels {
  return {
    request_protocol: grpc ? 'grpc' : 'http',
    response_code: statusLabel(x.status),
    grpc_response_status: grpc ? grpcStatusLabel(x) : '',
    connection_security_policy: securityPolicy(x.downstream),
    response_flags: flags,
  };
}

export function tcpLabels(downstream: Connection, flags: string): SeriesLabels {
  return {
    request_protocol: 'tcp',
    connection_security_policy: securityPolicy(downstream),
    response_flags: flags,
  };
}

/** Where an outbound call without a Service went, or would have gone. */
export function placeOf(x: Exchange): Place {
  if (x.service !== null || x.downstream.direction === 'inbound') return 'service';
  const code = x.failure?.code;
  if (code === 'route-missing' || code === 'outside-refused') return 'BlackHoleCluster';
  return code !== undefined && x.upstreamAddress === '' ? 'unknown' : 'PassthroughCluster';
}

function labelled(prefix: 'source' | 'destination', labels: WorkloadLabels): SeriesLabels {
  return {
    [`${prefix}_workload`]: labels.workload,
    [`${prefix}_workload_namespace`]: labels.namespace,
    [`${prefix}_principal`]: labels.principal,
    [`${prefix}_app`]: labels.app,
    [`${prefix}_version`]: labels.version,
    [`${prefix}_canonical_service`]: labels.canonicalService,
    [`${prefix}_canonical_revision`]: labels.canonicalRevision,
    [`${prefix}_cluster`]: labels.cluster,
  };
}

/**
 * Where no Service is known Istio names its catch-all clusters, and inbound the workload's canonical service. Never the
 * caller's Host header, which Istio's sidecars of callers take: an application could be made to call any name.
 */
function serviceLabels({
  downstream,
  destination,
  service,
  place,
  declared,
}: Parties): SeriesLabels {
  const inbound = downstream.direction === 'inbound';
  if (service !== null) {
    return {
      destination_service: service.hosts[0] ?? unknown,
      destination_service_name: service.name,
      destination_service_namespace: service.namespace,
    };
  }
  if (!inbound) {
    return {
      destination_service: unknown,
      destination_service_name: place === 'service' ? unknown : place,
      destination_service_namespace: unknown,
    };
  }
  return {
    destination_service: destination.canonicalService,
    destination_service_name: declared ? destination.canonicalService : 'InboundPassthroughCluster',
    destination_service_namespace: destination.namespace,
  };
}

function securityPolicy(downstream: Connection): string {
  if (downstream.direction === 'outbound') return unknown;
  return downstream.facts.mtls ? 'mutual_tls' : 'none';
}

/** HTTP defines 100 to 599, and 0 is an answer that nobody got; an upstream may send what it likes. */
function statusLabel(status: number): string {
  return status === 0 || (status >= 100 && status <= 599) ? String(status) : unknown;
}

/** gRPC defines 0 to 16; anything else an upstream sends is not worth a label. */
function grpcStatusLabel({ grpcStatus, status }: Exchange): string {
  if (grpcStatus === '') return status === 0 ? '' : grpcStatusOf(status);
  const code = Number(grpcStatus);
  return Number.isInteger(code) && code >= 0 && code <= 16 ? String(code) : unknown;
}
