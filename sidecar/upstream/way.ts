// How connections to the endpoints of a cluster are made: in the clear, mutual TLS of the mesh, TLS to outside.
import type { OnReadOpts, Socket } from 'node:net';

import type { Endpoint } from '#api/snapshot.ts';
import type { TrafficPolicy } from '#api/traffic/destination.ts';
import type { Log } from '#runtime/log.ts';

import { openPlain } from './member.ts';
import { keepAliveOn, poolLimitsOf, type PoolLimits } from './pool-limits.ts';
import { proxyHeader, type ProxiedAddresses } from './proxy-header.ts';
import {
  connectTls,
  http1Protocols,
  http2Protocols,
  httpProtocols,
  tcpProtocols,
  type SessionSlot,
  type UpstreamTls,
} from './tls-context.ts';
import { OutsideTls, sniOf } from './tls/outside.ts';
import type { Tunnel } from './tunnel.ts';

/** What a connection is for. `http` agrees on either version. */
export type Purpose = 'http' | 'http1' | 'http2' | 'tcp';

/** Names of whom is called. */
export interface CalledNames {
  /** Fully qualified; server name of TLS to outside. */
  readonly host: string;
  /** Server name of mutual TLS. */
  readonly meshName: string;
  /** Of a ServiceEntry: what certificates may say. */
  readonly subjectAltNames: readonly string[];
}

export interface Opening {
  readonly purpose: Purpose;
  readonly slot: SessionSlot;
  readonly onread?: OnReadOpts | undefined;
  /** For the PROXY protocol; null: a connection that calls share. */
  readonly proxied: ProxiedAddresses | null;
}

const meshProtocols: Readonly<Record<Purpose, readonly string[]>> = {
  http: httpProtocols,
  http1: http1Protocols,
  http2: http2Protocols,
  tcp: tcpProtocols,
};
const outsideProtocols: Readonly<Record<Purpose, readonly string[]>> = {
  http: ['h2', 'http/1.1'],
  http1: ['http/1.1'],
  http2: ['h2'],
  tcp: [],
};

export class Way {
  readonly limits: PoolLimits;
  /** Connections of bytes are asked of the endpoint as tunnels; null: they are the endpoint's own. */
  readonly tunnel: Tunnel | null;
  readonly #mesh: UpstreamTls;
  readonly #names: CalledNames;
  readonly #policy: TrafficPolicy;
  readonly #outside: OutsideTls | null;

  constructor(mesh: UpstreamTls, names: CalledNames, policy: TrafficPolicy, log: Log) {
    this.#mesh = mesh;
    this.#names = names;
    this.#policy = policy;
    this.limits = poolLimitsOf(policy.pool);
    const { tls, tunnel = null } = policy;
    this.tunnel = tunnel;
    const outside = tls?.mode === 'simple' || tls?.mode === 'mutual';
    this.#outside = outside ? new OutsideTls(tls, log.child({ host: names.host })) : null;
  }

  /** Whether connections to it are TLS of either kind. */
  encrypts(endpoint: Endpoint): boolean {
    return this.#outside !== null || this.meshes(endpoint);
  }

  /** Whether another sidecar answers: it translates between versions of HTTP. */
  meshes(endpoint: Endpoint): boolean {
    const mode = this.#policy.tls?.mode;
    return mode === undefined ? endpoint.identity !== null : mode === 'mesh';
  }

  /** A connection, begun. Throws where not even that can be done. */
  open(endpoint: Endpoint, opening: Opening): Socket {
    const socket = this.#begin(endpoint, opening);
    keepAliveOn(socket, this.limits.keepAlive);
    return socket;
  }

  #begin(endpoint: Endpoint, { purpose, slot, onread, proxied }: Opening): Socket {
    const { address: host, port, identity } = endpoint;
    const { tls, proxyProtocol } = this.#policy;
    const preface = proxyProtocol === undefined ? null : proxyHeader(proxyProtocol, proxied);
    if (this.#outside !== null) return this.#openOutside(endpoint, preface, slot, purpose, onread);
    if (!this.meshes(endpoint)) {
      const socket = openPlain(host, port, onread);
      // Before whatever the caller writes, because it is written first.
      if (preface !== null) socket.write(preface);
      return socket;
    }
    const known = identity === null ? [] : [identity];
    return this.#mesh.connect(
      {
        host,
        port,
        serverName: tls?.sni ?? this.#names.meshName,
        identities: tls?.subjectAltNames ?? known,
        protocols: meshProtocols[purpose],
        preface,
      },
      slot,
      onread,
    );
  }

  #openOutside(
    { address: host, port }: Endpoint,
    preface: Buffer | null,
    slot: SessionSlot,
    purpose: Purpose,
    onread: OnReadOpts | undefined,
  ): Socket {
    const outside = this.#outside!;
    const { policy } = outside;
    if (policy.credentialName !== undefined) {
      throw new Error(`credentialName ${policy.credentialName}: sidecars get no Secrets`);
    }
    const called = policy.sni ?? this.#names.host;
    const names = policy.subjectAltNames ?? this.#names.subjectAltNames;
    return connectTls(
      {
        host,
        port,
        serverName: sniOf(called),
        protocols: outsideProtocols[purpose],
        preface,
        context: outside.context(),
        check: (certificate) => outside.check(called, names, certificate),
        verifies: policy.skipVerify !== true,
      },
      slot,
      onread,
    );
  }
}
