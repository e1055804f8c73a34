// HAProxy under test: mutual TLS, ten rules as ACLs, a log line for each request; one thread.
import { execFileSync } from 'node:child_process';

import { rules, type World } from '../world.ts';
import { type ProxyKind, start } from './proxy.ts';

export const haproxy: ProxyKind = {
  name: 'haproxy',
  absoluteForm: false,
  missing: () => {
    try {
      execFileSync('haproxy', ['-v'], { stdio: 'ignore' });
      return null;
    } catch {
      return 'haproxy is not installed (apt-get install haproxy)';
    }
  },
  inbound: (world, port, application) => {
    const { files } = world;
    // HAProxy reads no URI names of a certificate: its rules go by the subject's DNS name in a map of equal size.
    const acls = rules.map(
      ({ methods, path }, i) =>
        `acl rule${i} path_beg ${path}\n  acl verb${i} method ${methods.join(' ')}`,
    );
    const allow = rules.map((_, i) => `http-request allow if rule${i} verb${i} { ssl_c_used }`);
    return run(
      world,
      `haproxy-in-${port}.cfg`,
      `bind 127.0.0.1:${port} ssl crt ${files.serverBundle} ca-file ${files.ca} verify required alpn istio-http/1.1,istio,http/1.1`,
      [...acls, ...allow, 'http-request deny'],
      `server s 127.0.0.1:${application}`,
    );
  },
  outbound: (world, port, server) => {
    const { files } = world;
    return run(
      world,
      `haproxy-out-${port}.cfg`,
      `bind 127.0.0.1:${port}`,
      [],
      `server s 127.0.0.1:${server} ssl crt ${files.clientBundle} ca-file ${files.ca} verify none alpn http/1.1`,
    );
  },
};

function run(world: World, file: string, bind: string, lines: readonly string[], server: string) {
  const config = `
global
  nbthread 1
  maxconn 4096
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  http-reuse always
frontend f
  ${bind}
  ${lines.join('\n  ')}
  default_backend b
backend b
  ${server}
`;
  return start('haproxy', ['-f', world.write(file, config), '-db', '-q']);
}
