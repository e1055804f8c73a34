// Runs scenarios against all proxies in turns, so that all meet the same machine.
import { setTimeout as sleep } from 'node:timers/promises';

import { residentMbOf } from './accounting.ts';
import type { ApplicationPorts } from './application.ts';
import { type Door, doorsOf, measure, type Sample, type Span } from './measure.ts';
import { type ProxyKind, type RunningProxy, startProxy } from './proxies/proxy.ts';
import type { Scenario } from './scenarios.ts';
import type { World } from './world.ts';

/** How one proxy did in one scenario. */
export interface Outcome {
  readonly scenario: Scenario;
  readonly proxy: string;
  readonly samples: readonly Sample[];
  /** Why there are no more of them; '': there are all. */
  readonly refusal: string;
}

export interface Memory {
  readonly group: string;
  readonly setup: string;
  readonly proxy: string;
  readonly idleMb: number;
  readonly loadedMb: number;
}

export interface Plan extends Span {
  readonly rounds: number;
  /** Before the first round, for each proxy in each scenario; shows who serves it at all. */
  readonly firstSeconds: number;
}

interface Contender {
  readonly proxy: RunningProxy;
  readonly idleMb: number;
  loadedMb: number;
}

interface Entry {
  readonly scenario: Scenario;
  readonly contender: Contender;
  readonly door: Door;
  readonly samples: Sample[];
  refusal: string;
}

const settleMs = 1000;
const failedShareMax = 0.001;

/** @param scenarios of one group with one setup */
export async function compare(
  scenarios: readonly Scenario[],
  kinds: readonly ProxyKind[],
  world: World,
  application: ApplicationPorts,
  plan: Plan,
): Promise<{ outcomes: Outcome[]; memory: Memory[] }> {
  const [first] = scenarios;
  if (first === undefined) return { outcomes: [], memory: [] };
  const running: RunningProxy[] = [];
  const outcomes: Outcome[] = [];
  try {
    for (const kind of kinds) {
      if (!kind.can(first.setup, first.carries, first.workers)) {
        if (kind.name === 'envoy-h2') continue;
        for (const scenario of scenarios)
          outcomes.push(refused(scenario, kind.name, 'not offered'));
        continue;
      }
      running.push(await startProxy(kind, world, application, first));
    }
    await sleep(settleMs);
    const contenders = running.map((proxy) => {
      const idleMb = residentMbOf(proxy.pids());
      return { proxy, idleMb, loadedMb: idleMb };
    });
    outcomes.push(...(await runRounds(scenarios, contenders, world, plan)));
    const memory = contenders.map(({ proxy, idleMb, loadedMb }) => ({
      group: first.group,
      setup: first.setup,
      proxy: proxy.kind.name,
      idleMb,
      loadedMb,
    }));
    return { outcomes: inOrder(outcomes, scenarios, kinds), memory };
  } finally {
    for (const proxy of running) await proxy.stop();
  }
}

async function runRounds(
  scenarios: readonly Scenario[],
  contenders: readonly Contender[],
  world: World,
  plan: Plan,
): Promise<Outcome[]> {
  const entries: Entry[] = [];
  for (const scenario of scenarios) {
    for (const contender of contenders) {
      entries.push(await enter(scenario, contender, world, plan));
    }
  }
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const scenario of scenarios) {
      const able = entries.filter((one) => one.scenario === scenario && one.refusal === '');
      // Each round begins with another proxy, so that none always runs on a warm or a throttled machine.
      const from = able.length === 0 ? 0 : round % able.length;
      for (const entry of [...able.slice(from), ...able.slice(0, from)]) {
        await sampleOnce(entry, world, plan);
      }
    }
  }
  return entries.map(({ scenario, contender, samples, refusal }) => ({
    scenario,
    proxy: contender.proxy.kind.name,
    samples,
    refusal,
  }));
}

/** Warms a proxy up for a scenario, and so learns whether it serves it at all. */
async function enter(
  scenario: Scenario,
  contender: Contender,
  world: World,
  plan: Plan,
): Promise<Entry> {
  const entry: Entry = { scenario, contender, door: 'straight', samples: [], refusal: '' };
  const span = { warmSeconds: 0.1, seconds: plan.firstSeconds };
  for (const door of doorsOf(contender.proxy, scenario)) {
    try {
      const sample = await measure(world, contender.proxy, scenario, door, span);
      const calls = sample.perSecond * span.seconds;
      if (calls > 0 && sample.failures <= calls * failedShareMax) {
        return { ...entry, door, refusal: '' };
      }
      entry.refusal = sample.reason;
    } catch (error) {
      entry.refusal = error instanceof Error ? error.message : String(error);
    }
  }
  return entry;
}

/** A proxy that ends is out of the run, and the others go on. */
async function sampleOnce(entry: Entry, world: World, plan: Plan): Promise<void> {
  const { scenario, contender, door, samples } = entry;
  try {
    const sample = await measure(world, contender.proxy, scenario, door, plan);
    samples.push(sample);
    contender.loadedMb = Math.max(contender.loadedMb, sample.residentMb);
  } catch (error) {
    entry.refusal = error instanceof Error ? error.message : String(error);
  }
}

function refused(scenario: Scenario, proxy: string, refusal: string): Outcome {
  return { scenario, proxy, samples: [], refusal };
}

function inOrder(
  outcomes: readonly Outcome[],
  scenarios: readonly Scenario[],
  kinds: readonly ProxyKind[],
): Outcome[] {
  const rank = ({ scenario, proxy }: Outcome): number =>
    scenarios.indexOf(scenario) * kinds.length + kinds.findIndex(({ name }) => name === proxy);
  return outcomes.toSorted((a, b) => rank(a) - rank(b));
}
