// A real Envoy beside our sidecars: the mutual TLS, protocols and names that istiod would configure.
import { execFileSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { start, untilAccepting } from '#test/bench/proxies/proxy.ts';
import { spiffe } from '#test/sidecar/rig.ts';
import type { Rig } from '#test/sidecar/rig.ts';
import { freePort } from '#test/free-port.ts';

/** Whether there is an Envoy to test against. */
export function hasEnvoy(): boolean {
  try {
    execFileSync('envoy', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

export type Version = 'http1' | 'http2';

/** One port of an Envoy, and where what comes goes. */
export interface Way {
  /** Takes mutual TLS with these protocols; omitted: plaintext. */
  readonly takes?: readonly string[];
  /** Calls with mutual TLS and these protocols; omitted: plaintext. */
  readonly offers?: readonly string[];
  /** Port of the upstream. */
  readonly to: number;
  /** What the upstream is spoken to in; `tcp`: bytes. */
  readonly speaks: Version | 'tcp';
  /** Another upstream for gRPC, always by HTTP/2. */
  readonly grpcTo?: number;
}

/** Starts one Envoy. @returns the port of each way, in their order */
export async function startEnvoy(
  rig: Rig,
  account: string,
  ways: readonly Way[],
): Promise<number[]> {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-envoy-'));
  const { keyPem, certPem, caPem } = await rig.issued(spiffe('shop', account));
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const files: Files = {
    key: write('key.pem', keyPem),
    cert: write('cert.pem', certPem),
    ca: write('ca.pem', caPem),
  };
  const ports: number[] = [];
  for (const _ of ways) ports.push(await freePort());
  const config = {
    admin: { address: addressOf(0) },
    static_resources: {
      listeners: ways.map((way, i) => listener(i, ports[i]!, way, files)),
      clusters: ways.flatMap((way, i) => clusters(i, way, files)),
    },
  };
  const path = write('envoy.json', JSON.stringify(config));
  const args = ['-c', path, '--concurrency', '1', '--use-dynamic-base-id', '-l', 'error'];
  const child = start('envoy', args);
  rig.onClose(() => end(child, folder));
  for (const port of ports) await untilAccepting([child], port);
  return ports;
}

async function end(child: ChildProcess, folder: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  rmSync(folder, { recursive: true, force: true });
}

interface Files {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

const extensions = 'type.googleapis.com/envoy.extensions';

function addressOf(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

/** What a client sidecar must offer, so that Istio's chain for mutual TLS takes its connection. */
const istioProtocols = [
  'istio',
  'istio-peer-exchange',
  'istio-http/1.0',
  'istio-http/1.1',
  'istio-h2',
];

function listener(i: number, port: number, way: Way, files: Files): object {
  const filter = way.speaks === 'tcp' ? tcpProxy(i) : manager(i, way.grpcTo !== undefined);
  const plain = { name: `listener-${i}`, address: addressOf(port) };
  if (way.takes === undefined) return { ...plain, filter_chains: [{ filters: [filter] }] };
  const inspector = `${extensions}.filters.listener.tls_inspector.v3.TlsInspector`;
  const chain = {
    filter_chain_match: { transport_protocol: 'tls', application_protocols: istioProtocols },
    filters: [filter],
    transport_socket: {
      name: 'envoy.transport_sockets.tls',
      typed_config: {
        '@type': `${extensions}.transport_sockets.tls.v3.DownstreamTlsContext`,
        require_client_certificate: true,
        common_tls_context: tls(files, way.takes, 'web'),
      },
    },
  };
  return {
    ...plain,
    listener_filters: [
      { name: 'envoy.filters.listener.tls_inspector', typed_config: { '@type': inspector } },
    ],
    filter_chains: [chain],
  };
}

function tcpProxy(i: number): object {
  return {
    name: 'envoy.filters.network.tcp_proxy',
    typed_config: {
      '@type': `${extensions}.filters.network.tcp_proxy.v3.TcpProxy`,
      stat_prefix: 'tcp',
      cluster: `cluster-${i}`,
    },
  };
}

const to = (cluster: string): object => ({ cluster, timeout: '0s' });

function manager(i: number, hasGrpc: boolean): object {
  const grpc = { match: { prefix: '/', grpc: {} }, route: to(`grpc-${i}`) };
  const rest = { match: { prefix: '/' }, route: to(`cluster-${i}`) };
  const routes = hasGrpc ? [grpc, rest] : [rest];
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': `${extensions}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: `http-${i}`,
      forward_client_cert_details: 'APPEND_FORWARD',
      set_current_client_cert_details: { subject: true, uri: true, dns: true },
      http_protocol_options: { enable_trailers: true },
      http2_protocol_options: { allow_connect: true },
      upgrade_configs: [{ upgrade_type: 'websocket' }],
      http_filters: [
        {
          name: 'envoy.filters.http.router',
          typed_config: { '@type': `${extensions}.filters.http.router.v3.Router` },
        },
      ],
      route_config: { name: 'r', virtual_hosts: [{ name: 'v', domains: ['*'], routes }] },
    },
  };
}

function clusters(i: number, way: Way, files: Files): object[] {
  const transport = way.offers && {
    transport_socket: {
      name: 'envoy.transport_sockets.tls',
      typed_config: {
        '@type': `${extensions}.transport_sockets.tls.v3.UpstreamTlsContext`,
        sni: 'outbound_.80_._.payments.shop.svc.cluster.local',
        common_tls_context: tls(files, way.offers, 'payments'),
      },
    },
  };
  const main = cluster(`cluster-${i}`, way.to, way.speaks, transport ?? {});
  if (way.grpcTo === undefined) return [main];
  return [main, cluster(`grpc-${i}`, way.grpcTo, 'http2', {})];
}

function cluster(name: string, port: number, speaks: Way['speaks'], transport: object): object {
  const options = {
    http1: { http_protocol_options: { enable_trailers: true } },
    http2: { http2_protocol_options: { allow_connect: true } },
  };
  const protocol = speaks !== 'tcp' && {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': `${extensions}.upstreams.http.v3.HttpProtocolOptions`,
        explicit_http_config: options[speaks],
      },
    },
  };
  return {
    name,
    type: 'STATIC',
    connect_timeout: '10s',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: addressOf(port) } }] }],
    },
    ...protocol,
    ...transport,
  };
}

/** @param peer the account that the other side must prove */
function tls(files: Files, protocols: readonly string[], peer: string): object {
  return {
    tls_certificates: [
      { certificate_chain: { filename: files.cert }, private_key: { filename: files.key } },
    ],
    validation_context: {
      trusted_ca: { filename: files.ca },
      match_typed_subject_alt_names: [
        { san_type: 'URI', matcher: { exact: spiffe('shop', peer) } },
      ],
    },
    alpn_protocols: protocols,
  };
}
