// Thousands of connections that are garbled, reset or abandoned at any moment, against a real sidecar process.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { authorization, Rig, serviceOf, snapshotOf, spiffe } from '#test/sidecar/rig.ts';
import type { Issued } from '#test/tls/fixtures.ts';

import { SidecarProcess } from './sidecar-process.ts';

let rig: Rig;
let sidecar: SidecarProcess;
let client: Issued;
let application = 0;

beforeAll(async () => {
  rig = await Rig.create();
  application = await startApplication();
  client = await rig.issued(spiffe('shop', 'web'));
  const services = [
    serviceOf('api', [{ port: application }]),
    serviceOf('db', [{ port: application }], 'tcp'),
  ];
  const policies = authorization(
    'no-admin',
    'DENY',
    '[{ to: [{ operation: { paths: ["/admin*"] } }] }]',
  );
  const svid = await rig.svid(spiffe('shop', 'payments'));
  sidecar = await SidecarProcess.start(
    {
      snapshot: snapshotOf({ services, policies }),
      certPem: svid.chainPem,
      keyPem: svid.keyPem,
      trustBundlePem: svid.trustBundlePem,
    },
    application,
  );
}, 20_000);

afterAll(async () => {
  await sidecar.close();
  await rig.close();
});

/** Of its own process: its connections must not wait for those of the storm. */
async function startApplication(): Promise<number> {
  const child = fork(join(import.meta.dirname, 'storm-application.ts'));
  rig.onClose(() => child.kill('SIGKILL'));
  const [port] = (await once(child, 'message')) as [number];
  return port;
}

const paths = ['/', '/reset', '/half', '/babble', '/big', '/never', '/admin', '/%00'];

/** A repeatable stream of numbers below `limit` (Mulberry32). */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

type Pick = (limit: number) => number;

function requestFor(pick: Pick, outbound: boolean): string {
  const path = paths[pick(paths.length)] ?? '/';
  const host = outbound
    ? (['api', 'db', `127.0.0.1:${application}`, '127.0.0.1:1'][pick(4)] ?? '')
    : 'a';
  const target = outbound ? `http://${host}${path}` : path;
  const kinds = [
    `GET ${target} HTTP/1.1\r\nhost: ${host}\r\n\r\n`,
    `GET ${target} HTTP/1.1\r\nhost: ${host}\r\n\r\n`.repeat(5),
    `POST ${target} HTTP/1.1\r\nhost: ${host}\r\ncontent-length: 100000\r\n\r\n${'x'.repeat(pick(70_000))}`,
    `POST ${target} HTTP/1.1\r\nhost: ${host}\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n${pick(2) ? 'zz' : ''}`,
    `GET ${target} HTTP/1.1\r\nhost: ${host}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n`,
    `CONNECT ${host.includes(':') ? host : `${host}:80`} HTTP/1.1\r\nhost: ${host}\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n`,
    `GET ${target} HTTP/1.1\r\nhost: ${host}\r\n\r\n`.slice(0, pick(40)),
    String.fromCharCode(...Array.from({ length: pick(200) }, () => pick(256))),
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  ];
  return kinds[pick(kinds.length)] ?? '';
}

/** One connection that ends badly, after a moment of any length. */
async function wreck(pick: Pick): Promise<void> {
  const outbound = pick(3) === 0;
  const port = outbound ? sidecar.ready.outboundPort : (sidecar.ready.inboundPorts[0] ?? 0);
  const secured = !outbound && pick(4) === 0;
  const host = '127.0.0.1';
  const socket = secured
    ? connectTls({
        port,
        host,
        ALPNProtocols: ['istio-http/1.1'],
        rejectUnauthorized: false,
        ...(pick(4) > 0 && { key: client.keyPem, cert: client.certPem }),
      })
    : connect({ port, host });
  socket.on('error', () => undefined);
  if (pick(3) > 0) socket.resume();
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const text = requestFor(pick, outbound);
  if (pick(10) > 0) socket.write(text, 'latin1');
  await sleep(pick(4) === 0 ? 0 : pick(25));
  const end = pick(4);
  if (end === 0) socket.end();
  else if (end === 1) socket.destroy();
  else if (!secured) socket.resetAndDestroy();
  else socket.destroy();
  if (end === 0) {
    await sleep(10);
    socket.destroy();
  }
  await closed;
}

async function storm(seed: number, connections: number): Promise<void> {
  const pick = numbers(seed);
  let left = connections;
  const worker = async (): Promise<void> => {
    for (; left > 0; left -= 1) await wreck(pick);
  };
  await Promise.all(Array.from({ length: 60 }, worker));
}

async function openFiles(): Promise<number> {
  return (await readdir(`/proc/${sidecar.child.pid}/fd`)).length;
}

async function memoryMiB(): Promise<number> {
  const status = await readFile(`/proc/${sidecar.child.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

test('a storm of broken connections leaves the process, its memory and other clients as they were', async () => {
  const statuses = new Map<number, number>();
  const load = { running: true };
  const steady = (async () => {
    while (load.running) {
      const response = await fetch(`http://127.0.0.1:${sidecar.ready.inboundPorts[0]}/`);
      await response.text();
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      await sleep(5);
    }
  })();
  const filesBefore = await openFiles();
  await storm(1, 2500);
  const memoryBefore = await memoryMiB();
  await storm(2, 2500);
  load.running = false;
  await steady;
  const memoryAfter = await memoryMiB();
  expect(sidecar.child.exitCode).toBe(null);
  expect(sidecar.errors).toBe('');
  expect((await sidecar.admin('/ready')).status).toBe(200);
  expect([...statuses.keys()]).toEqual([200]);
  expect(statuses.get(200)).toBeGreaterThan(10);
  expect(memoryAfter - memoryBefore).toBeLessThan(40);
  let files = await openFiles();
  for (let i = 0; i < 60 && files > filesBefore + 4; i += 1) {
    await sleep(250);
    files = await openFiles();
  }
  expect(files).toBeLessThanOrEqual(filesBefore + 4);
}, 60_000);
