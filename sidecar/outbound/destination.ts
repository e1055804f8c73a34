// Where a call goes: an endpoint of a service of the mesh, or a host outside it.
import type { Socket } from 'node:net';

import type { PortProtocol } from '#api/workload.ts';

import type { Exchange, UpstreamPool } from '../exchange.ts';
import { failures, type Failure } from '../failures.ts';
import { formatAddress, type Member } from '../upstream/member.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { splitAuthority } from './routes.ts';

export type Destination =
  | { readonly kind: 'service'; readonly cluster: Cluster; readonly protocol: PortProtocol }
  | { readonly kind: 'external'; readonly host: string; readonly port: number };

/** Envoy's and Istio's default: the first attempt and two more. */
export const attemptsMax = 3;

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
  const found = x.enforced?.routes.find(authority, defaultPort) ?? 'unknown-host';
  if (found === 'unknown-host') return external(authority, defaultPort);
  const cluster = found === 'unknown-port' ? null : upstreams.cluster(found);
  if (found === 'unknown-port' || cluster === null) {
    x.details = 'route_not_found{the service has no such port}';
    return failures['route-missing'];
  }
  x.service = found.service;
  x.servicePort = found.port.port;
  return { kind: 'service', cluster, protocol: found.port.protocol };
}

/** Takes the next endpoint for the exchange; null when none is left. */
export function choose(x: Exchange, cluster: Cluster): Member | null {
  const member = cluster.pick(x.tried);
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
export function chooseAnother(x: Exchange, cluster: Cluster): Member | null {
  if (x.member === null || x.tried.length + 1 >= attemptsMax) return null;
  x.tried = [...x.tried, x.member];
  return choose(x, cluster);
}

/** A connection for bytes, open and its peer proven; a failure after every endpoint was tried. */
export async function openTunnel(
  x: Exchange,
  upstreams: Upstreams,
  to: Destination,
): Promise<Socket | Failure> {
  if (to.kind === 'external') {
    x.attempts = 1;
    x.upstreamAddress = formatAddress(to.host, to.port);
    const socket = upstreams.openExternal(to.host, to.port);
    return opened(socket, 'connect').catch(() => failures['upstream-connect']);
  }
  let member = choose(x, to.cluster);
  if (member === null) return failures['endpoint-missing'];
  let failure = failures['upstream-connect'];
  while (member !== null) {
    x.attempts += 1;
    try {
      return await opened(member.openTcp(), member.openEvent);
    } catch (error) {
      failure = noteConnectFailure(x, error instanceof Error ? error.message : '');
    }
    member = chooseAnother(x, to.cluster);
  }
  return failure;
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
