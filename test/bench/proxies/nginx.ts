// nginx under test: mutual TLS, ten rules as locations, a log line for each request or connection.
import { execFileSync } from 'node:child_process';

import { rules, type World } from '../world.ts';
import { missingProgram, type ProxyKind, type Role, start } from './proxy.ts';

export const nginx: ProxyKind = {
  name: 'nginx',
  isForwardProxy: false,
  missing: () => missingProgram('nginx', '-v', 'apt-get install nginx libnginx-mod-stream'),
  can: (_setup, carries) => carries !== 'tcp' || streamModule() !== null,
  inbound: (world, role) =>
    run(world, role, 'ssl', [
      `ssl_certificate ${world.files.serverCert};`,
      `ssl_certificate_key ${world.files.serverKey};`,
      `ssl_client_certificate ${world.files.ca};`,
      'ssl_verify_client on;',
      'ssl_protocols TLSv1.2 TLSv1.3;',
      ...(role.carries === 'tcp'
        ? ['proxy_pass next;']
        : [
            // As HAProxy, it asks for a certificate of our CA, and judges path and method.
            ...rules.map(
              ({ methods, path }) =>
                `location ${path} { if ($request_method !~ ^(${methods.join('|')})$) { return 403; } ${pass(role, '')} }`,
            ),
            'location / { return 403; }',
          ]),
    ]),
  outbound: (world, role) => {
    const own = (prefix: string): string[] => [
      `${prefix}_ssl_certificate ${world.files.clientCert};`,
      `${prefix}_ssl_certificate_key ${world.files.clientKey};`,
      `${prefix}_ssl_trusted_certificate ${world.files.ca};`,
      `${prefix}_ssl_protocols TLSv1.3;`,
    ];
    if (role.carries === 'tcp') {
      return run(world, role, '', ['proxy_ssl on;', ...own('proxy'), 'proxy_pass next;']);
    }
    const prefix = role.carries === 'grpc' ? 'grpc' : 'proxy';
    return run(world, role, '', [...own(prefix), `location / { ${pass(role, 's')} }`]);
  },
};

/** Path of the module that carries bytes; '': it is built in; null: there is none. */
function streamModule(): string | null {
  const { stderr, modules } = configuration();
  if (/--with-stream(?!\S)/.test(stderr)) return '';
  if (!stderr.includes('--with-stream=dynamic')) return null;
  const path = `${modules}/ngx_stream_module.so`;
  try {
    execFileSync('test', ['-e', path]);
    return path;
  } catch {
    return null;
  }
}

function configuration(): { stderr: string; modules: string } {
  const stderr = execFileSync('sh', ['-c', 'nginx -V 2>&1'], { encoding: 'utf8' });
  return { stderr, modules: /--modules-path=(\S+)/.exec(stderr)?.[1] ?? '' };
}

/** @param s 's' for TLS to the next one */
function pass({ carries }: Role, s: string): string {
  return carries === 'grpc'
    ? `grpc_pass grpc${s}://next;`
    : `proxy_pass http${s}://next; proxy_http_version 1.1; proxy_set_header Connection "";`;
}

function run(world: World, role: Role, ssl: string, lines: readonly string[]) {
  const { folder } = world;
  const isTcp = role.carries === 'tcp';
  const isHttp2 = role.carries === 'grpc' || (role.carries === 'http' && ssl !== '');
  const module = isTcp ? streamModule() : '';
  const config = `
${module ? `load_module ${module};` : ''}
${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes ${role.workers};
pid ${folder}/nginx-${role.port}.pid;
error_log stderr error;
events { worker_connections 8192; }
${isTcp ? 'stream' : 'http'} {
  ${isTcp ? streamSettings : httpSettings(folder)}
  upstream next {
    server 127.0.0.1:${role.next};
    ${isTcp ? '' : 'keepalive 1024; keepalive_requests 1000000000;'}
  }
  server {
    listen 127.0.0.1:${role.port} ${ssl} ${isHttp2 ? 'http2' : ''} reuseport;
    ${lines.join('\n    ')}
  }
}
`;
  return start('nginx', ['-c', world.write(`nginx-${role.port}.conf`, config), '-e', 'stderr']);
}

const streamSettings = `
  log_format bytes '$remote_addr [$time_local] $status $bytes_sent $bytes_received $session_time';
  access_log /dev/null bytes;`;

function httpSettings(folder: string): string {
  return `
  access_log /dev/null combined;
  keepalive_requests 1000000000;
  http2_max_concurrent_streams 256;
  client_body_buffer_size 128k;
  proxy_request_buffering off;
  proxy_buffers 16 16k;
  proxy_max_temp_file_size 0;
  client_body_temp_path ${folder}/nginx-client;
  proxy_temp_path ${folder}/nginx-proxy;
  fastcgi_temp_path ${folder}/nginx-fastcgi;
  uwsgi_temp_path ${folder}/nginx-uwsgi;
  scgi_temp_path ${folder}/nginx-scgi;`;
}
