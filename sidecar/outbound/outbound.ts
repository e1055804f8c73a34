// The outbound side put together: the HTTP proxy, a port for each mapped service, captured connections.
import type { Socket } from 'node:net';

import { silentLog, type Log } from '#runtime/log.ts';
import type { Address } from '#runtime/setting-types.ts';

import type { Connections } from '../connections.ts';
import type { Exchange } from '../exchange.ts';
import type { InForce } from '../in-force.ts';
import type { OutboundMapping } from '../settings.ts';
import type { Telemetry } from '../telemetry/types.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { createCapturedServer } from './captured.ts';
import { OutboundConnection } from './connection.ts';
import { createOutboundHttp } from './http.ts';
import { OutboundListener } from './listener.ts';
import type { OriginalDestinationOf } from './original-destination.ts';

export interface OutboundParts {
  /** Of the HTTP proxy; null: none. */
  readonly listen: Address | null;
  /** Ports that stand for a service each. */
  readonly mappings: readonly OutboundMapping[];
  /** A port that the system redirects connections to; null: none. */
  readonly captured: {
    readonly listen: Address;
    readonly originalDestination: OriginalDestinationOf;
  } | null;
  /** Other workers, or the next version, listen on the same ports. */
  readonly sharedPorts: boolean;
  readonly inForce: InForce;
  readonly connections: Connections;
  readonly telemetry: Telemetry;
  readonly upstreams: Upstreams;
  readonly log?: Log;
  readonly onFault: (error: unknown, x: Exchange) => void;
}

export interface Outbound {
  /** Of the HTTP proxy; 0: none. */
  readonly port: number;
  /** In the order of the mappings. */
  readonly mappedPorts: readonly number[];
  /** Of captured connections; 0: none. */
  readonly capturedPort: number;
  /** Takes no new connections. */
  close(): void;
}

/** Rejects when an address cannot be listened on. */
export async function startOutbound(parts: OutboundParts): Promise<Outbound> {
  const { listen, mappings, captured, inForce, connections, telemetry, upstreams } = parts;
  let port = 0;
  const isSelf = (host: string, to: number): boolean => to === port && isLoopback(host);
  const { onFault, log = silentLog } = parts;
  const http = createOutboundHttp({ inForce, telemetry, upstreams, isSelf, log, onFault });
  const listeners: OutboundListener[] = [];
  const start = async (address: Address, accept: (socket: Socket) => void): Promise<number> => {
    const listener = new OutboundListener(accept);
    const taken = await listener.listen(address, parts.sharedPorts);
    listeners.push(listener);
    upstreams.ownPorts.add(taken);
    return taken;
  };
  const capture = (original: OriginalDestinationOf): ((socket: Socket) => void) =>
    createCapturedServer({ inForce, connections, telemetry, upstreams, http }, original);
  if (listen !== null) {
    port = await start(listen, (socket) => {
      const connection = new OutboundConnection(socket);
      connections.add(connection);
      socket.once('close', () => connections.delete(connection));
      connection.http = http.accept(socket, connection, null);
    });
  }
  const mappedPorts: number[] = [];
  for (const { listen: address, destination } of mappings) {
    mappedPorts.push(
      await start(
        address,
        capture(() => destination),
      ),
    );
  }
  const capturedPort =
    captured === null ? 0 : await start(captured.listen, capture(captured.originalDestination));
  const close = (): void => listeners.forEach((listener) => listener.close());
  return { port, mappedPorts, capturedPort, close };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.') || host === '0.0.0.0';
}
