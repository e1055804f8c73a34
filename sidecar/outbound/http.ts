// The outbound request path: what happens to a call of the application on its way to a service.
import type { PortProtocol } from '#api/workload.ts';
import type { Log } from '#runtime/log.ts';

import { admitHead } from '../admit-head.ts';
import { exchangeLayer } from '../credentials/exchange-layer.ts';
import type { Exchange, ResponseView, UpstreamPool } from '../exchange.ts';
import { cutForeignFailureId } from '../failure-id.ts';
import { failures, type Failure } from '../failures.ts';
import type { InForce } from '../in-force.ts';
import { composePath, ENDED, PASS, type Layer, type Outcome } from '../request-path.ts';
import { addServiceTime } from '../response-edits.ts';
import { sanitizeOutbound } from '../sanitize.ts';
import { noteFailedTry } from '../telemetry/tracing/failed-try.ts';
import type { Telemetry } from '../telemetry/types.ts';
import { peerHeader } from '../telemetry/workload-labels.ts';
import { createHttpClient } from '../upstream/http-client.ts';
import { statusOf } from '../upstream/outcome.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { HttpServer } from '../wire/http-server.ts';
import { http1Limits } from '../wire/http1/limits.ts';
import { http2Limits } from '../wire/http2/limits.ts';
import { OutboundConnection } from './connection.ts';
import { allowOrigin } from '../routing/cors.ts';
import { stickyCookie } from '../routing/hash-key.ts';
import { applyResponseEdits } from '../routing/header-edits.ts';
import { endTry, firstTry, nextTry } from './attempt.ts';
import { routeBytes } from './connection-route.ts';
import {
  type Destination,
  externalPool,
  findDestination,
  noteConnectFailure,
  openTunnel,
} from './destination.ts';
import {
  delayed,
  retriesAnswer,
  retriesFailure,
  retryDelayMs,
  retryPolicyOf,
  type RetryPolicy,
} from './retry.ts';
import { routeLayer } from './route-layer.ts';
import { splitAuthority } from './routes.ts';
import { keepSession } from './session.ts';

export interface OutboundHttpOptions {
  readonly inForce: InForce;
  readonly telemetry: Telemetry;
  readonly upstreams: Upstreams;
  /** Whether an address is this listener itself: a call to it would go round for ever. */
  readonly isSelf: (host: string, port: number) => boolean;
  readonly log: Log;
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
      destinationLayer(options),
      routeLayer(options.upstreams),
      exchangeLayer(createHttpClient(options.inForce, options.upstreams), options.log),
      forwardLayer(options),
    ],
    response: [cutForeignFailureId, addServiceTime, editResponse],
    finish,
    retry: (x, failure, untouched) => retryFailed(options, x, failure, untouched),
    retryAnswer: (x, response) => retryAnswered(options, x, response),
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
      return tunnel(options, x, destination, authority);
    }
    x.stream.serveInside();
    return ENDED;
  };
}

async function tunnel(
  { upstreams }: OutboundHttpOptions,
  x: Exchange,
  destination: Destination,
  authority: string,
): Promise<Outcome> {
  const asked = splitAuthority(authority);
  if (x.enforced === null || asked === null) return failures.internal;
  // The name that is asked for stands for the server name of the TLS that nearly always follows.
  const to = routeBytes(x, x.enforced, upstreams, destination, asked.host, asked);
  if ('code' in to) return to;
  const socket = await openTunnel(x, upstreams, to, asked);
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

/** The service or host that the call names. */
function destinationLayer(options: OutboundHttpOptions): Layer {
  return (x) => {
    const to = findDestination(x, options.upstreams, x.request.authority, httpPort);
    if (!('kind' in to)) return to;
    if (isLoop(options, to)) return failures['route-missing'];
    x.to = to;
    return PASS;
  };
}

function forwardLayer({ upstreams, telemetry }: OutboundHttpOptions): Layer {
  return (x) => {
    const { to } = x;
    if (to === null) return failures.internal;
    if (to.kind === 'external' && isRegistryOnly(x)) return failures['outside-refused'];
    const pool = to.kind === 'external' ? externalPool(x, upstreams, to) : firstTry(x, to);
    if ('code' in pool) return pool;
    x.request.remove(ATTEMPT_COUNT);
    x.request.append(ATTEMPT_COUNT, '1');
    telemetry.forwarding(x);
    x.stream.forward(pool);
    return ENDED;
  };
}

function isRegistryOnly({ enforced }: Exchange): boolean {
  return enforced?.snapshot.scope?.mode === 'REGISTRY_ONLY';
}

function retryFailed(
  options: OutboundHttpOptions,
  x: Exchange,
  failure: Failure,
  untouched: boolean,
): UpstreamPool | null {
  const policy = retryPolicyOf(x.routed?.compiled.retry ?? null);
  endTry(x, failure.code, 0);
  return retriesFailure(policy, x.request, failure.code, untouched)
    ? retry(options, x, policy, failure.code)
    : null;
}

function retryAnswered(
  options: OutboundHttpOptions,
  x: Exchange,
  response: ResponseView,
): UpstreamPool | null {
  const policy = retryPolicyOf(x.routed?.compiled.retry ?? null);
  if (!retriesAnswer(policy, response)) return null;
  const [grpcStatus = ''] = response.values('grpc-status');
  const status = statusOf(response.status, grpcStatus);
  return retry(options, x, policy, String(status), () => endTry(x, null, status));
}

/** Another try; null where there have been enough, or there is nobody to ask. @param reason why the last one will not do */
function retry(
  { telemetry }: OutboundHttpOptions,
  x: Exchange,
  policy: RetryPolicy,
  reason: string,
  before: () => void = nothing,
): UpstreamPool | null {
  const { to } = x;
  if (to?.kind !== 'service' || x.member === null) return null;
  if (x.tried.length + 1 >= policy.attemptsMax) {
    x.retriesSpent = policy.attemptsMax > 1;
    return null;
  }
  before();
  const pool = nextTry(x, to, policy.avoidsPrevious);
  if (pool === null) return null;
  if (x.trace !== null) noteFailedTry(x, x.tried.at(-1)?.address ?? '', reason);
  x.details = '';
  x.id = '';
  x.request.remove(ATTEMPT_COUNT);
  x.request.append(ATTEMPT_COUNT, String(x.tried.length + 1));
  x.request.remove(peerHeader);
  telemetry.forwarding(x);
  return delayed(pool, retryDelayMs(policy, x.tried.length));
}

/** What the route says of answers; those of the destination that was chosen come first. */
function editResponse(x: Exchange, response: ResponseView): void {
  const { routed, to } = x;
  const key = x.stickyCookie === '' || to?.kind !== 'service' ? null : to.cluster.hashKey;
  if (key?.kind === 'cookie') response.append('set-cookie', stickyCookie(key, x.stickyCookie));
  if (routed === null) return;
  if (x.session !== null) keepSession(x, response);
  const { compiled, destination, origin } = routed;
  const own = destination === null ? null : destination.edits;
  if (own !== null) applyResponseEdits(own, x, response);
  if (compiled.edits !== null) applyResponseEdits(compiled.edits, x, response);
  if (origin !== '' && compiled.cors !== null) allowOrigin(compiled.cors, origin, response);
}

function finish(x: Exchange): void {
  endTry(x, x.failure?.code ?? null, x.respondedAtMs === 0 ? 0 : x.status);
  explainFailure(x);
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

function nothing(): void {}
