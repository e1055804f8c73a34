// The name of the upstream cluster as Istio would call it, for logs and attributes.
import type { Service } from '#api/snapshot.ts';

import type { Exchange } from '../exchange.ts';
import { slotOf } from './slot.ts';
import type { ConnectionEnds, TcpSession } from './types.ts';

/** `inbound|8080||`, `outbound|80||payments.payments.svc.cluster.local`; made once for most calls of a connection. */
export function clusterOfExchange(x: Exchange): string {
  const { direction, facts } = x.downstream;
  const port = direction === 'inbound' ? facts.destinationPort : x.servicePort;
  const subset = x.routed?.destination?.destination.subset ?? '';
  if (subset !== '') return clusterName(direction, x.service, port, subset);
  const slot = slotOf(x.downstream);
  if (slot.clusterPort !== port || slot.clusterService !== x.service) {
    slot.clusterPort = port;
    slot.clusterService = x.service;
    slot.cluster = clusterName(direction, x.service, port);
  }
  return slot.cluster;
}

export function clusterOfSession(session: TcpSession): string {
  const { direction, facts } = session.downstream;
  const port = direction === 'inbound' ? facts.destinationPort : session.servicePort;
  return clusterName(direction, session.service, port);
}

function clusterName(
  direction: ConnectionEnds['direction'],
  service: Service | null,
  port: number,
  subset = '',
): string {
  if (direction === 'inbound') return `inbound|${port}||`;
  if (service === null) return 'PassthroughCluster';
  return `outbound|${port}|${subset}|${service.hosts[0] ?? ''}`;
}
