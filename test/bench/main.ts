// `npm run bench`: what a request costs, beside Envoy and HAProxy in the same run.
//
//   npm run bench -- [inbound] [pair] [--quick] [--rounds N] [--seconds N] [--connections N] [--sources]
//   npm run bench -- decide | control | ca      the other benchmarks, each by itself
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { cpuUsOf, median, residentMbOf } from './accounting.ts';
import type { LoadOptions, LoadResult } from './load.ts';
import { envoy } from './proxies/envoy.ts';
import { haproxy } from './proxies/haproxy.ts';
import { type ProxyKind, type RunningProxy, startInbound, startPair } from './proxies/proxy.ts';
import { selvage } from './proxies/selvage.ts';
import { makeWorld, type World } from './world.ts';

interface Scenario {
  readonly name: string;
  readonly method: 'GET' | 'POST';
  readonly requestBytes: number;
  readonly responseBytes: number;
}

interface Sample {
  readonly cpuUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly perSecond: number;
}

const scenarios: readonly Scenario[] = [
  { name: 'GET 1 KB', method: 'GET', requestBytes: 0, responseBytes: 1024 },
  { name: 'POST 1 KB', method: 'POST', requestBytes: 1024, responseBytes: 1024 },
  { name: 'GET 64 KB', method: 'GET', requestBytes: 0, responseBytes: 65_536 },
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    connections: { type: 'string', default: '64' },
    sources: { type: 'boolean', default: false },
  },
});

const others = ['decide', 'control', 'ca'].filter((name) => positionals.includes(name));
if (others.length > 0) {
  for (const name of others) await import(`./${name}.ts`);
} else {
  await compare();
}

async function compare(): Promise<void> {
  const ours = selvage(!values.sources);
  const kinds = [ours, envoy, haproxy].filter((kind) => {
    const why = kind.missing();
    if (why !== null) console.log(`left out: ${kind.name}: ${why}`);
    return why === null;
  });
  const setups = ['inbound', 'pair'].filter(
    (name) => positionals.length === 0 || positionals.includes(name),
  );
  const world = await makeWorld();
  const application = fork(join(import.meta.dirname, 'application.ts'));
  try {
    const [port] = (await once(application, 'message')) as [number];
    for (const setup of setups) await compareSetup(setup, kinds, world, port);
  } finally {
    application.kill();
    world.remove();
  }
}

async function compareSetup(
  setup: string,
  kinds: readonly ProxyKind[],
  world: World,
  application: number,
): Promise<void> {
  const rounds = Number(values.rounds ?? (values.quick ? 3 : 5));
  const proxies: { kind: ProxyKind; proxy: RunningProxy; idleMb: number }[] = [];
  try {
    for (const kind of kinds) {
      const begin = setup === 'pair' ? startPair : startInbound;
      const proxy = await begin(kind, world, application);
      proxies.push({ kind, proxy, idleMb: 0 });
    }
    await new Promise((resolve) => setTimeout(resolve, 1500));
    for (const one of proxies) one.idleMb = residentMbOf(one.proxy.pids);
    const samples = new Map<string, Sample[]>();
    const loadedMb = new Map<string, number>();
    for (let round = 0; round < rounds; round += 1) {
      for (const scenario of scenarios) {
        // Each round begins with another proxy, so that none always runs on a warm or a throttled machine.
        const order = [
          ...proxies.slice(round % proxies.length),
          ...proxies.slice(0, round % proxies.length),
        ];
        for (const { kind, proxy } of order) {
          const key = `${scenario.name}|${proxy.name}`;
          const sample = await measure(world, setup, kind, proxy, scenario);
          samples.set(key, [...(samples.get(key) ?? []), sample]);
          loadedMb.set(
            proxy.name,
            Math.max(loadedMb.get(proxy.name) ?? 0, residentMbOf(proxy.pids)),
          );
        }
      }
    }
    report(setup, rounds, proxies, samples, loadedMb);
  } finally {
    for (const { proxy } of proxies) await proxy.stop();
  }
}

