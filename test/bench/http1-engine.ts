// CPU per request of the HTTP/1.1 engine alone, beside a bare byte pump, on loopback: plain sockets or TLS in.
//
//   node test/bench/http1-engine.ts [--tls] [--seconds=4] [--connections=64] [--rounds=3]
//
// Three processes: this one makes load and answers it, one child each is engine and pump. Runs of
// both are interleaved; what is printed is the child's own process.cpuUsage per request.
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { parseArgs } from 'node:util';
import tls from 'node:tls';

import { http1Limits, http1PoolLimits } from '#sidecar/wire/http1/limits.ts';
import { Http1Pool } from '#sidecar/wire/http1/pool.ts';
import { Http1Server } from '#sidecar/wire/http1/server.ts';

import { downstreamOf } from '../sidecar/wire/http1/rig.ts';

interface Scenario {
  name: string;
  request: Buffer;
  response: Buffer;
}

interface Usage {
  cpuUs: number;
  rssMb: number;
}

const { values: options } = parseArgs({
  options: {
    tls: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '4' },
    connections: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '3' },
    role: { type: 'string', default: '' },
    upstream: { type: 'string', default: '0' },
  },
});

if (options.role === '') await drive();
else serve(options.role);

async function drive(): Promise<void> {
  const scenarios = [
    scenario('GET 1 KB', 0, 1_024),
    scenario('POST 1 KB', 1_024, 1_024),
    scenario('GET 64 KB', 0, 65_536),
  ];
  const rows: string[] = [];
  for (const one of scenarios) {
    const upstream = net.createServer({ noDelay: true }, (socket) => answer(socket, one));
    const port = await listen(upstream);
    const children = { engine: await child('engine', port), pump: await child('pump', port) };
    const results: Record<string, number[]> = { engine: [], pump: [] };
    const rss: Record<string, number> = {};
    for (let round = 0; round < Number(options.rounds); round++) {
      for (const [role, { process, port }] of Object.entries(children)) {
        await load(port, one, 0.5);
        const before = await usage(process);
        const requests = await load(port, one, Number(options.seconds));
        const after = await usage(process);
        results[role]!.push((after.cpuUs - before.cpuUs) / requests);
        rss[role] = after.rssMb;
      }
    }
    for (const { process } of Object.values(children)) process.kill();
    upstream.close();
    const text = Object.entries(results).map(
      ([role, all]) => `${role} ${median(all).toFixed(1)} µs (${rss[role]!.toFixed(0)} MB)`,
    );
    rows.push(`${one.name.padEnd(10)} ${text.join('   ')}`);
    console.log(rows.at(-1));
  }
  process.exit(0);
}

function scenario(name: string, requestBytes: number, responseBytes: number): Scenario {
  const method = requestBytes > 0 ? 'POST' : 'GET';
  const length = requestBytes > 0 ? `content-length: ${requestBytes}\r\n` : '';
  const head =
    `${method} /api/v1/charges?id=17 HTTP/1.1\r\nhost: billing.prod.svc.cluster.local:8080\r\n` +
    'user-agent: bench/1.0\r\naccept: application/json\r\naccept-encoding: gzip, br\r\n' +
    'x-request-id: 5c2c3d2a-7d0c-4c6e-9d0e-0d8f2f5c1a11\r\n' +
    `traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n${length}\r\n`;
  const answer =
    'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\n' +
    `connection: keep-alive\r\nkeep-alive: timeout=5\r\ncontent-length: ${responseBytes}\r\n\r\n`;
  return {
    name,
    request: Buffer.concat([Buffer.from(head), Buffer.alloc(requestBytes, 'q')]),
    response: Buffer.concat([Buffer.from(answer), Buffer.alloc(responseBytes, 'r')]),
  };
}

/** Answers by counting bytes: an edited head differs in length, so by its end. */
function answer(socket: Socket, { request, response }: Scenario): void {
  const bodyBytes = request.length - (request.indexOf('\r\n\r\n') + 4);
  let left = -1;
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length;) {
      if (left < 0) {
        const end = chunk.indexOf('\r\n\r\n', at);
        if (end < 0) throw new Error('a head in pieces');
        at = end + 4;
        left = bodyBytes;
      }
      const run = Math.min(left, chunk.length - at);
      left -= run;
      at += run;
      if (left > 0) continue;
      left = -1;
      socket.write(response);
    }
  });
}

