// The outbound request path: what happens to a call of the application on its way to a service.
import type { PortProtocol } from '#api/workload.ts';

import { admitHead } from '../admit-head.ts';
import type { Exchange, UpstreamPool } from '../exchange.ts';
import { failures, type Failure } from '../failures.ts';
import type { InForce } from '../in-force.ts';
import { composePath, ENDED, PASS, type Layer, type Outcome } from '../request-path.ts';
import { addServiceTime } from '../response-edits.ts';
import { sanitizeOutbound } from '../sanitize.ts';
import type { Telemetry } from '../telemetry/types.ts';
import { peerHeader } from '../telemetry/workload-labels.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { HttpServer } from '../wire/http-server.ts';
import { http1Limits } from '../wire/http1/limits.ts';
import { http2Limits } from '../wire/http2/limits.ts';
import { OutboundConnection } from './connection.ts';
import {
  type Destination,
  choose,
  chooseAgain,
  externalPool,
  findDestination,
  noteConnectFailure,
  openTunnel,
  poolOf,
} from './destination.ts';
import { defaultRetry, delayed, retryDelayMs } from './retry.ts';

export interface OutboundHttpOptions {
  readonly inForce: InForce;
  readonly telemetry: Telemetry;
  readonly upstreams: Upstreams;
  /** Whether an address is this listener itself: a call to it would go round for ever. */
  readonly isSelf: (host: string, port: number) => boolean;
  readonly onFault: (error: unknown, x: Exchange) => void;
}

const ATTEMPT_COUNT = 'x-envoy-attempt-count';
const httpPort = 80;
const httpsPort = 443;
/** Ports whose tunnels carry requests. */
const httpKinds: ReadonlySet<PortProtocol> = new Set(['http', 'http2', 'grpc'] as const);

/** Makes the server of all outbound HTTP connections. */
export function createOutboundHttp(options: OutboundHttpOptions): HttpServer {
  const { telemetry, onFault } = options;
  const path = composePath({
    observer: telemetry,
    request: [
      noteEnforced(options.inForce),
      tunnelLayer(options),
      admitLayer,
      sanitizeOutbound,
      forwardLayer(options),
    ],
    response: [addServiceTime],
    finish: explainFailure,
    retry: (x, failure) => retry(options, x, failure),
    onFault,
  });
  return new HttpServer({ http1: http1Limits, http2: http2Limits, path });
}

function noteEnforced(inForce: InForce): Layer {
  return (x) => {
    x.enforced = inForce.current();
    return x.enforced === null ? failures.draining : PASS;
  };
}

/**
 * CONNECT: bytes to a service, with mutual TLS, or to a host outside, as they are. Many clients ask
 * for a tunnel before plain HTTP too (Node's fetch and grpc-js do); to a port declared HTTP, of any
 * version, their requests are taken out of it, so that each is routed, balanced and observed.
 */
function tunnelLayer(options: OutboundHttpOptions): Layer {
  return (x) => {
    if (x.request.method !== 'CONNECT') return PASS;
    // Whoever was captured speaks to somebody else's proxy, not to us.
    if (isCaptured(x)) return failures['target-refused'];
    const authority = x.request.rawTarget;
    if (!/:\d+$/.test(authority)) return failures.malformed;
    const destination = findDestination(x, options.upstreams, authority, httpsPort);
    if (!('kind' in destination)) return destination;
    if (isLoop(options, destination)) return failures['route-missing'];
    if (destination.kind === 'external' || !httpKinds.has(destination.protocol)) {
      return tunnel(options, x, destination);
    }
    x.stream.serveInside();
    return ENDED;
  };
}

async function tunnel(
  { upstreams }: OutboundHttpOptions,
  x: Exchange,
  destination: Destination,
): Promise<Outcome> {
  const socket = await openTunnel(x, upstreams, destination);
  if ('code' in socket) return socket;
  x.stream.tunnel(socket);
  return ENDED;
}

function admitLayer(x: Exchange): Outcome {
  if (x.enforced === null) return failures.internal;
  // TLS that the application wants is its own: it asks for a tunnel by CONNECT.
  if (/^https:/i.test(x.request.rawTarget)) return failures['target-refused'];
  const refusal = admitHead(x.request, x.enforced.policies.normalization);
  return refusal === '' ? PASS : failures[refusal];
}

function forwardLayer(options: OutboundHttpOptions): Layer {
  return (x) => {
    const { upstreams, telemetry } = options;
    const destination = findDestination(x, upstreams, x.request.authority, httpPort);
    if (!('kind' in destination)) return destination;
    if (isLoop(options, destination)) return failures['route-missing'];
    let pool: UpstreamPool;
    if (destination.kind === 'external') {
      pool = externalPool(x, upstreams, destination);
    } else {
      const member = choose(x, destination.cluster);
      if (member === null) return failures['endpoint-missing'];
      pool = poolOf(x, member, destination.protocol);
    }
    x.request.remove(ATTEMPT_COUNT);
    x.request.append(ATTEMPT_COUNT, '1');
    telemetry.forwarding(x);
    x.stream.forward(pool);
    return ENDED;
  };
}

/** Istio's default retry, of calls that were certainly not processed. */
function retry(options: OutboundHttpOptions, x: Exchange, failure: Failure): UpstreamPool | null {
  if (failure.status !== 503 || x.member === null) return null;
  const to = findDestination(x, options.upstreams, x.request.authority, httpPort);
  if (!('cluster' in to)) return null;
  const policy = defaultRetry;
  if (x.tried.length + 1 >= policy.attemptsMax) {
    x.retriesSpent = true;
    return null;
  }
  const member = chooseAgain(x, to.cluster);
  if (member === null) return null;
  x.request.remove(ATTEMPT_COUNT);
  x.request.append(ATTEMPT_COUNT, String(x.tried.length + 1));
  x.request.remove(peerHeader);
  options.telemetry.forwarding(x);
  const delayMs = retryDelayMs(policy, x.tried.length);
  return delayed(poolOf(x, member, to.protocol), delayMs);
}

/** The engine knows that a connection failed, the member why. */
function explainFailure(x: Exchange): void {
  const code = x.failure?.code;
  if (x.member === null || x.member.lastError === '') return;
  if (code === 'upstream-tls' || code === 'upstream-connect') {
    noteConnectFailure(x, x.member.lastError);
  }
}

function isCaptured({ downstream }: Exchange): boolean {
  return downstream instanceof OutboundConnection && downstream.original !== null;
}

function isLoop(
  options: OutboundHttpOptions,
  destination: { kind: 'service' } | { kind: 'external'; host: string; port: number },
): boolean {
  return destination.kind === 'external' && options.isSelf(destination.host, destination.port);
}
