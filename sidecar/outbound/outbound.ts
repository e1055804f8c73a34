// The outbound side put together: the HTTP proxy that the application calls through.
import type { Address } from '#runtime/setting-types.ts';

import type { Connections } from '../connections.ts';
import type { Exchange } from '../exchange.ts';
import type { InForce } from '../in-force.ts';
import type { Telemetry } from '../telemetry/types.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { createOutboundHttp } from './http.ts';
import { OutboundListener } from './listener.ts';

export interface OutboundParts {
  readonly listen: Address;
  readonly inForce: InForce;
  readonly connections: Connections;
  readonly telemetry: Telemetry;
  readonly upstreams: Upstreams;
  readonly onFault: (error: unknown, x: Exchange) => void;
}

export interface Outbound {
  readonly port: number;
  /** Takes no new connections. */
  close(): void;
}

/** Rejects when the address cannot be listened on. */
export async function startOutbound(parts: OutboundParts): Promise<Outbound> {
  const { listen, inForce, connections, telemetry, upstreams, onFault } = parts;
  let port = listen.port;
  const isSelf = (host: string, to: number): boolean => to === port && isLoopback(host);
  const http = createOutboundHttp({ inForce, telemetry, upstreams, isSelf, onFault });
  const listener = new OutboundListener(connections, http);
  port = await listener.listen(listen.host, listen.port);
  upstreams.ownPorts.add(port);
  return { port, close: () => listener.close() };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.') || host === '0.0.0.0';
}
