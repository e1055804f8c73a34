// The inbound side put together: TLS, HTTP and TCP behind a listener for each port.
import type { Log } from '#runtime/log.ts';

import type { Connections } from '../connections.ts';
import type { Exchange } from '../exchange.ts';
import type { Identity } from '../identity/identity.ts';
import type { InForce } from '../in-force.ts';
import type { InboundMapping } from '../settings.ts';
import type { Telemetry } from '../telemetry/types.ts';
import { formatAddress, openPlain } from '../upstream/member.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { HttpPool } from '../wire/http-pool.ts';
import { http1PoolLimits } from '../wire/http1/limits.ts';
import { http2Limits } from '../wire/http2/limits.ts';
import { Authorizers } from './authorizer.ts';
import { createCheckCall } from './authorizer-client.ts';
import type { InboundTarget } from './connection.ts';
import { createInboundHttp, serveHttp } from './http.ts';
import { InboundListener } from './listener.ts';
import { serveTcp } from './tcp.ts';
import { TlsTerminator } from './tls.ts';

export interface InboundParts {
  readonly mappings: readonly InboundMapping[];
  /** Other workers, or the next version, listen on the same ports. */
  readonly sharedPorts: boolean;
  readonly identity: Identity;
  readonly inForce: InForce;
  readonly connections: Connections;
  readonly telemetry: Telemetry;
  /** For calls to external authorizers. */
  readonly upstreams: Upstreams;
  readonly log: Log;
  readonly onFault: (error: unknown, x: Exchange) => void;
}

export interface Inbound {
  /** In the order of the mappings. */
  readonly ports: readonly number[];
  /** Takes no new connections. */
  close(): void;
}

/** Rejects when a port cannot be listened on. */
export async function startInbound(parts: InboundParts): Promise<Inbound> {
  const { identity, inForce, connections, telemetry, upstreams, log, onFault } = parts;
  const tls = new TlsTerminator(identity.current());
  identity.onChange((svid) => tls.renew(svid));
  const authorizers = new Authorizers(createCheckCall(inForce, upstreams), log);
  const http = createInboundHttp({ inForce, telemetry, authorizers, onFault });
  const listeners: InboundListener[] = [];
  const ports: number[] = [];
  for (const mapping of parts.mappings) {
    const listener = new InboundListener(
      {
        inForce,
        connections,
        telemetry,
        tls,
        servers: {
          http: (connection, socket, firstBytes, alpn) =>
            serveHttp(http, connection, socket, firstBytes, alpn),
          tcp: (connection, socket, head, enforced) =>
            serveTcp(connection, socket, head, enforced, telemetry),
        },
        identity: () => identity.current().identity,
      },
      targetOf(mapping),
    );
    const { listen } = mapping;
    ports.push(await listener.listen(listen.host, listen.port, parts.sharedPorts));
    listeners.push(listener);
  }
  return { ports, close: () => listeners.forEach((listener) => listener.close()) };
}

function targetOf({ ip, port, application }: InboundMapping): InboundTarget {
  const { host, port: applicationPort } = application;
  const pool = new HttpPool({
    address: formatAddress(host, applicationPort),
    connectHttp1: (onread) => openPlain(host, applicationPort, onread),
    connectHttp2: (onread) => openPlain(host, applicationPort, onread),
    http1: http1PoolLimits,
    http2: http2Limits,
  });
  return { ip, port, application, pool };
}
