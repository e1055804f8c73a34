// Bytes of programs that speak no HTTP, through two real sidecars: what is logged, counted and held.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import type { TelemetrySettings } from '#api/telemetry.ts';
import {
  authorization,
  Rig,
  serviceOf,
  snapshotOf,
  spiffe,
  strict,
  type SidecarOptions,
} from '#test/sidecar/rig.ts';
import {
  bytesServer,
  dial,
  mysql,
  nextBytes,
  readWhole,
  serveMysql,
} from '#test/sidecar/servers.ts';

import { SidecarProcess } from './sidecar-process.ts';

let rig: Rig;
let folder = '';
beforeEach(async () => {
  rig = await Rig.create();
  folder = await mkdtemp(join(tmpdir(), 'selvage-bytes-'));
});
afterEach(async () => {
  await rig.close();
  await rm(folder, { recursive: true, force: true });
});

async function start(
  options: SidecarOptions & { readonly telemetry?: TelemetrySettings },
  application: number,
  env: Record<string, string> = {},
): Promise<SidecarProcess> {
  const { telemetry } = options;
  const snapshot = { ...snapshotOf(options), ...(telemetry !== undefined && { telemetry }) };
  const { namespace, serviceAccount } = snapshot.workload;
  const { certPem, keyPem } = await rig.issued(spiffe(namespace, serviceAccount));
  const files = { snapshot, certPem, keyPem, trustBundlePem: rig.ca.certPem };
  const log = join(folder, `${serviceAccount}.jsonl`);
  const logged = { SELVAGE_ACCESS_LOG: log, SELVAGE_ACCESS_LOG_FORMAT: 'json' };
  const sidecar = await SidecarProcess.start(files, application, { ...logged, ...env });
  rig.onClose(() => sidecar.close());
  return sidecar;
}

async function pair(
  application: number,
  policies: string,
  more: { readonly telemetry?: TelemetrySettings } = {},
): Promise<{ client: SidecarProcess; server: SidecarProcess; port: number }> {
  const server = await start({ protocol: 'tcp', policies, ...more }, application);
  const endpoint = {
    port: server.ready.inboundPorts[0] ?? 0,
    identity: spiffe('shop', 'payments'),
  };
  const services = [serviceOf('mysql', [endpoint], 'tcp')];
  const ports = { SELVAGE_OUTBOUND_PORTS: '127.0.0.1:0=mysql.shop:80' };
  const client = await start({ account: 'web', services, ...more }, application, ports);
  return { client, server, port: client.ready.mappedPorts[0] ?? 0 };
}

function rssMb({ child }: SidecarProcess): number {
  return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(child.pid)])) / 1024;
}

/** The one line of a log, once it is written. */
async function lineOf(account: string): Promise<unknown> {
  const file = join(folder, `${account}.jsonl`);
  for (let i = 0; i < 200; i += 1) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (text.endsWith('\n')) return JSON.parse(text) as unknown;
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error(`no line in ${file}`);
}

test('a dialogue with MySQL is one line and one connection in both sidecars', async () => {
  const { client, server, port } = await pair(await bytesServer(rig, serveMysql), strict);
  const socket = await dial(port);
  expect(await nextBytes(socket)).toEqual(mysql.greeting);
  socket.write(mysql.login);
  expect(await nextBytes(socket)).toEqual(mysql.ok);
  socket.end();
  expect((await readWhole(socket)).how).toBe('end');
  const bytes = {
    bytes_received: mysql.login.length,
    bytes_sent: mysql.greeting.length + mysql.ok.length,
    response_code: 0,
    response_flags: '-',
    connection_termination_details: null,
  };
  const upstream = `127.0.0.1:${server.ready.inboundPorts[0]}`;
  expect(await lineOf('web')).toMatchObject({
    ...bytes,
    upstream_cluster: 'outbound|80||mysql.shop.svc.cluster.local',
    upstream_host: upstream,
  });
  expect(await lineOf('payments')).toMatchObject({
    ...bytes,
    upstream_cluster: 'inbound|8080||',
    requested_server_name: 'outbound_.80_._.mysql.shop.svc.cluster.local',
    source_principal: spiffe('shop', 'web'),
  });
  for (const sidecar of [client, server]) {
    const { body } = await sidecar.admin('/stats/prometheus');
    for (const name of ['opened', 'closed']) {
      expect(body).toMatch(new RegExp(`^istio_tcp_connections_${name}_total\\{.* 1$`, 'm'));
    }
    expect(body).toMatch(
      new RegExp(`^istio_tcp_received_bytes_total\\{.* ${mysql.login.length}$`, 'm'),
    );
  }
  const rows = JSON.parse((await client.admin('/listeners')).body) as unknown[];
  expect(rows.at(-1)).toEqual({
    direction: 'outbound',
    address: `127.0.0.1:${port}`,
    destination: 'mysql.shop:80',
    protocol: 'tcp',
  });
});

