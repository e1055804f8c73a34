// Headers by which hops tell each other who calls: forged ones are cut, ours are put in.
import { randomUUID } from 'node:crypto';

import type { Exchange, RequestView } from './exchange.ts';
import { PASS, type Outcome } from './request-path.ts';

const CLIENT_CERT = 'x-forwarded-client-cert';
const FORWARDED_PROTO = 'x-forwarded-proto';
const REQUEST_ID = 'x-request-id';

/**
 * Envoy's own headers: they steer its router or tell what only it may tell. Envoy lets a sidecar's
 * client set them and policies see them; only the application must not believe them.
 */
const steeringHeaders: readonly string[] = [
  'x-envoy-internal',
  'x-envoy-external-address',
  'x-envoy-original-path',
  'x-envoy-original-dst-host',
  'x-envoy-expected-rq-timeout-ms',
  'x-envoy-upstream-rq-timeout-ms',
  'x-envoy-upstream-rq-per-try-timeout-ms',
  'x-envoy-upstream-rq-timeout-alt-response',
  'x-envoy-upstream-alt-stat-name',
  'x-envoy-upstream-stream-duration-ms',
  'x-envoy-retry-on',
  'x-envoy-retry-grpc-on',
  'x-envoy-max-retries',
  'x-envoy-retriable-status-codes',
  'x-envoy-retriable-header-names',
  'x-envoy-hedge-on-per-try-timeout',
  'x-envoy-decorator-operation',
  'x-envoy-ip-tags',
];

const steeringPrefix = 'x-envoy-';

/** Inbound: the client certificate is the one that was proven, whatever the client says. */
export function sanitizeInbound(x: Exchange): Outcome {
  const { request, downstream } = x;
  const { mtls } = downstream.facts;
  forwardClientCert(request, mtls, downstream.forwardedClientCert);
  setScheme(request, mtls);
  x.requestId = requestIdOf(request);
  return PASS;
}

/** Inbound, after policies have looked: the last edit before the request goes on. */
export function stripSteering(x: Exchange): Outcome {
  // Most requests have none of them: one look at each line in place of one for each name.
  if (x.request.hasPrefix(steeringPrefix)) {
    for (const name of steeringHeaders) x.request.remove(name);
  }
  return PASS;
}

/** Outbound: the application speaks for itself alone, so it vouches for no client of its own. */
export function sanitizeOutbound(x: Exchange): Outcome {
  const { request } = x;
  request.remove(CLIENT_CERT);
  request.remove('proxy-authorization');
  setScheme(request, false);
  x.requestId = requestIdOf(request);
  return PASS;
}

/** Istio's APPEND_FORWARD: what earlier hops told stays, before ours, if the peer is proven. */
function forwardClientCert(request: RequestView, mtls: boolean, own: string): void {
  const told = request.values(CLIENT_CERT);
  request.removeSpellings(CLIENT_CERT);
  if (!mtls) return;
  request.append(CLIENT_CERT, told.length > 0 ? `${told.join(',')},${own}` : own);
}

/** As Envoy with use_remote_address off: what x-forwarded-proto says wins over the connection. */
function setScheme(request: RequestView, mtls: boolean): void {
  const said = request.values(FORWARDED_PROTO).at(-1);
  if (said === undefined) {
    request.scheme = mtls ? 'https' : 'http';
    request.append(FORWARDED_PROTO, request.scheme);
    return;
  }
  const scheme = said.toLowerCase();
  const known = scheme === 'http' || scheme === 'https';
  request.scheme = known ? scheme : mtls ? 'https' : 'http';
}

function requestIdOf(request: RequestView): string {
  const given = request.values(REQUEST_ID)[0];
  if (given !== undefined && given !== '') return given;
  const id = randomUUID();
  request.remove(REQUEST_ID);
  request.append(REQUEST_ID, id);
  return id;
}
