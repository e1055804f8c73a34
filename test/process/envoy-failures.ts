// A real Envoy that fails calls in every way that can be had on loopback, and what its access log says of each.
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { start, untilAccepting } from '#test/bench/proxies/proxy.ts';
import { freePort } from '#test/free-port.ts';
import type { Rig } from '#test/sidecar/rig.ts';

/** How one call is to fail. */
export interface Failing {
  readonly name: string;
  /** What Envoy's route does; `cluster`: forwards to `upstream`. */
  readonly route: object;
  readonly filters?: readonly object[];
  /** Port of the upstream; 0: it has no endpoint; left out: nothing is called. */
  readonly upstream?: number;
  readonly http2?: boolean;
  readonly breaker?: object;
  readonly connectTimeout?: string;
  /** Format of the log; left out: status, flags and details. */
  readonly format?: string;
  /** Hosts; left out: `payments`. */
  readonly domains?: readonly string[];
}

export interface FailingEnvoy {
  port(name: string): number;
  /** Lines of a listener's log, without blanks around them. */
  log(name: string): string[];
}

const extensions = 'type.googleapis.com/envoy.extensions';
export const filter = (path: string, config: object): object => ({
  name: path,
  typed_config: { '@type': `${extensions}.filters.http.${path}`, ...config },
});

export async function startFailing(rig: Rig, ways: readonly Failing[]): Promise<FailingEnvoy> {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-envoy-log-'));
  const ports = new Map<string, number>();
  for (const { name } of ways) ports.set(name, await freePort());
  const pathOf = (name: string): string => join(folder, `${name.replaceAll(/\W+/g, '-')}.log`);
  const config = {
    static_resources: {
      listeners: ways.map((way) => listener(way, ports.get(way.name) ?? 0, pathOf(way.name))),
      clusters: ways.filter(({ upstream }) => upstream !== undefined).map(cluster),
    },
  };
  const file = join(folder, 'envoy.json');
  writeFileSync(file, JSON.stringify(config));
  const args = ['-c', file, '--concurrency', '1', '--use-dynamic-base-id', '-l', 'error'];
  const child = start('envoy', [...args, '--file-flush-interval-msec', '20']);
  rig.onClose(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(folder, { recursive: true, force: true });
  });
  for (const port of ports.values()) await untilAccepting([child], port);
  return {
    port: (name) => ports.get(name) ?? 0,
    log: (name) => {
      const text = readFileSync(pathOf(name), 'utf8').trimEnd();
      return text === '' ? [] : text.split('\n');
    },
  };
}

function listener(way: Failing, port: number, logPath: string): object {
  const {
    format = '%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n',
    domains = ['payments'],
  } = way;
  const routes = [{ match: { prefix: '/' }, ...way.route }];
  const manager = {
    '@type': `${extensions}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'h',
    access_log: [
      {
        name: 'envoy.access_loggers.file',
        typed_config: {
          '@type': `${extensions}.access_loggers.file.v3.FileAccessLog`,
          path: logPath,
          log_format: { text_format_source: { inline_string: format } },
        },
      },
    ],
    normalize_path: true,
    http_filters: [...(way.filters ?? []), filter('router.v3.Router', {})],
    route_config: {
      name: 'r',
      validate_clusters: false,
      virtual_hosts: [{ name: 'v', domains, routes }],
    },
  };
  return {
    name: way.name,
    traffic_direction: 'INBOUND',
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    filter_chains: [
      {
        filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }],
      },
    ],
  };
}

function cluster({
  name,
  upstream = 0,
  http2 = false,
  breaker,
  connectTimeout = '5s',
}: Failing): object {
  const protocol = {
    '@type': `${extensions}.upstreams.http.v3.HttpProtocolOptions`,
    explicit_http_config: http2 ? { http2_protocol_options: {} } : { http_protocol_options: {} },
  };
  return {
    name,
    type: 'STATIC',
    connect_timeout: connectTimeout,
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': protocol,
    },
    load_assignment: {
      cluster_name: name,
      endpoints: upstream === 0 ? [] : [{ lb_endpoints: [endpoint(upstream)] }],
    },
    ...(breaker !== undefined && { circuit_breakers: { thresholds: [breaker] } }),
  };
}

function endpoint(port: number): object {
  return {
    endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
  };
}
