// Where a call goes: an endpoint of a service of the mesh, or a host outside it.
import type { Socket } from 'node:net';

import type { Endpoint, Service } from '#api/snapshot.ts';
import type { PortProtocol } from '#api/workload.ts';

import type { Exchange, UpstreamPool } from '../exchange.ts';
import { failures, type Failure } from '../failures.ts';
import { formatAddress, type Member } from '../upstream/member.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { OutboundConnection } from './connection.ts';
import { findByAuthority, type OriginalDestination } from './original-destination.ts';
import { defaultRetry } from './retry.ts';
import { splitAuthority, type Route } from './routes.ts';

export type Destination =
  | {
      readonly kind: 'service';
      readonly route: Route;
      readonly cluster: Chooser;
      readonly protocol: PortProtocol;
    }
  | { readonly kind: 'external'; readonly host: string; readonly port: number };

/** Gives the endpoint of a call; null when none is left. */
type Chooser = Pick<Cluster, 'pick' | 'hashKey' | 'admit'>;

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
  const routes = x.enforced?.routes;
  if (routes === undefined) return failures.internal;
  if (original !== null) {
    const found = findByAuthority(routes, original, authority);
    return found === 'unknown-host' ? outside(original) : destinationOf(x, upstreams, found);
  }
  const found = routes.find(authority, defaultPort);
  return found === 'unknown-host'
    ? external(authority, defaultPort)
    : destinationOf(x, upstreams, found);
}

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

/** Takes the next endpoint for the call; null when none is left. @param but those it must not be */
export function chooseBut(
  x: Call,
  cluster: Chooser,
  but: readonly Member[],
  hash: number | null,
): Member | null {
  const member = cluster.pick(but, hash);
  if (member === null) return null;
  x.member = member;
  x.endpoint = member.endpoint;
  x.upstreamAddress = member.address;
  return member;
}

/**
 * Between sidecars a port declared HTTP is called by HTTP/2, whatever the application speaks: the
 * callee's sidecar knows its port and translates back. Otherwise the caller's version is kept.
 */
export function poolOf(x: Exchange, member: Member, protocol: PortProtocol): UpstreamPool {
  const { pool } = member;
  const declared = protocol === 'http2' || protocol === 'grpc';
  const meshed = protocol === 'http' && member.endpoint.identity !== null;
  const kept = protocol !== 'http' && x.protocol === 'HTTP/2';
  return declared || meshed || kept ? pool : pool.http1;
}

/** After a connection that did not open: another endpoint to try, or null. */
function chooseAnother(x: Call, cluster: Chooser): Member | null {
  if (x.member === null || x.tried.length + 1 >= defaultRetry.attemptsMax) return null;
  x.tried = [...x.tried, x.member];
  return chooseBut(x, cluster, x.tried, null);
}

/** A connection for CONNECT; a failure after every endpoint was tried. */
export function openTunnel(
  x: Exchange,
  upstreams: Upstreams,
  to: Destination,
): Promise<Socket | Failure> {
  return openUpstream(x, upstreams, to, (message) => {
    noteConnectFailure(x, message);
    return true;
  });
}

/**
 * A connection for bytes, open and its peer proven; a failure after every endpoint was tried.
 * @param onFailed told why one did not open; false: nobody waits for another any more
 */
export async function openUpstream(
  call: Call,
  upstreams: Upstreams,
  to: Destination,
  onFailed: (message: string) => boolean,
): Promise<Socket | Failure> {
  if (to.kind === 'external') {
    call.attempts = 1;
    call.upstreamAddress = formatAddress(to.host, to.port);
    try {
      return await opened(upstreams.openExternal(to.host, to.port), 'connect');
    } catch (error) {
      onFailed(messageOf(error));
      return failures['upstream-connect'];
    }
  }
  let member = chooseBut(call, to.cluster, call.tried, null);
  if (member === null) return failures['endpoint-missing'];
  while (member !== null) {
    call.attempts += 1;
    try {
      return await opened(member.openTcp(), member.openEvent);
    } catch (error) {
      if (!onFailed(messageOf(error))) break;
    }
    member = chooseAnother(call, to.cluster);
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
  const reason = message === '' ? '' : `{connection_failure,${message}}`;
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

function opened(socket: Socket, event: 'connect' | 'secureConnect'): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  socket.once('error', reject);
  socket.once('close', () => reject(new Error('closed before it was open')));
  socket.setTimeout(connectTimeoutMs, () => socket.destroy(new Error('connect timeout')));
  socket.once(event, () => {
    if (socket.destroyed) return;
    socket.off('error', reject);
    socket.setTimeout(0);
    resolve(socket);
  });
  return promise;
}
