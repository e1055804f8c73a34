// The inbound side put together: TLS, HTTP and TCP behind a listener for each port.
import type { Log } from '#runtime/log.ts';
import type { Address } from '#runtime/setting-types.ts';

import { Authorizers } from '../authorizer/authorizers.ts';
import type { Connections } from '../connections.ts';
import type { Exchange } from '../exchange.ts';
import type { Identity } from '../identity/identity.ts';
import type { InForce } from '../in-force.ts';
import type { OriginalDestinationOf } from '../outbound/original-destination.ts';
import type { InboundMapping } from '../settings.ts';
import type { Telemetry } from '../telemetry/types.ts';
import type { OwnPorts } from '../upstream/own-ports.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { createInboundHttp, serveHttp } from './http.ts';
import { InboundListener, type InboundOptions, type TargetOf } from './listener.ts';
import { PortRules } from './port-rules.ts';
import { Target } from './target.ts';
import { CapturedTargets } from './targets.ts';
import { serveTcp } from './tcp.ts';
import { TlsTerminator } from './tls.ts';

export interface InboundParts {
  readonly mappings: readonly InboundMapping[];
  /** A port that the system redirects connections to; null: none. */
  readonly captured: {
    readonly listen: Address;
    readonly originalDestination: OriginalDestinationOf;
  } | null;
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
  /** Of captured connections; 0: none. */
  readonly capturedPort: number;
  /** Takes no new connections. */
  close(): void;
}

/** Rejects when a port cannot be listened on. */
export async function startInbound(parts: InboundParts): Promise<Inbound> {
  const { identity, inForce, connections, telemetry, upstreams, log, onFault } = parts;
  const tls = new TlsTerminator(identity.current());
  identity.onChange((svid) => tls.renew(svid));
  const rules = new PortRules(inForce);
  const authorizers = new Authorizers({ inForce, upstreams, log });
  const http = createInboundHttp({ inForce, telemetry, authorizers, onFault });
  const listeners: InboundListener[] = [];
  const options: InboundOptions = {
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
  };
  const start = async ({ host, port }: Address, targetOf: TargetOf): Promise<number> => {
    const listener = new InboundListener(options, targetOf);
    const taken = await listener.listen(host, port, parts.sharedPorts);
    listeners.push(listener);
    return taken;
  };
  const ports: number[] = [];
  for (const mapping of parts.mappings) {
    const target = mappedTarget(mapping, parts.mappings, upstreams.ownPorts);
    const follow = (): void => target.follow(rules.of(mapping.port));
    follow();
    rules.onChange(follow);
    const found = { target, refusal: '' };
    ports.push(await start(mapping.listen, () => found));
  }
  let capturedPort = 0;
  if (parts.captured !== null) {
    const { listen, originalDestination } = parts.captured;
    const targets = new CapturedTargets(originalDestination, upstreams.ownPorts, rules);
    capturedPort = await start(listen, (socket) => targets.take(socket));
    upstreams.ownPorts.add(capturedPort);
  }
  const close = (): void => listeners.forEach((listener) => listener.close());
  return { ports, capturedPort, close };
}

/** A port of the pod that something is said of is where that port is mapped to, if it is. */
function mappedTarget(
  { ip, port, application }: InboundMapping,
  mappings: readonly InboundMapping[],
  ownPorts: OwnPorts,
): Target {
  return new Target({
    ip,
    port,
    application: { ...application, path: '', from: '' },
    at: ({ host, port: said }) => {
      const mapped = mappings.find((one) => one.port === said)?.application;
      const { host: own } = application;
      return { ...(mapped ?? { host: host || own, port: said }), path: '', from: '' };
    },
    ownPorts,
  });
}