/** @returns requests answered */
async function load(port: number, one: Scenario, seconds: number): Promise<number> {
  let answered = 0;
  let running = true;
  const sockets: Socket[] = [];
  const done: Promise<unknown>[] = [];
  for (let i = 0; i < Number(options.connections); i++) {
    const socket: Socket = options.tls
      ? tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
      : net.connect({ port, host: '127.0.0.1', noDelay: true });
    sockets.push(socket);
    done.push(once(socket, 'close'));
    socket.on('error', () => {});
    let left = one.response.length;
    let whole = 0;
    socket.on('data', (chunk: Buffer) => {
      // What the engine cuts from the head is not known here; the first answer tells.
      if (whole === 0) {
        const end = chunk.indexOf('\r\n\r\n') + 4;
        const body = one.response.length - (one.response.indexOf('\r\n\r\n') + 4);
        left = whole = end + body;
      }
      left -= chunk.length;
      if (left > 0) return;
      left = whole;
      answered++;
      if (running) socket.write(one.request);
    });
    socket.write(one.request);
  }
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  running = false;
  const total = answered;
  for (const socket of sockets) socket.destroy();
  await Promise.all(done);
  return total;
}

async function child(
  role: string,
  upstream: number,
): Promise<{ process: ChildProcess; port: number }> {
  const argv = [`--role=${role}`, `--upstream=${upstream}`, ...(options.tls ? ['--tls'] : [])];
  const process = fork(import.meta.filename, argv);
  const [port] = (await once(process, 'message')) as [number];
  return { process, port };
}

async function usage(process: ChildProcess): Promise<Usage> {
  process.send('usage');
  const [answer] = (await once(process, 'message')) as [Usage];
  return answer;
}

function median(all: readonly number[]): number {
  return all.toSorted((a, b) => a - b)[all.length >> 1]!;
}

async function listen(server: net.Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** In the child. */
function serve(role: string): void {
  const upstreamPort = Number(options.upstream);
  const accept = role === 'engine' ? engine(upstreamPort) : pump(upstreamPort);
  void listening(accept).then((port) => process.send!(port));
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    process.send!({ cpuUs: user + system, rssMb: process.memoryUsage.rss() / 1e6 });
  });
}

async function listening(accept: (socket: Socket) => void): Promise<number> {
  if (!options.tls) return listen(net.createServer({ noDelay: true }, accept));
  const { issue, makeTestCa } = await import('#test/tls/fixtures.ts');
  const { certPem: cert, keyPem: key } = await issue(await makeTestCa(), { dns: ['a'] });
  return listen(tls.createServer({ cert, key, noDelay: true }, accept));
}

function engine(upstreamPort: number): (socket: Socket) => void {
  const pool = new Http1Pool({
    address: `127.0.0.1:${upstreamPort}`,
    connect: (onread) =>
      net.connect({ host: '127.0.0.1', port: upstreamPort, noDelay: true, onread }),
    limits: http1PoolLimits,
  });
  const server = new Http1Server({
    limits: http1Limits,
    path: {
      start(x) {
        x.request.append('x-forwarded-proto', 'https');
        x.request.append('x-forwarded-client-cert', 'By=spiffe://cluster.local/ns/prod/sa/billing');
        x.stream.forward(pool);
      },
      respond: () => {},
      finish: () => {},
    },
  });
  return (socket) => void server.accept(socket, downstreamOf(socket), null);
}

function pump(upstreamPort: number): (socket: Socket) => void {
  return (socket) => {
    const upstream = net.connect({ host: '127.0.0.1', port: upstreamPort, noDelay: true });
    pass(socket, upstream);
    pass(upstream, socket);
  };
}

function pass(one: Socket, to: Socket): void {
  one.on('data', (chunk: Buffer) => {
    if (!to.write(chunk)) one.pause();
  });
  to.on('drain', () => one.resume());
  one.on('error', () => {});
  one.on('close', () => to.destroy());
}
