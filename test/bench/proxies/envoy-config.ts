// Parts of Envoy's configuration, as istiod writes them.

export const extensions = 'type.googleapis.com/envoy.extensions';
const network = `${extensions}.filters.network`;

export function listener(port: number, filters: readonly object[], transport?: object): object {
  return {
    name: 'l',
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    filter_chains: [{ filters, ...(transport && { transport_socket: transport }) }],
  };
}

export function httpManager(prefix: string, filters: readonly object[]): object {
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': `${network}.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: prefix,
      normalize_path: true,
      forward_client_cert_details: 'APPEND_FORWARD',
      set_current_client_cert_details: { subject: true, uri: true, dns: true },
      access_log: accessLog(),
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

export function router(): object {
  return {
    name: 'envoy.filters.http.router',
    typed_config: { '@type': `${extensions}.filters.http.router.v3.Router` },
  };
}

export function tcpProxy(prefix: string): object {
  return {
    name: 'envoy.filters.network.tcp_proxy',
    typed_config: {
      '@type': `${network}.tcp_proxy.v3.TcpProxy`,
      stat_prefix: prefix,
      cluster: 'c',
      access_log: accessLog(),
    },
  };
}

export function accessLog(): object[] {
  return [
    {
      name: 'envoy.access_loggers.file',
      typed_config: {
        '@type': `${extensions}.access_loggers.file.v3.FileAccessLog`,
        path: '/dev/null',
      },
    },
  ];
}

/** @param isHttp2 else HTTP/1.1, or bytes */
export function cluster(port: number, isHttp2: boolean, transport?: object): object {
  const address = { socket_address: { address: '127.0.0.1', port_value: port } };
  return {
    name: 'c',
    type: 'STATIC',
    connect_timeout: '10s',
    circuit_breakers: {
      thresholds: [{ max_connections: 65_535, max_pending_requests: 65_535, max_requests: 65_535 }],
    },
    load_assignment: {
      cluster_name: 'c',
      endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
    },
    ...(isHttp2 && {
      typed_extension_protocol_options: {
        'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
          '@type': `${extensions}.upstreams.http.v3.HttpProtocolOptions`,
          explicit_http_config: { http2_protocol_options: {} },
        },
      },
    }),
    ...(transport && { transport_socket: transport }),
  };
}
