// The soak: two proxies in a row under churn for as long as told, and whether their memory grows.
import { fork } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { residentMbOf } from './accounting.ts';
import type { ApplicationPorts } from './application.ts';
import { describeMachine } from './machine.ts';
import { startProxy, type ProxyKind } from './proxies/proxy.ts';
import { selvage } from './proxies/selvage.ts';
import { writeBeside, writeSection } from './results.ts';
import type { Churn, ChurnOptions } from './soak-load.ts';
import { startControl, type SoakControl } from './soak/control.ts';
import { plotMemory } from './soak/plot.ts';
import { fitSecondHalf, type Trend } from './soak/trend.ts';
import type { World } from './world.ts';

export interface SoakOptions {
  readonly minutes: number;
  /** null: Selvage, with policies that change all the time. */
  readonly kind: ProxyKind | null;
  readonly isBundled: boolean;
}

/** Resident memory at one moment. */
export interface Moment {
  readonly seconds: number;
  readonly outboundMb: number;
  readonly inboundMb: number;
  readonly requests: number;
}

const momentsMax = 900;
/** Below this, or within twice its own error, a slope is not growth. */
const growthMbPerHourMax = 6;

export async function soak(
  world: World,
  application: ApplicationPorts,
  options: SoakOptions,
): Promise<void> {
  const control = options.kind === null ? await startControl(world) : null;
  const kind = options.kind ?? selvage(options.isBundled, control);
  const missing = kind.missing();
  if (missing !== null) throw new Error(missing);
  const shape = { setup: 'pair', carries: 'http', workers: 1 } as const;
  const proxy = await startProxy(kind, world, application, shape);
  const { ca, clientCert: cert, clientKey: key } = world.files;
  const isAbsolute = kind.isForwardProxy;
  const inner = proxy.innerPort;
  const churn: ChurnOptions = { outbound: proxy.port, inbound: inner, isAbsolute, ca, cert, key };
  const load = fork(join(import.meta.dirname, 'soak-load.ts'), [JSON.stringify(churn)]);
  let counts: Churn | null = null;
  load.on('message', (message: Churn) => (counts = message));
  try {
    const [outbound, ...inbound] = proxy.pids();
    if (outbound === undefined) throw new Error('a pair has two processes');
    const memory = { outbound: [outbound], inbound };
    const moments = await watch(options.minutes, memory, () => {
      if (load.exitCode !== null) throw new Error('the load process has ended');
      return counts;
    });
    report(kind.name, options.minutes, moments, counts, control);
  } finally {
    load.kill();
    await proxy.stop();
    control?.close();
  }
}

async function watch(
  minutes: number,
  pids: { readonly outbound: readonly number[]; readonly inbound: readonly number[] },
  counts: () => Churn | null,
): Promise<Moment[]> {
  const moments: Moment[] = [];
  const totalMs = minutes * 60_000;
  const stepMs = Math.max(1000, totalMs / momentsMax);
  const startedAtMs = performance.now();
  for (let dueMs = 0; dueMs <= totalMs; dueMs += stepMs) {
    await sleep(Math.max(0, dueMs - (performance.now() - startedAtMs)));
    moments.push({
      seconds: dueMs / 1000,
      outboundMb: residentMbOf(pids.outbound),
      inboundMb: residentMbOf(pids.inbound),
      requests: counts()?.answered ?? 0,
    });
  }
  return moments;
}

function report(
  name: string,
  minutes: number,
  moments: readonly Moment[],
  counts: Churn | null,
  control: SoakControl | null,
): void {
  if (counts === null) throw new Error('the load process said nothing');
  const trends = {
    outbound: fitSecondHalf(moments.map(({ seconds, outboundMb: mb }) => ({ seconds, mb }))),
    inbound: fitSecondHalf(moments.map(({ seconds, inboundMb: mb }) => ({ seconds, mb }))),
  };
  const hasGrown = Object.values(trends).some(grows);
  const verdict = hasGrown ? 'memory GROWS' : 'no growth';
  const edits =
    control === null
      ? 'no policy edits'
      : `${control.edits()} edits of policies and endpoints, ${control.refusals().length} refused`;
  const lines = [
    `## Soak: ${minutes} minutes of churn, two in a row, ${name}: ${verdict}`,
    describeMachine(),
    `${counts.answered} answers of mixed sizes, ${counts.connections} connections opened and closed, ` +
      `${counts.aborted} calls broken off half-way, ${counts.denied} denied, ${edits}; ` +
      `${counts.failures} failures${counts.reason === '' ? '' : ` (the first: ${counts.reason})`}.`,
    [
      '| process | first MB | median MB, second half | highest MB | growth MB/hour, second half |',
      '|---|---|---|---|---|',
      ...Object.entries(trends).map(([side, trend]) => row(side, trend)),
    ].join('\n'),
    `Growth is the slope of a line fitted to the second half, with twice its standard error; up to ${growthMbPerHourMax} MB/hour, ` +
      'or within its error, it is not taken for growth. All values: `soak.csv`.',
    '![](soak.svg)',
  ];
  process.stdout.write(`${lines.join('\n\n')}\n`);
  for (const refusal of control?.refusals() ?? []) process.stdout.write(`refused: ${refusal}\n`);
  if (hasGrown || counts.failures > 0) process.exitCode = 1;
  // Others are soaked to compare by eye; results are of this project.
  if (control === null) return;
  const csv = moments.map(
    ({ seconds, outboundMb, inboundMb, requests }) =>
      `${seconds.toFixed(0)},${outboundMb.toFixed(1)},${inboundMb.toFixed(1)},${requests}`,
  );
  writeBeside('soak.csv', `seconds,outbound_mb,inbound_mb,answers\n${csv.join('\n')}\n`);
  writeBeside('soak.svg', plotMemory(name, moments));
  writeSection('soak', lines.join('\n\n'));
}

function grows({ mbPerHour, errorMbPerHour }: Trend): boolean {
  return mbPerHour > growthMbPerHourMax && mbPerHour > 2 * errorMbPerHour;
}

function row(side: string, trend: Trend): string {
  const { firstMb, medianMb, highestMb, mbPerHour, errorMbPerHour } = trend;
  const growth = `${mbPerHour.toFixed(1)} ± ${(2 * errorMbPerHour).toFixed(1)}`;
  return `| ${side} | ${firstMb.toFixed(0)} | ${medianMb.toFixed(0)} | ${highestMb.toFixed(0)} | ${growth} |`;
}
