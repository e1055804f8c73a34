// Cold start: how long after its process begins a proxy has answered the first request.
import { setTimeout as sleep } from 'node:timers/promises';

import { freePort } from '#test/free-port.ts';

import type { ApplicationPorts } from './application.ts';
import { openSocket } from './load/connection.ts';
import { readAnswers, requestOf } from './load/http1.ts';
import type { LoadOptions } from './load/options.ts';
import { endAll, type ProxyKind } from './proxies/proxy.ts';
import type { World } from './world.ts';

export interface Startup {
  readonly proxy: string;
  readonly ms: readonly number[];
}

const retryMs = 2;
const timeoutMs = 20_000;

export async function measureStartups(
  kinds: readonly ProxyKind[],
  world: World,
  application: ApplicationPorts,
  rounds: number,
): Promise<Startup[]> {
  const startups = kinds.map((kind) => ({ proxy: kind.name, kind, ms: [] as number[] }));
  for (let round = 0; round < rounds; round += 1) {
    const from = round % startups.length;
    for (const { kind, ms } of [...startups.slice(from), ...startups.slice(0, from)]) {
      ms.push(await startOnce(kind, world, application));
    }
  }
  return startups;
}

async function startOnce(
  kind: ProxyKind,
  world: World,
  application: ApplicationPorts,
): Promise<number> {
  const port = await freePort();
  const { ca, clientCert: cert, clientKey: key } = world.files;
  const options: LoadOptions = {
    port,
    speaks: 'http1',
    connections: 1,
    streams: 1,
    perSecond: null,
    warmSeconds: 0,
    seconds: 0,
    method: 'GET',
    requestBytes: 0,
    responseBytes: 1024,
    target: '/api/v1/1024',
    tls: { ca, cert, key },
    tunnel: null,
    resume: false,
  };
  const startedAtMs = performance.now();
  const role = { port, next: application.http, carries: 'http', workers: 1 } as const;
  const child = kind.inbound(world, role);
  try {
    while (!(await isAnswered(options))) {
      if (performance.now() - startedAtMs > timeoutMs) throw new Error(`${kind.name} is silent`);
      await sleep(retryMs);
    }
    return performance.now() - startedAtMs;
  } finally {
    await endAll([child]);
  }
}

async function isAnswered(options: LoadOptions): Promise<boolean> {
  const socket = openSocket(options, null);
  let ok = false;
  socket.on('error', () => undefined);
  socket.once('secureConnect', () => socket.write(requestOf(options)));
  readAnswers(socket, (statusLine) => {
    ok = statusLine.startsWith('HTTP/1.1 200');
    socket.destroy();
  });
  await new Promise((resolve) => socket.once('close', resolve));
  return ok;
}
