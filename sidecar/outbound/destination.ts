// Where a call goes: an endpoint of a service of the mesh, or a host outside it.
import type { Socket } from 'node:net';

import type { Endpoint, Service } from '#api/snapshot.ts';
import type { PortProtocol } from '#api/workload.ts';
import { formatAddress } from '#runtime/plain-address.ts';

import type { Downstream, Exchange, UpstreamPool } from '../exchange.ts';
import { failures, type Failure } from '../failures.ts';
import type { RouteIndex } from '../routing/route-index.ts';
import { hashText } from '../upstream/hash.ts';
import { type Member } from '../upstream/member.ts';
import type { ProxiedAddresses } from '../upstream/proxy-header.ts';
import { askTunnel } from '../upstream/tunnel.ts';
import type { Chooser } from '../upstream/chooser.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import type { ByteStream } from '../wire/tcp.ts';
import { OutboundConnection } from './connection.ts';
import { findByAuthority, findOriginal, type OriginalDestination } from './original-destination.ts';
import { defaultRetry } from './retry.ts';
import { splitAuthority, type Found, type Route } from './routes.ts';

export type Destination =
  | {
      readonly kind: 'service';
      readonly route: Route;
      readonly cluster: Chooser;
      readonly protocol: PortProtocol;
    }
  | { readonly kind: 'external'; readonly host: string; readonly port: number };

/** What is noted while a call looks for its endpoint: of an exchange, or of a connection as bytes. */
export interface Call {
  service: Service | null;
  servicePort: number;
  member: Member | null;
  endpoint: Endpoint | null;
  upstreamAddress: string;
  attempts: number;
  /** Members that did nothing with the call. */
  tried: readonly Member[];
  details: string;
}

/**
 * Resolves the authority that the caller named and notes the service with the exchange. A host
 * that no service has is called as it is, as under Istio's ALLOW_ANY.
 */
export function findDestination(
  x: Exchange,
  upstreams: Upstreams,
  authority: string,
  defaultPort: number,
): Destination | Failure {
  const original = x.downstream instanceof OutboundConnection ? x.downstream.original : null;
  if (x.enforced === null) return failures.internal;
  const { routes, routing } = x.enforced;
  if (original !== null) {
    const own = findOriginal(routes, original);
    const named = findByAuthority(routes, original, authority, own);
    const found = routing.empty ? named : byAddress(routing, named, own);
    return found === 'unknown-host' ? outside(original) : destinationOf(x, upstreams, found);
  }
  const found = routes.find(authority, defaultPort);
  return found === 'unknown-host'
    ? external(authority, defaultPort)
    : destinationOf(x, upstreams, found);
}

/**
 * A Service that Gateway API's routes are attached to is the one at the address, whatever host the caller
 * names (GAMMA's MeshClusterIPMatching); others go by the host, as in Istio.
 */
function byAddress(routing: RouteIndex, named: Found, own: Found): Found {
  if (typeof own === 'string' || typeof named === 'string' || own.key === named.key) return named;
  return isAttached(routing, own) || isAttached(routing, named) ? own : named;
}

function isAttached(routing: RouteIndex, { service, port }: Route): boolean {
  const found = routing.find(service.hosts[0] ?? '', port.port);
  return found !== null && attachedKinds.test(found.group.key);
}

const attachedKinds = /^(HTTP|GRPC)Route\//;

/** What was found, as far as it can be called; notes the service with the call. */
export function destinationOf(
  call: Call,
  upstreams: Upstreams,
  found: Route | 'unknown-port',
): Destination | Failure {
  const cluster = found === 'unknown-port' ? null : chooserOf(upstreams, found);
  if (found === 'unknown-port' || cluster === null) {
    call.details = 'route_not_found{the service has no such port}';
    return failures['route-missing'];
  }
  call.service = found.service;
  call.servicePort = found.port.port;
  return { kind: 'service', route: found, cluster, protocol: found.port.protocol };
}

function chooserOf(upstreams: Upstreams, route: Route): Chooser | null {
  const cluster = upstreams.cluster(route);
  return route.endpoint === undefined ? cluster : (cluster?.only(route.endpoint) ?? null);
}

/** A host outside the mesh, as Istio's PassthroughCluster. */
export function outside({ host, port }: OriginalDestination): Destination {
  return { kind: 'external', host, port };
}

/**
 * Takes the next endpoint for the call; null when none is left.
 * @param but those it must not be
 * @param called the address or name that the caller meant, for services without endpoints of their own
 */
export function chooseBut(
  x: Call,
  cluster: Chooser,
  but: readonly Member[],
  hash: number | null,
  called: () => OriginalDestination | null,
): Member | null {
  const meant = cluster.passthrough ? called() : null;
  const member = meant === null ? cluster.pick(but, hash) : cluster.at(meant.host, meant.port);
  return member === null ? null : noteMember(x, member);
}

export function noteMember(x: Call, member: Member): Member {
  x.member = member;
  x.endpoint = member.endpoint;
  x.upstreamAddress = member.address;
  return member;
}

/**
 * Between sidecars a port declared HTTP is called by HTTP/2, whatever the application speaks: the
 * callee's sidecar knows its port and translates back. Otherwise the caller's version is kept.
 */
