// `npm run bench`: what a request costs, beside Envoy, HAProxy and nginx in the same run.
//
//   npm run bench                       all of it, about 25 minutes; writes RESULTS.md and results.svg beside this file
//   npm run bench -- --quick            the main scenarios, under 3 minutes
//   npm run bench -- pair http2 ...     groups by name: see scenarios.ts, and `startup`
//     [--rounds N] [--seconds N] [--only text] [--sources] [--write]
//     [--otlp URL]      beside it, itself with one call in a hundred traced to that collector
//     [--dist FOLDER]   beside it, another build of it
//   npm run bench -- soak [--minutes N] [--proxy envoy]    memory over time, under churn
//   npm run bench -- decide | control | ca                 the other benchmarks, each by itself
//   npm run bench -- kubernetes         a sidecar's start and memory, in the cluster that KUBECONFIG names
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import type { ApplicationPorts } from './application.ts';
import { compare, type Memory, type Outcome, type Plan } from './compare.ts';
import { describeMachine } from './machine.ts';
import { plotRatios } from './plot.ts';
import { envoy } from './proxies/envoy.ts';
import { haproxy } from './proxies/haproxy.ts';
import { nginx } from './proxies/nginx.ts';
import type { ProxyKind } from './proxies/proxy.ts';
import { selvage } from './proxies/selvage.ts';
import { groupTable, memoryTable, startupTable } from './report.ts';
import { writeBeside, writeSection } from './results.ts';
import { type Scenario, scenarios } from './scenarios.ts';
import { measureStartups } from './startup.ts';
import { makeWorld, type World } from './world.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    only: { type: 'string', default: '' },
    sources: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    minutes: { type: 'string', default: '30' },
    proxy: { type: 'string', default: 'selvage' },
    otlp: { type: 'string', default: '' },
    dist: { type: 'string', default: '' },
  },
});

const startedAtMs = performance.now();
const kinds = [
  selvage(!values.sources),
  ...variants(),
  envoy('http1'),
  envoy('http2'),
  haproxy,
  nginx,
];
const others = ['decide', 'control', 'ca', 'kubernetes'].filter((name) =>
  positionals.includes(name),
);
if (others.length > 0) {
  for (const name of others) {
    const { main } = (await import(`./${name}.ts`)) as { main?: () => unknown };
    await main?.();
  }
} else if (positionals.includes('soak')) {
  const { soak } = await import('./soak.ts');
  await withApplication((world, ports) =>
    soak(world, ports, {
      minutes: Number(values.minutes),
      kind: values.proxy === 'selvage' ? null : kindOf(values.proxy),
      isBundled: !values.sources,
    }),
  );
} else {
  checkNames();
  await withApplication(runAll);
}

function variants(): ProxyKind[] {
  const { otlp, dist, sources } = values;
  const env = { SELVAGE_OTLP_ENDPOINT: otlp, SELVAGE_TRACE_SAMPLING: '0.01' };
  return [
    ...(otlp === '' ? [] : [selvage(!sources, null, { name: 'selvage, traces', env })]),
    ...(dist === '' ? [] : [selvage(true, null, { name: 'selvage, other', dist })]),
  ];
}

function checkNames(): void {
  const known = new Set<string>(['startup', ...scenarios.map(({ group }) => group)]);
  const wrong = positionals.filter((name) => !known.has(name));
  if (wrong.length === 0) return;
  process.stderr.write(`no group ${wrong.join(', ')}; there are ${[...known].join(', ')}\n`);
  process.exit(2);
}

function kindOf(name: string): ProxyKind {
  const kind = kinds.find((one) => one.name === name);
  if (kind !== undefined) return kind;
  throw new Error(`no proxy ${name}; there are ${kinds.map((k) => k.name).join(', ')}`);
}

async function withApplication(
  run: (world: World, application: ApplicationPorts) => Promise<void>,
): Promise<void> {
  const world = await makeWorld();
  const application = fork(join(import.meta.dirname, 'application.ts'));
  try {
    const [ports] = (await once(application, 'message')) as [ApplicationPorts];
    await run(world, ports);
  } finally {
    application.kill();
    world.remove();
  }
}

async function runAll(world: World, application: ApplicationPorts): Promise<void> {
  const present = kinds.filter((kind) => {
    const why = kind.missing();
    if (why !== null && kind.name !== 'envoy-h2') print(`left out: ${kind.name}: ${why}`);
    return why === null;
  });
  const plan = planOf();
  const outcomes: Outcome[] = [];
  const memory: Memory[] = [];
  const pages: string[] = [];
  const publish = (page: string): void => {
    pages.push(page);
    print(`\n${page}`);
  };
  for (const group of Map.groupBy(chosen(), ({ group }) => group).values()) {
    const own: Outcome[] = [];
    for (const part of Map.groupBy(group, ({ setup }) => setup).values()) {
      const result = await compare(part, present, world, application, plan);
      own.push(...result.outcomes);
      memory.push(...result.memory);
    }
    outcomes.push(...own);
    publish(groupTable(own));
  }
  if (memory.length > 0) publish(memoryTable(memory));
  if (positionals.length === 0 || positionals.includes('startup')) {
    const single = present.filter(({ name }) => name !== 'envoy-h2');
    publish(startupTable(await measureStartups(single, world, application, plan.rounds)));
  }
  print(`\n${((performance.now() - startedAtMs) / 60_000).toFixed(1)} minutes`);
  const isWhole = positionals.length === 0 && values.only === '' && !values.quick;
  if (isWhole || values.write) write(outcomes, pages, plan);
  if (outcomes.some(({ samples }) => samples.some(({ failures }) => failures > 0))) {
    process.exitCode = 1;
  }
}

function chosen(): Scenario[] {
  return scenarios
    .filter(({ group }) => positionals.length === 0 || positionals.includes(group))
    .filter(({ isMain }) => isMain || !values.quick)
    .filter(({ name }) => name.includes(values.only));
}

function planOf(): Plan {
  return {
    rounds: Number(values.rounds ?? (values.quick ? 3 : 5)),
    seconds: Number(values.seconds ?? (values.quick ? 0.9 : 1.4)),
    warmSeconds: values.quick ? 0.2 : 0.3,
    firstSeconds: values.quick ? 1 : 1.3,
  };
}

function write(outcomes: readonly Outcome[], pages: readonly string[], plan: Plan): void {
  writeBeside('results.svg', plotRatios(outcomes));
  const method =
    `Medians and ranges of ${plan.rounds} rounds of ${plan.seconds} s, in each of which all proxies run in turn, another one first ` +
    'each time. CPU is what the kernel counts for the threads of the proxies (schedstat): user and system time, of both for two ' +
    'in a row. One worker each unless it says otherwise; load and application share the cores. `-`: does not serve it. ' +
    'Two in a row: `envoy` speaks HTTP/1.1 between, as Istio does by default, and `envoy-h2` HTTP/2.';
  writeSection(
    'comparison',
    ['## Beside other proxies', describeMachine(), method, '![](results.svg)', ...pages].join(
      '\n\n',
    ),
  );
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
