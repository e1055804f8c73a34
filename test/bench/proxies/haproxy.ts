// HAProxy under test: mutual TLS, ten rules as ACLs, a log line for each request or connection.
import { rules, type World } from '../world.ts';
import { missingProgram, type ProxyKind, type Role, start } from './proxy.ts';

export const haproxy: ProxyKind = {
  name: 'haproxy',
  isForwardProxy: false,
  missing: () => missingProgram('haproxy', '-v', 'apt-get install haproxy'),
  can: () => true,
  inbound: (world, role) => {
    const { files } = world;
    const alpn = role.carries === 'tcp' ? 'istio' : 'h2,istio-http/1.1,istio,http/1.1';
    return run(
      world,
      role,
      `bind 127.0.0.1:${role.port} ssl crt ${files.serverBundle} ca-file ${files.ca} verify required alpn ${alpn}`,
      role.carries === 'tcp'
        ? ['tcp-request content reject unless { ssl_c_used }']
        : requestRules(),
      `server s 127.0.0.1:${role.next}${role.carries === 'grpc' ? ' proto h2' : ''}`,
    );
  },
  outbound: (world, role) => {
    const { files } = world;
    const alpn = { http: ' alpn http/1.1', grpc: ' alpn h2', tcp: '' }[role.carries];
    return run(
      world,
      role,
      `bind 127.0.0.1:${role.port}${role.carries === 'grpc' ? ' proto h2' : ''}`,
      [],
      `server s 127.0.0.1:${role.next} ssl crt ${files.clientBundle} ca-file ${files.ca} verify none${alpn}`,
    );
  },
};

/** HAProxy reads no URI names of a certificate: it asks for one of our CA, and judges path and method. */
function requestRules(): string[] {
  const acls = rules.map(
    ({ methods, path }, i) =>
      `acl rule${i} path_beg ${path}\n  acl verb${i} method ${methods.join(' ')}`,
  );
  const allow = rules.map((_, i) => `http-request allow if rule${i} verb${i} { ssl_c_used }`);
  return [...acls, ...allow, 'http-request deny'];
}

function run(world: World, role: Role, bind: string, lines: readonly string[], server: string) {
  const mode = role.carries === 'tcp' ? 'tcp' : 'http';
  const config = `
global
  nbthread ${role.workers}
  maxconn 8192
  log stdout format raw local0
defaults
  mode ${mode}
  log global
  option ${mode}log
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  ${mode === 'http' ? 'http-reuse always' : ''}
frontend f
  ${bind}
  ${lines.join('\n  ')}
  default_backend b
backend b
  ${server}
`;
  return start('haproxy', ['-f', world.write(`haproxy-${role.port}.cfg`, config), '-db', '-q']);
}
