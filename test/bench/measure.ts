// One sample: a load process against a proxy, and the proxy's CPU time while it was measured.
import { fork } from 'node:child_process';
import { join } from 'node:path';

import { cpuUsOf, residentMbOf } from './accounting.ts';
import type { LoadOptions, LoadResult } from './load/options.ts';
import type { RunningProxy } from './proxies/proxy.ts';
import type { Scenario } from './scenarios.ts';
import { serverAuthority, type World } from './world.ts';

export interface Sample {
  /** Of one request, one new connection, or 1 MB. */
  readonly cpuUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Requests, new connections or MB. */
  readonly perSecond: number;
  readonly residentMb: number;
  readonly failures: number;
  /** Of the first failure, warm-up included; '': none. */
  readonly reason: string;
}

export interface Span {
  readonly warmSeconds: number;
  readonly seconds: number;
}

/** How calls get into a proxy: straight, or by CONNECT to the server. */
export type Door = 'straight' | 'tunnel';

/** In the order they are tried. A forward proxy may take HTTP/2 either way. */
export function doorsOf({ kind, setup }: RunningProxy, { carries }: Scenario): Door[] {
  if (setup === 'inbound' || !kind.isForwardProxy || carries === 'http') return ['straight'];
  return carries === 'tcp' ? ['tunnel'] : ['straight', 'tunnel'];
}

/** Failed calls are in the sample; rejects when a process has ended. */
export async function measure(
  world: World,
  proxy: RunningProxy,
  scenario: Scenario,
  door: Door,
  span: Span,
): Promise<Sample> {
  const options = JSON.stringify(optionsOf(world, proxy, scenario, door, span));
  const load = fork(join(import.meta.dirname, 'load.ts'), [options], {
    // Hundreds of them start: each is spared the work of the first.
    env: { ...process.env, NODE_COMPILE_CACHE: join(world.folder, 'compile-cache') },
  });
  const cpu = { begin: 0, end: 0 };
  const result = await new Promise<LoadResult>((resolve, reject) => {
    load.on('message', (message: 'begin' | 'end' | LoadResult) => {
      if (typeof message !== 'string') return resolve(message);
      try {
        cpu[message] = cpuUsOf(proxy.pids());
      } catch (error) {
        load.kill('SIGKILL');
        reject(new Error(`${proxy.kind.name} has ended`, { cause: error }));
      }
      return undefined;
    });
    load.once('exit', () => reject(new Error('the load process ended without a result')));
  });
  load.kill('SIGKILL');
  const { failures, reason, p50Ms, p99Ms, seconds } = result;
  const count = scenario.speaks === 'tcp' ? result.count / 1e6 : result.count;
  return {
    cpuUs: (cpu.end - cpu.begin) / count,
    p50Ms,
    p99Ms,
    perSecond: count / seconds,
    residentMb: residentMbOf(proxy.pids()),
    failures,
    reason: count === 0 && reason === '' ? 'no answer' : reason,
  };
}

function optionsOf(
  world: World,
  { port, setup, kind }: RunningProxy,
  scenario: Scenario,
  door: Door,
  span: Span,
): LoadOptions {
  const { speaks, responseBytes } = scenario;
  const { ca, clientCert: cert, clientKey: key } = world.files;
  const path = `/api/v1/${speaks === 'grpc' ? 'Service/' : ''}${responseBytes}`;
  const isAbsolute = setup === 'pair' && kind.isForwardProxy && speaks === 'http1';
  return {
    port,
    speaks,
    connections: scenario.connections,
    streams: scenario.streams,
    perSecond: scenario.perSecond,
    method: scenario.method,
    requestBytes: scenario.requestBytes,
    responseBytes,
    resume: scenario.resume,
    ...span,
    target: isAbsolute ? `http://${serverAuthority}${path}` : path,
    tls: setup === 'pair' ? null : { ca, cert, key },
    tunnel: door === 'tunnel' ? serverAuthority : null,
  };
}
