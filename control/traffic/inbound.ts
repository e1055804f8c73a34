// What a Sidecar and DestinationRules say of calls to a workload's own ports, as Istio's inbound clusters have it.
import type { ConnectionPoolSpec } from '#api/kinds/traffic-policy.ts';
import type { MeshConfig } from '#api/kinds/mesh-config.ts';
import type { Sidecar, SidecarIngress } from '#api/kinds/sidecar.ts';
import { nameOf } from '#api/origin.ts';
import { protocolOf } from '#api/port-protocol.ts';
import type { ConnectionPool } from '#api/traffic/destination.ts';
import type { ApplicationPlace, InboundPort } from '#api/traffic/inbound.ts';
import type { Workload, WorkloadPort } from '#api/workload.ts';

import { poolOf } from './pools.ts';

/** Of the rule for a service that leads to the workload, what counts for one of its ports. */
export interface ServedPool {
  readonly source: string;
  readonly pool: ConnectionPoolSpec;
}

export interface InboundParts {
  readonly workload: Workload;
  /** Null: none is for the workload. */
  readonly sidecar: Sidecar | null;
  readonly mesh: MeshConfig;
  /** Null: no rule says anything of connections. */
  readonly servedPool: (served: NonNullable<WorkloadPort['service']>) => ServedPool | null;
}

/**
 * A listener's own limits count before the Sidecar's for all ports, and those before DestinationRules: where several Services
 * lead to one port, the Sidecar is how to say which limits are meant.
 */
export function inboundPorts({ workload, sidecar, mesh, servedPool }: InboundParts): InboundPort[] {
  const { ingress = [], inboundConnectionPool } = sidecar?.spec ?? {};
  const source = sidecar === null ? '' : nameOf(sidecar);
  const ports: InboundPort[] = [];
  const named = new Set(ingress.map(({ port }) => port?.number ?? 0));
  const poolFor = (port: WorkloadPort | undefined, own?: ConnectionPoolSpec): Limited | null => {
    const spec = own ?? inboundConnectionPool;
    if (spec !== undefined) return limited(spec, source, mesh);
    const served = port?.service === undefined ? null : servedPool(port.service);
    return served === null ? null : limited(served.pool, served.source, mesh);
  };
  for (const listener of ingress) {
    const number = listener.port?.number ?? 0;
    const found = workload.ports.find(({ port }) => port === number);
    const place = placeOf(listener.defaultEndpoint);
    ports.push(entry(number, place, source, poolFor(found, listener.connectionPool)));
  }
  if (inboundConnectionPool !== undefined) ports.push(entry(0, null, '', poolFor(undefined)));
  else {
    for (const port of workload.ports) {
      if (!named.has(port.port)) ports.push(entry(port.port, null, '', poolFor(port)));
    }
  }
  return ports.filter(({ application, pool }) => application !== undefined || pool !== undefined);
}

/** The workload with the protocols that a Sidecar's ingress declares; what it does not name stays as Services declare it. */
export function withIngress<W extends Workload>(
  workload: W,
  ingress: readonly SidecarIngress[],
): W {
  if (ingress.length === 0) return workload;
  const own = new Map<number, WorkloadPort>();
  for (const { port } of ingress) {
    if (port === undefined) continue;
    const { number, name } = port;
    const protocol = protocolOf({ name: port.protocol, port: number });
    const service = workload.ports.find((one) => one.port === number)?.service;
    own.set(number, { port: number, name, protocol, ...(service !== undefined && { service }) });
  }
  const found = workload.ports.map((one) => own.get(one.port) ?? one);
  const known = new Set(found.map(({ port }) => port));
  const others = [...own.values()].filter(({ port }) => !known.has(port));
  return { ...workload, ports: [...found, ...others] };
}

interface Limited {
  readonly source: string;
  readonly pool: ConnectionPool;
}

function limited(spec: ConnectionPoolSpec, source: string, mesh: MeshConfig): Limited | null {
  const pool = poolOf(spec, mesh);
  return pool === null ? null : { source, pool };
}

function entry(
  port: number,
  application: ApplicationPlace | null,
  source: string,
  limits: Limited | null,
): InboundPort {
  const from = [
    ...(application === null ? [] : [source]),
    ...(limits === null ? [] : [limits.source]),
  ];
  return {
    port,
    sources: [...new Set(from)],
    ...(application !== null && { application }),
    ...(limits !== null && { pool: limits.pool }),
  };
}

const unixPrefix = 'unix://';
const everyAddress = ['0.0.0.0', '::'];

/** Null: where the call was going. @param endpoint as validation lets it be */
function placeOf(endpoint: string): ApplicationPlace | null {
  if (endpoint === '') return null;
  if (endpoint.startsWith(unixPrefix)) return { path: endpoint.slice(unixPrefix.length) };
  const at = endpoint.lastIndexOf(':');
  const host = endpoint.slice(0, at).replaceAll(/^\[|\]$/g, '');
  return {
    host: everyAddress.includes(host) ? '' : host || '127.0.0.1',
    port: Number(endpoint.slice(at + 1)),
  };
}
