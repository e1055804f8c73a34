// Other proxies on loopback, in plaintext, each with three ways in: to the application, to us, and from us.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort } from '#test/free-port.ts';

import { markName } from './echo.ts';

/** Ports of one proxy. */
export interface ProxyPorts {
  /** Marks requests, passes them to the application. */
  readonly front: number;
  /** Marks requests, passes them to our engine. */
  readonly beforeUs: number;
  /** Takes requests of our engine, passes them to the application. */
  readonly behindUs: number;
}

export interface RunningProxy {
  readonly name: ProxyName;
  readonly ports: ProxyPorts;
  stop(): Promise<void>;
}

export const proxyNames = ['envoy', 'haproxy', 'nginx'] as const;
export type ProxyName = (typeof proxyNames)[number];

/** One way through a proxy; `mark`: how it marks, '' not at all. */
interface Way {
  readonly port: number;
  readonly to: number;
  readonly mark: string;
}

interface ProxyKind {
  readonly version: readonly string[];
  config(ways: readonly Way[], folder: string): string;
  command(file: string, folder: string): readonly string[];
}

export function isInstalled(name: ProxyName): boolean {
  try {
    execFileSync(name, kinds[name].version, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** @throws when it does not come up */
export async function startProxy(
  name: ProxyName,
  application: number,
  ours: number,
): Promise<RunningProxy> {
  const folder = mkdtempSync(join(tmpdir(), `selvage-fuzz-${name}-`));
  const ports: ProxyPorts = {
    front: await freePort(),
    beforeUs: await freePort(),
    behindUs: await freePort(),
  };
  const ways: readonly Way[] = [
    { port: ports.front, to: application, mark: name },
    { port: ports.beforeUs, to: ours, mark: `${name}>ours` },
    { port: ports.behindUs, to: application, mark: '' },
  ];
  const file = join(folder, 'proxy.json');
  writeFileSync(file, kinds[name].config(ways, folder));
  const child = spawn(name, kinds[name].command(file, folder), { stdio: 'ignore' });
  await Promise.all(ways.map(({ port }) => untilOpen(port, name, child)));
  return {
    name,
    ports,
    stop: async () => {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const kinds: Readonly<Record<ProxyName, ProxyKind>> = {
  envoy: {
    version: ['--version'],
    config: envoyConfig,
    command: (file) => ['-c', file, '--concurrency', '1', '--disable-hot-restart', '-l', 'error'],
  },
  haproxy: {
    version: ['-v'],
    config: (ways) =>
      ['global\n nbthread 1\ndefaults\n mode http\n timeout connect 5s\n timeout client 10s']
        .concat(' timeout server 10s', ...ways.map(haproxyWay), '')
        .join('\n'),
    command: (file) => ['-db', '-f', file],
  },
  nginx: {
    version: ['-v'],
    config: nginxConfig,
    command: (file, folder) => ['-p', folder, '-c', file, '-e', 'stderr'],
  },
};

function haproxyWay({ port, to, mark }: Way): string {
  const set = mark === '' ? '' : ` http-request set-header ${markName} ${mark}-%[src_port]\n`;
  return `listen l${port}\n bind 127.0.0.1:${port}\n${set} server s 127.0.0.1:${to}`;
}

function nginxConfig(ways: readonly Way[], folder: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((one) => `${one}_temp_path ${folder}/${one};`)
    .join(' ');
  const servers = ways.map(({ port, to, mark }) => {
    const set = mark === '' ? '' : `proxy_set_header ${markName} ${mark}-$remote_port;`;
    return `upstream u${port} { server 127.0.0.1:${to}; keepalive 16; }
      server { listen 127.0.0.1:${port}; location / { proxy_pass http://u${port};
        proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
        proxy_request_buffering off; proxy_next_upstream off; ${set} } }`;
  });
  return `daemon off; master_process off; worker_processes 1; pid ${folder}/pid; error_log /dev/null;
    events { worker_connections 4096; }
    http { access_log off; client_max_body_size 0; ${temporary} ${servers.join('\n')} }`;
}

function address(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

const envoyTypes = 'type.googleapis.com/envoy.extensions.filters';

function envoyConfig(ways: readonly Way[]): string {
  const listeners = ways.map(({ port, mark }) => ({
    name: `l${port}`,
    address: address(port),
    filter_chains: [{ filters: [envoyManager(`c${port}`, mark)] }],
  }));
  const clusters = ways.map(({ port, to }) => ({
    name: `c${port}`,
    type: 'STATIC',
    connect_timeout: '5s',
    load_assignment: {
      cluster_name: `c${port}`,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(to) } }] }],
    },
  }));
  return JSON.stringify({ static_resources: { listeners, clusters } });
}

/** As istiod configures a sidecar, and HTTP/1.0 is taken too. */
function envoyManager(cluster: string, mark: string): object {
  const header = { key: markName, value: `${mark}-%DOWNSTREAM_REMOTE_PORT%` };
  const added = [{ header, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }];
  const routes = [{ match: { prefix: '/' }, route: { cluster, timeout: '0s' } }];
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': `${envoyTypes}.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: 'h',
      normalize_path: true,
      // It closes without a FIN of its own first, after a second by default.
      delayed_close_timeout: '0.05s',
      http_protocol_options: { accept_http_10: true, default_host_for_http_10: 'a' },
      upgrade_configs: [{ upgrade_type: 'websocket' }],
      http_filters: [
        {
          name: 'envoy.filters.http.router',
          typed_config: { '@type': `${envoyTypes}.http.router.v3.Router` },
        },
      ],
      route_config: {
        name: 'r',
        ...(mark !== '' && { request_headers_to_add: added }),
        virtual_hosts: [{ name: 'v', domains: ['*'], routes }],
      },
    },
  };
}

async function untilOpen(port: number, name: string, child: ChildProcess): Promise<void> {
  for (const end = performance.now() + 20_000; performance.now() < end;) {
    if (child.exitCode !== null) break;
    const socket = connect(port, '127.0.0.1');
    const open = await new Promise((resolve) => {
      socket.on('connect', () => resolve(true));
      socket.on('error', () => resolve(false));
    });
    socket.destroy();
    if (open === true) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${name} does not listen on ${port} (exit ${child.exitCode})`);
}
