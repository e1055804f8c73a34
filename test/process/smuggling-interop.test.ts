// The smuggling corpus again, with a real Envoy, HAProxy and nginx behind our sidecar instead of another of ours.
import { execFileSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { start, untilAccepting } from '#test/bench/proxies/proxy.ts';
import { Rig, serviceOf } from '#test/sidecar/rig.ts';
import { attacks } from '#test/sidecar/wire/http2/smuggling-corpus.ts';
import { faultsOf, http1Application, launch } from '#test/sidecar/wire/http2/smuggling-rig.ts';
import type { Setup } from '#test/sidecar/wire/http2/smuggling-rig.ts';
import { freePort } from '#test/free-port.ts';

import { startEnvoy } from './envoy.ts';

interface Backend {
  readonly name: string;
  /** Prints its version, to see whether it is there. */
  readonly probe: readonly string[];
  /** @returns ports that take HTTP/1.1 and HTTP/2 in the clear */
  start(rig: Rig, application: number): Promise<readonly [number, number]>;
}

const backends: readonly Backend[] = [
  {
    name: 'envoy',
    probe: ['envoy', '--version'],
    start: async (rig, to) => {
      const [port = 0] = await startEnvoy(rig, 'payments', [{ to, speaks: 'http1' }]);
      return [port, port];
    },
  },
  {
    name: 'haproxy',
    probe: ['haproxy', '-v'],
    start: (rig, to) =>
      run(rig, (http1, http2, folder) => {
        const config = `
global
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  http-reuse always
frontend f
  bind 127.0.0.1:${http1}
  bind 127.0.0.1:${http2} proto h2
  default_backend b
backend b
  server s 127.0.0.1:${to}
`;
        writeFileSync(join(folder, 'haproxy.cfg'), config);
        return start('haproxy', ['-f', join(folder, 'haproxy.cfg'), '-db', '-q']);
      }),
  },
  {
    name: 'nginx',
    probe: ['nginx', '-v'],
    start: (rig, to) =>
      run(rig, (http1, http2, folder) => {
        const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
          .map((name) => `${name}_temp_path ${join(folder, name)};`)
          .join('\n  ');
        const config = `
daemon off;
master_process off;
pid ${join(folder, 'pid')};
error_log ${join(folder, 'error.log')};
events {}
http {
  access_log off;
  ${temporary}
  upstream application { server 127.0.0.1:${to}; keepalive 8; }
  server {
    listen 127.0.0.1:${http1};
    listen 127.0.0.1:${http2} http2;
    location / {
      proxy_pass http://application;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
    }
  }
}
`;
        writeFileSync(join(folder, 'nginx.conf'), config);
        const log = join(folder, 'error.log');
        return start('nginx', ['-p', folder, '-e', log, '-c', join(folder, 'nginx.conf')]);
      }),
  },
];

async function run(
  rig: Rig,
  begin: (http1: number, http2: number, folder: string) => ChildProcess,
): Promise<readonly [number, number]> {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-behind-'));
  const ports = [await freePort(), await freePort()] as const;
  const child = begin(...ports, folder);
  rig.onClose(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(folder, { recursive: true, force: true });
  });
  for (const port of ports) await untilAccepting([child], port);
  return ports;
}

function isInstalled({ name, probe: [command = '', ...args] }: Backend): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' });
    return true;
  } catch {
    process.stderr.write(`SKIPPED: no ${name} is installed\n`);
    return false;
  }
}

describe.each(backends.map((backend) => ({ ...backend, installed: isInstalled(backend) })))(
  'in front of $name',
  (backend) => {
    const { name, installed } = backend;
    let rig: Rig;
    const setups: Setup[] = [];

    beforeAll(async () => {
      if (!installed) return;
      rig = await Rig.create();
      const application = await http1Application(rig);
      const [http1, http2] = await backend.start(rig, application.port);
      const ways = [
        ['http', http1],
        ['http2', http2],
      ] as const;
      for (const [protocol, port] of ways) {
        const services = [serviceOf('payments', [{ port }], protocol)];
        const { outboundPort } = await rig.sidecar({ account: 'web', services });
        setups.push({ name: `${name} by ${protocol}`, port: outboundPort, application });
      }
    });
    afterAll(() => rig?.close());

    test.runIf(installed).each(attacks)('$name', async (attack) => {
      // A stranger may refuse what we let pass; what we refuse it never hears of.
      const verdict = attack.verdict === 'passes' ? 'either' : attack.verdict;
      const slow = /^H2|trailer|second/.test(attack.name);
      for (const setup of setups) {
        for (const slowly of slow ? [false, true] : [false]) {
          const aftermath = await launch(attack, setup, slowly);
          expect(faultsOf({ ...attack, verdict }, setup, aftermath)).toEqual([]);
        }
      }
    });
  },
);
