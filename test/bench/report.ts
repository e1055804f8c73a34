// Results as tables of Markdown.
import { median } from './accounting.ts';
import type { Memory, Outcome } from './compare.ts';
import type { Sample } from './measure.ts';
import type { Group, Scenario } from './scenarios.ts';
import type { Startup } from './startup.ts';

const titles: Readonly<Record<Group, string>> = {
  inbound:
    'Inbound, HTTP/1.1: mutual TLS in, ten rules, metrics, access log, HTTP/1.1 to the application',
  http2:
    'Inbound, HTTP/2: the same by 8 connections with 8 calls each, HTTP/1.1 to the application',
  grpc: 'gRPC: unary calls of 1 KB each way, 8 connections with 8 calls each, HTTP/2 to the application',
  pair: 'Two proxies in a row: plaintext, outbound, mutual TLS, inbound, application',
  latency: 'Latency at equal load',
  connections: 'Few and many connections',
  tcp: 'TCP: mutual TLS, ten rules of principals; blocks of 64 KB there and back by 16 connections',
  handshakes: 'New connections: mutual TLS 1.3 and one empty answer each, 8 at a time',
  workers: 'Two workers on the same two cores as load and application',
};

/** The table of one group. */
export function groupTable(outcomes: readonly Outcome[]): string {
  const [first] = outcomes;
  if (first === undefined) return '';
  const unit = unitOf(first.scenario);
  // Where Envoy is measured twice, both are compared with.
  const bases = ['envoy', 'envoy-h2'].filter((base) =>
    outcomes.some(({ proxy }) => proxy === base),
  );
  const columns = [
    'what',
    'proxy',
    `CPU µs/${unit} (range)`,
    ...bases.map((base) => `x ${base}`),
    `${plural(unit)} per CPU second`,
    'p50 ms',
    'p99 ms',
    `${plural(unit)}/s`,
    'resident MB',
  ];
  const lines = [
    `### ${titles[first.scenario.group]}`,
    '',
    `| ${columns.join(' | ')} |`,
    `|${'---|'.repeat(columns.length)}`,
  ];
  const notes: string[] = [];
  for (const outcome of outcomes) {
    const { scenario, proxy, samples, refusal } = outcome;
    const ratios = bases.map((base) => ratioTo(base, outcome, outcomes));
    const cells = samples.length === 0 ? columns.slice(2).map(() => '-') : cellsOf(samples, ratios);
    lines.push(`| ${[scenario.name, proxy, ...cells].join(' | ')} |`);
    if (refusal !== '') notes.push(`- ${scenario.name}, ${proxy}: ${refusal}`);
    const failures = samples.reduce((sum, sample) => sum + sample.failures, 0);
    if (failures > 0) {
      const reason = samples.find((sample) => sample.failures > 0)?.reason;
      notes.push(`- ${scenario.name}, ${proxy}: ${failures} failures, the first: ${reason}`);
    }
  }
  return [...lines, ...(notes.length > 0 ? ['', ...notes] : [])].join('\n');
}

export function ratioToEnvoy(outcome: Outcome, all: readonly Outcome[]): number {
  return ratioTo('envoy', outcome, all);
}

/** Of the medians; NaN where one of both is missing. */
function ratioTo(base: string, { scenario, samples }: Outcome, all: readonly Outcome[]): number {
  const other = all.find((one) => one.scenario === scenario && one.proxy === base);
  return costOf(samples) / costOf(other?.samples ?? []);
}

export function memoryTable(memory: readonly Memory[]): string {
  return [
    '### Resident memory, MB: idle, and the most seen under load',
    '',
    '| group | setup | proxy | idle | loaded |',
    '|---|---|---|---|---|',
    ...memory.map(
      ({ group, setup, proxy, idleMb, loadedMb }) =>
        `| ${group} | ${setup} | ${proxy} | ${idleMb.toFixed(0)} | ${loadedMb.toFixed(0)} |`,
    ),
  ].join('\n');
}

export function startupTable(startups: readonly Startup[]): string {
  return [
    '### Cold start: from the start of the process to the first proxied answer over mutual TLS, ms',
    '',
    '| proxy | median (range) |',
    '|---|---|',
    ...startups.map(({ proxy, ms }) => `| ${proxy} | ${median(ms).toFixed(0)} (${range(ms)}) |`),
  ].join('\n');
}

function cellsOf(samples: readonly Sample[], ratios: readonly number[]): string[] {
  const of = (pick: (sample: Sample) => number): number => median(samples.map(pick));
  const cost = costOf(samples);
  return [
    `${precise(cost)} (${range(samples.map(({ cpuUs }) => cpuUs))})`,
    ...ratios.map((ratio) => (Number.isNaN(ratio) ? '-' : ratio.toFixed(2))),
    precise(1e6 / cost),
    of(({ p50Ms }) => p50Ms).toFixed(2),
    of(({ p99Ms }) => p99Ms).toFixed(2),
    precise(of(({ perSecond }) => perSecond)),
    of(({ residentMb }) => residentMb).toFixed(0),
  ];
}

function costOf(samples: readonly Sample[]): number {
  return median(samples.map(({ cpuUs }) => cpuUs));
}

function range(values: readonly number[]): string {
  return `${precise(Math.min(...values))} to ${precise(Math.max(...values))}`;
}

function precise(value: number): string {
  return value.toFixed(value < 10 ? 1 : 0);
}

function unitOf({ speaks }: Scenario): string {
  return speaks === 'tcp' ? 'MB' : speaks === 'handshakes' ? 'connection' : 'request';
}

function plural(unit: string): string {
  return unit === 'MB' ? unit : `${unit}s`;
}