export function poolOf(
  x: Exchange,
  member: Member,
  { protocol, cluster }: Extract<Destination, { kind: 'service' }>,
): UpstreamPool {
  const { pool } = member;
  const policy = cluster.pool;
  const declared = protocol === 'http2' || protocol === 'grpc';
  const own = protocol !== 'http' || policy?.useClientProtocol === true;
  const meshed = protocol === 'http' && (member.meshed || policy?.h2Upgrade === 'upgrade');
  const http2 = own ? declared || x.protocol === 'HTTP/2' : meshed;
  return http2 ? pool : pool.http1;
}

/** After a connection that did not open: another endpoint to try, or null. */
function chooseAnother(x: Call, next: () => Member | null): Member | null {
  if (x.member === null || x.tried.length + 1 >= defaultRetry.attemptsMax) return null;
  x.tried = [...x.tried, x.member];
  return next();
}

/** A connection for CONNECT; a failure after every endpoint was tried. */
export function openTunnel(
  x: Exchange,
  upstreams: Upstreams,
  to: Destination,
  called: OriginalDestination,
): Promise<ByteStream | Failure> {
  return openUpstream(x, x.downstream, upstreams, { to, called }, (message) => {
    noteConnectFailure(x, message);
    return true;
  });
}

/**
 * A connection for bytes, open and its peer proven; a failure after every endpoint was tried.
 * @param from whose bytes they are
 * @param onFailed told why one did not open; false: nobody waits for another any more
 */
export async function openUpstream(
  call: Call,
  from: Pick<Downstream, 'remoteAddress' | 'remotePort'>,
  upstreams: Upstreams,
  { to, called }: { readonly to: Destination; readonly called: OriginalDestination },
  onFailed: (message: string) => boolean,
): Promise<ByteStream | Failure> {
  if (to.kind === 'external') {
    call.attempts = 1;
    call.upstreamAddress = formatAddress(to.host, to.port);
    try {
      const socket = upstreams.openExternal(to.host, to.port);
      return await opened(socket, 'connect', connectTimeoutMs);
    } catch (error) {
      onFailed(messageOf(error));
      return failures['upstream-connect'];
    }
  }
  const { cluster } = to;
  const refusal = cluster.admitConnection();
  if (refusal !== null) return refusal;
  const { hashKey: key } = cluster;
  const hash = key?.kind === 'source-ip' ? hashText(from.remoteAddress) : null;
  const next = (): Member | null => chooseBut(call, cluster, call.tried, hash, () => called);
  let member = next();
  if (member === null) return failures['endpoint-missing'];
  const proxied = { from: { host: from.remoteAddress, port: from.remotePort }, to: called };
  while (member !== null) {
    call.attempts += 1;
    try {
      const timeoutMs = cluster.pool?.connectTimeoutMs ?? connectTimeoutMs;
      return await openMember(member, proxied, timeoutMs);
    } catch (error) {
      if (!onFailed(messageOf(error))) break;
    }
    member = chooseAnother(call, next);
  }
  return failures['upstream-connect'];
}

/** Pools of either kind of destination. */
export function externalPool(
  x: Exchange,
  upstreams: Upstreams,
  to: { host: string; port: number },
): UpstreamPool {
  const pool = upstreams.external(to.host, to.port);
  x.upstreamAddress = pool.address;
  return x.protocol === 'HTTP/2' ? pool : pool.http1;
}

/** Says in the log why a connection did not open: a wrong identity most of all. */
export function noteConnectFailure(x: Exchange, message: string): Failure {
  const failure = failures['upstream-connect'];
  const reason = message === '' ? '' : `{remote_connection_failure|${message}}`;
  x.details = reason === '' ? failure.details : `upstream_reset_before_response_started${reason}`;
  return failure;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : '';
}

const connectTimeoutMs = 10_000;

function external(authority: string, defaultPort: number): Destination | Failure {
  const parts = splitAuthority(authority);
  if (parts === null) return failures.malformed;
  const { host, port } = parts;
  return { kind: 'external', host, port: port === 0 ? defaultPort : port };
}

/** Counts as a call of the member for as long as it is open, as in Envoy. */
async function openMember(
  member: Member,
  proxied: ProxiedAddresses,
  timeoutMs: number,
): Promise<ByteStream> {
  const begunMs = performance.now();
  const end = (fault: 'none' | 'local'): void =>
    member.end({ status: 0, fault, latencyMs: performance.now() - begunMs });
  member.begin();
  try {
    const socket = await opened(member.openTcp(proxied), member.openEvent, timeoutMs);
    const { tunnel } = member;
    const bytes = tunnel === null ? socket : await askTunnel(socket, tunnel, timeoutMs);
    socket.once('close', () => end('none'));
    return bytes;
  } catch (error) {
    end('local');
    throw error;
  }
}

function opened(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  timeoutMs: number,
): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  socket.once('error', reject);
  socket.once('close', () => reject(new Error('closed before it was open')));
  socket.setTimeout(timeoutMs, () => socket.destroy(new Error('connect timeout')));
  socket.once(event, () => {
    if (socket.destroyed) return;
    socket.off('error', reject);
    socket.setTimeout(0);
    resolve(socket);
  });
  return promise;
}