test('labels of TCP metrics that Telemetry sets tell of the connection, in both sidecars', async () => {
  const tags = {
    from: 'source.address',
    peer: 'connection.uri_san_peer_certificate',
    subject: 'connection.subject_peer_certificate',
    own: 'connection.uri_san_local_certificate',
    mtls: 'connection.mtls',
    to: 'upstream.address',
    callee: 'upstream.uri_san_peer_certificate',
    method: 'request.method',
  };
  const said = { metrics: [{ metric: 'ALL_METRICS', tags }] };
  const more = { telemetry: { inbound: said, outbound: said } };
  const application = await bytesServer(rig, serveMysql);
  const { client, server, port } = await pair(application, strict, more);
  const socket = await dial(port);
  await nextBytes(socket);
  const { localPort } = socket;
  const opened = /^istio_tcp_connections_opened_total\{(.*)\} 1$/m;
  const labelsOf = async (sidecar: SidecarProcess): Promise<Record<string, string>> => {
    const [, text = ''] = opened.exec((await sidecar.admin('/stats/prometheus')).body) ?? [];
    const found = [...text.matchAll(/(\w+)="([^"]*)"/g)];
    return Object.fromEntries(found.map(([, name = '', value = '']) => [name, value]));
  };
  expect(await labelsOf(client)).toMatchObject({
    from: `127.0.0.1:${localPort}`,
    peer: 'unknown',
    mtls: 'false',
    to: `127.0.0.1:${server.ready.inboundPorts[0]}`,
    callee: spiffe('shop', 'payments'),
    method: 'unknown',
  });
  expect(await labelsOf(server)).toMatchObject({
    from: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    peer: spiffe('shop', 'web'),
    own: spiffe('shop', 'payments'),
    mtls: 'true',
    to: `127.0.0.1:${application}`,
    callee: 'unknown',
    method: 'unknown',
  });
  socket.end();
});

test('a connection that was denied says by which line of which file', async () => {
  const rules = '[{ from: [{ source: { principals: ["cluster.local/ns/shop/sa/web"] } }] }]';
  const policies = strict + authorization('no-web', 'DENY', rules);
  const { port } = await pair(await bytesServer(rig, serveMysql), policies);
  const socket = await dial(port);
  expect((await readWhole(socket)).text).toBe('');
  expect(await lineOf('payments')).toMatchObject({
    connection_termination_details:
      'rbac_access_denied_matched_policy[ns[shop]-policy[no-web]-rule[0]]',
    why: expect.stringMatching(/^denied by shop\/no-web rule 0 \(test\.yaml:\d+\)$/),
    policy: 'shop/no-web',
    at: expect.stringMatching(/^test\.yaml:\d+$/),
  });
});

test('a transfer of 1 GB is held by a slow reader, and memory stays flat', async () => {
  const total = 1024 * 1024 * 1024;
  const chunk = Buffer.alloc(256 * 1024, 'x');
  const application = await bytesServer(rig, (socket) => {
    let sent = 0;
    const send = (): void => {
      while (sent < total) {
        sent += chunk.length;
        if (!socket.write(chunk)) return;
      }
      socket.end();
    };
    socket.on('drain', send);
    send();
  });
  const { client, server, port } = await pair(application, strict);
  const before = [rssMb(client), rssMb(server)];
  const socket = await dial(port);
  let got = 0;
  let most = 0;
  let sampleAt = 0;
  socket.on('data', (bytes: Buffer) => {
    got += bytes.length;
    if (got < sampleAt || got === total) return;
    sampleAt += total / 8;
    socket.pause();
    setTimeout(() => {
      const grown = [rssMb(client), rssMb(server)].map((now, i) => now - (before[i] ?? 0));
      most = Math.max(most, ...grown);
      socket.resume();
    }, 100);
  });
  await once(socket, 'end');
  expect(got).toBe(total);
  // Buffers wait for the collector, but the bytes are not held: they would be four times as many.
  expect(most).toBeLessThan(256);
  socket.end();
});