async function measure(
  world: World,
  setup: string,
  kind: ProxyKind,
  proxy: RunningProxy,
  scenario: Scenario,
): Promise<Sample> {
  const path = `/api/v1/${scenario.responseBytes}`;
  const { ca, clientCert: cert, clientKey: key } = world.files;
  const options: LoadOptions = {
    port: proxy.port,
    connections: Number(values.connections),
    seconds: Number(values.seconds ?? (values.quick ? 1.5 : 3)),
    warmSeconds: 2,
    method: scenario.method,
    bodyBytes: scenario.requestBytes,
    target: setup === 'pair' && kind.absoluteForm ? `http://server.bench:8080${path}` : path,
    tls: setup === 'pair' ? null : { ca, cert, key },
  };
  const load = fork(join(import.meta.dirname, 'load.ts'), [JSON.stringify(options)]);
  const cpu = { begin: 0, end: 0 };
  const result = await new Promise<LoadResult>((resolve, reject) => {
    load.on('message', (message: 'begin' | 'end' | LoadResult) => {
      if (message === 'begin') cpu.begin = cpuUsOf(proxy.pids);
      else if (message === 'end') cpu.end = cpuUsOf(proxy.pids);
      else resolve(message);
    });
    load.once('exit', () => reject(new Error('the load generator ended without a result')));
  });
  if (result.failures > 0 || result.requests === 0) {
    throw new Error(
      `${proxy.name}, ${scenario.name}: ${result.failures} failures, ${result.requests} answers`,
    );
  }
  const { requests, p50Ms, p99Ms, seconds } = result;
  return { cpuUs: (cpu.end - cpu.begin) / requests, p50Ms, p99Ms, perSecond: requests / seconds };
}

function report(
  setup: string,
  rounds: number,
  proxies: readonly { proxy: RunningProxy; idleMb: number }[],
  samples: ReadonlyMap<string, readonly Sample[]>,
  loadedMb: ReadonlyMap<string, number>,
): void {
  const what = setup === 'pair' ? 'two proxies in a row' : 'inbound';
  console.log(
    `\n${what}: HTTP/1.1, mutual TLS, 10 rules, metrics, access log; ${values.connections} connections, medians of ${rounds} rounds (range)\n`,
  );
  console.log('| request | proxy | CPU µs/request | x envoy | p50 ms | p99 ms | requests/s |');
  console.log('|---|---|---|---|---|---|---|');
  for (const { name } of scenarios) {
    const base = median((samples.get(`${name}|envoy`) ?? []).map((s) => s.cpuUs));
    for (const { proxy } of proxies) {
      const all = samples.get(`${name}|${proxy.name}`) ?? [];
      const cpu = all.map((s) => s.cpuUs);
      const range = `${Math.min(...cpu).toFixed(0)} to ${Math.max(...cpu).toFixed(0)}`;
      const of = (pick: (s: Sample) => number, digits: number) =>
        median(all.map(pick)).toFixed(digits);
      const ratio = Number.isNaN(base) ? '' : (median(cpu) / base).toFixed(2);
      console.log(
        `| ${name} | ${proxy.name} | ${median(cpu).toFixed(0)} (${range}) | ${ratio} | ${of((s) => s.p50Ms, 1)} | ${of((s) => s.p99Ms, 1)} | ${of((s) => s.perSecond, 0)} |`,
      );
    }
  }
  console.log(
    '\n| proxy | start to accept ms | resident MB idle | resident MB loaded |\n|---|---|---|---|',
  );
  for (const { proxy, idleMb } of proxies) {
    const loaded = loadedMb.get(proxy.name) ?? 0;
    console.log(
      `| ${proxy.name} | ${proxy.startupMs.toFixed(0)} | ${idleMb.toFixed(0)} | ${loaded.toFixed(0)} |`,
    );
  }
}
