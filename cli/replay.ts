// `selvage replay FILE...`: recorded calls under other policies, or recorded decisions against ours; each difference is printed.
import { parseArgs } from 'node:util';

import type { RecordedCall } from '#policy/judge/call.ts';

import { CallError } from './calls/failure.ts';
import type { Io } from './io.ts';
import { replayRecording } from './recording/replay-recording.ts';
import { compare, type Observed, type Runner } from './replay/compare.ts';
import { evaluate } from './replay/evaluator.ts';
import { readReplayCases, type ReplayCase, ReplayFileError } from './replay/format.ts';
import { SidecarUnusable } from './replay/unusable.ts';
import { untilSignal } from './up/signals.ts';

/**
 * Exit status 0: all as recorded; 1: differences; 2: wrong usage, unreadable files, or no sidecar to use; 3: no difference,
 * and calls that could not be judged.
 */
export async function replay(args: string[], io: Io): Promise<number> {
  try {
    const { positionals, values } = parseArgs({ args, allowPositionals: true, options });
    if (positionals.length === 0) {
      throw new ReplayFileError('give a file that selvage record wrote, or one of cases');
    }
    const { policies, old, output } = values;
    if (policies !== undefined) {
      return await replayRecording(positionals, { policies, old, output }, io);
    }
    const cases = positionals
      .flatMap((file) => readReplayCases(file))
      .filter((one) => one.oracleError === undefined);
    return values['through-sidecar']
      ? await replayThroughSidecar(cases, io)
      : await replayCases(cases, evaluate, 1, io);
  } catch (error) {
    if (!isExpected(error)) throw error;
    io.stderr.write(`selvage replay: ${error.message}\n`);
    return 2;
  }
}

const options = {
  'through-sidecar': { type: 'boolean', default: false },
  policies: { type: 'string' },
  old: { type: 'string' },
  output: { type: 'string', short: 'o' },
} as const;

/** More than one, so that the log of one case is waited for while the next is on its way. */
const casesThroughSidecar = 8;
/** As a shell says it: 128 and the number of SIGINT. */
const interruptedStatus = 130;

async function replayThroughSidecar(cases: readonly ReplayCase[], io: Io): Promise<number> {
  const { throughSidecar } = await import('./replay/through-sidecar.ts');
  const complain = (line: string): unknown => io.stderr.write(`${line}\n`);
  const sidecars = await throughSidecar(cases, complain);
  // The sidecars must not outlive us.
  const interrupted = untilSignal().then(() => interruptedStatus);
  const replayed = replayCases(cases, sidecars.run, casesThroughSidecar, io);
  // Once interrupted, nobody asks how it ended.
  replayed.catch(() => undefined);
  try {
    return await Promise.race([replayed, interrupted]);
  } finally {
    await sidecars.close();
  }
}

/** Replays by any means of judging, several cases at once; tells of them in their order. @throws ReplayFileError */
async function replayCases(
  cases: readonly ReplayCase[],
  runner: Runner,
  casesAtOnce: number,
  io: Io,
): Promise<number> {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const running: Promise<readonly Observed[]>[] = [];
  let started = 0;
  for (const one of cases) {
    for (; started < cases.length && running.length < casesAtOnce; started += 1) {
      const next = cases[started];
      if (next !== undefined) running.push(begin(runner, next));
    }
    const observed = await running.shift();
    if (observed !== undefined) tell(one, observed, io, counts);
  }
  const { passed, failed, skipped } = counts;
  const end = skipped === 0 ? '' : `, ${skipped} skipped`;
  io.stdout.write(`${passed} passed, ${failed} failed${end}\n`);
  return failed === 0 ? 0 : 1;
}

/** Its failure is heard when its turn comes to be told. */
function begin(runner: Runner, one: ReplayCase): Promise<readonly Observed[]> {
  const observed = runner(one);
  observed.catch(() => undefined);
  return observed;
}

function tell(
  c: ReplayCase,
  observed: readonly Observed[],
  io: Io,
  counts: { passed: number; failed: number; skipped: number },
): void {
  for (const [index, call] of c.requests.entries()) {
    const expected = c.expected[index];
    const got = observed[index];
    if (expected === undefined || got === undefined) {
      throw new ReplayFileError(`case ${c.name}: request ${call.id} has no decision`);
    }
    const comparison = compare(call, expected, got);
    counts[comparison.result] += 1;
    if (comparison.result !== 'failed') continue;
    io.stdout.write(
      `${c.name} ${call.id}: expected ${comparison.expected}, got ${comparison.got}\n` +
        `  ${describeCall(call)}\n${describeReason(got)}`,
    );
  }
}

/** `GET /a?b (Host: x) from cluster.local/ns/foo/sa/sleep (127.0.1.2) to 10.77.0.10:8080`. */
function describeCall(call: RecordedCall): string {
  const { source, destination, headers = [] } = call;
  const from = `from ${source.identity ?? 'plaintext'} (${source.ip})`;
  const to = `to ${destination.ip}:${destination.port}`;
  if (call.kind === 'tcp') return `TCP ${from} ${to}`;
  const { method = 'GET', path = '/', host = null, minor = 1 } = call;
  const version = minor === 1 ? '' : ` HTTP/1.${minor}`;
  const hosts = host === null ? 'no Host' : `Host: ${[host].flat().join(', ')}`;
  const lines = headers.map(([name, value]) => `\n    ${name}: ${shorten(value)}`).join('');
  return `${method} ${shorten(path)}${version} (${hosts}) ${from} ${to}${lines}`;
}

function describeReason(observed: Observed): string {
  return observed.reason === '' ? '' : `  why: ${observed.reason}\n`;
}

/** Tokens are long, and their ends say nothing. */
function shorten(text: string): string {
  return text.length > 160 ? `${text.slice(0, 150)}… (${text.length} characters)` : text;
}

/** Not a fault of ours: a file, a sidecar, or wrong usage. */
function isExpected(error: unknown): error is Error {
  if (error instanceof ReplayFileError || error instanceof CallError) return true;
  if (error instanceof SidecarUnusable) return true;
  return (
    error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
  );
}
