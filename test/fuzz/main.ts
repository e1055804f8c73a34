// `npm run fuzz`: mutated requests through our parsers and others'; what is read differently, and how to see it again.
import { parseArgs } from 'node:util';

import { accepted } from './accepted.ts';
import { fuzzWays } from './against-proxies.ts';
import type { Stricter } from './judge.ts';
import { isInstalled, proxyNames } from './proxies.ts';
import type { Difference } from './reading.ts';
import { targets } from './targets.ts';
import { Ways } from './ways.ts';
import { textOf } from './wire-text.ts';

const usage = `npm run fuzz -- [--seconds N] [--seed N] [--executions N] [--only target,…] [--against name,…]
  --only     ${[...targets.map(({ name }) => name), 'proxies'].join(', ')}; else all
  --against  llhttp, ${proxyNames.join(', ')}; else all that are installed
  A difference is seen again with --only TARGET --seed N --executions 1.`;

interface Run {
  readonly name: string;
  executions: number;
  ms: number;
}

/** Differences of one kind. */
interface Kind {
  readonly first: Difference;
  count: number;
}

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    executions: { type: 'string', default: 'Infinity' },
    only: { type: 'string', default: '' },
    against: { type: 'string', default: ['llhttp', ...proxyNames].join() },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}
const [seconds, seed, executions] = [values.seconds, values.seed, values.executions].map(Number);
const only = values.only === '' ? [] : values.only.split(',');
const against = new Set(values.against.split(','));
const known = new Set([...targets.map(({ name }) => name), 'proxies']);
const unknown = only.filter((name) => !known.has(name));
if (unknown.length > 0 || !(seconds! > 0) || !(executions! > 0) || !Number.isSafeInteger(seed)) {
  console.error(usage);
  process.exit(2);
}

const runs: Run[] = [];
const kinds = new Map<string, Kind>();
const allowed = new Map<string, number>();
const stricter: Stricter = new Map();
const wanted = (name: string): boolean => only.length === 0 || only.includes(name);
const proxies = wanted('proxies') ? proxyNames.filter((name) => against.has(name)) : [];
const inProcess = targets.filter(({ name }) => wanted(name));

const proxyShare = proxies.length === 0 ? 0 : inProcess.length === 0 ? 1 : 0.5;
fuzzInProcess(seconds! * (1 - proxyShare) * 1_000);
if (proxies.length > 0) await fuzzProxies(seconds! * proxyShare * 1_000);
process.exitCode = summarize();

/** Each target has the same time. */
function fuzzInProcess(ms: number): void {
  for (const target of inProcess) {
    const run: Run = { name: target.name, executions: 0, ms: 0 };
    runs.push(run);
    const start = performance.now();
    const end = start + ms / inProcess.length;
    while (performance.now() < end && run.executions < executions!) {
      const batch = Math.min(1_000, executions! - run.executions);
      const from = seed! + run.executions;
      try {
        target.run(from, batch, note);
      } catch (error) {
        note({
          target: target.name,
          kind: 'wrong',
          detail: String(error),
          bytes: Buffer.alloc(0),
          seed: from,
        });
      }
      run.executions += batch;
    }
    run.ms = performance.now() - start;
  }
}

async function fuzzProxies(ms: number): Promise<void> {
  const missing = proxies.filter((name) => !isInstalled(name));
  if (missing.length > 0) console.log(`not installed, left out: ${missing.join(', ')}`);
  const run: Run = { name: 'proxies', executions: 0, ms: 0 };
  runs.push(run);
  const ways = await Ways.open(proxies);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void ways.close().finally(() => process.exit(1)));
  }
  try {
    const start = performance.now();
    const end = start + ms;
    while (performance.now() < end && run.executions < executions!) {
      const batch = Math.min(100, executions! - run.executions);
      await fuzzWays(ways, seed! + run.executions, batch, note, stricter);
      run.executions += batch;
    }
    run.ms = performance.now() - start;
    console.log(`ways: ${ways.names.join(', ')}`);
  } finally {
    await ways.close();
  }
}

function note(difference: Difference): void {
  if (!against.has('llhttp') && difference.kind.includes('llhttp')) return;
  const reason = accepted.find((one) => one.matches(difference));
  if (reason !== undefined) {
    allowed.set(reason.name, (allowed.get(reason.name) ?? 0) + 1);
    return;
  }
  const name = `${difference.target}: ${difference.kind}`;
  const kind = kinds.get(name);
  if (kind === undefined) kinds.set(name, { first: difference, count: 1 });
  else kind.count++;
}

/** @returns the exit status */
function summarize(): number {
  for (const [name, { first, count }] of kinds) {
    console.log(`\nDIFFERENCE ${name} (${count} times) ${first.detail}`);
    console.log(
      `  again: npm run fuzz -- --only ${first.target} --seed ${first.seed} --executions 1`,
    );
    console.log(textOf(first.bytes));
  }
  console.log('\naccepted differences');
  for (const { name, reason } of accepted) {
    console.log(`${String(allowed.get(name) ?? 0).padStart(10)}  ${name}\n            ${reason}`);
  }
  if (stricter.size > 0) console.log('\nwho refuses what another takes');
  for (const [name, count] of stricter) console.log(`${String(count).padStart(10)}  ${name}`);
  console.log('\ntarget        executions  per second  differences');
  for (const { name, executions, ms } of runs) {
    const rate = Math.round((executions / ms) * 1_000);
    const found = [...kinds.values()].filter(({ first }) => first.target === name);
    const differences = found.reduce((sum, { count }) => sum + count, 0);
    const cells = [executions, rate, differences].map((cell) => String(cell).padStart(11));
    console.log(`${name.padEnd(12)} ${cells.join(' ')}`);
  }
  const total = runs.reduce((sum, run) => sum + run.executions, 0);
  console.log(`${total} executions, seed ${seed}, ${kinds.size} kinds of difference not accepted`);
  return kinds.size === 0 ? 0 : 1;
}
