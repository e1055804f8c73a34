// `selvage replay FILE --policies NEW`: which recorded calls would be decided otherwise.
import { CallError } from '../calls/failure.ts';
import { loadModel } from '../calls/model.ts';
import { printProblems } from '../calls/problems.ts';
import type { Io } from '../io.ts';
import { paint } from '../table.ts';
import { readRecordings } from './format.ts';
import { type ChangedCalls, type Replayed, replayCalls } from './replay-calls.ts';

export interface RecordingOptions {
  readonly policies: string;
  /** Left out: what was recorded. */
  readonly old?: string;
  readonly output?: string;
}

/** Exit status 0: no call would be decided otherwise; 1: some would; 3: none that could be judged. @throws CallError */
export async function replayRecording(
  files: readonly string[],
  { policies, old, output = 'text' }: RecordingOptions,
  io: Io,
): Promise<number> {
  if (output !== 'text' && output !== 'json') {
    throw new CallError(`--output is "text" or "json", not "${output}"`);
  }
  const recording = await readRecordings(files, io.cwd);
  const now = await loadModel([policies], io.cwd);
  const before = old === undefined ? null : await loadModel([old], io.cwd);
  for (const model of [now, before]) if (model !== null) printProblems(model.problems, io);
  const replayed = await replayCalls(recording, now, before);
  const { changed, same, unasked, unknown } = replayed;
  const gaps = [...unknown].map(([why, calls]) => ({ why, calls }));
  io.stdout.write(
    output === 'json'
      ? `${JSON.stringify({ changed, same, unasked, unknown: gaps }, null, 2)}\n`
      : textOf(replayed, io.tty),
  );
  if (changed.length > 0) return 1;
  return unknown.size > 0 ? 3 : 0;
}

function textOf({ changed, same, unasked, unknown }: Replayed, tty: boolean): string {
  const byWorkload = Map.groupBy(changed, ({ workload }) => workload);
  const blocks = [...byWorkload].map(
    ([workload, own]) =>
      `${paint(workload, 'bold', tty)}\n${own.map((one) => changeText(one, tty)).join('')}`,
  );
  const gaps = [...unknown].map(([why, calls]) => `cannot be judged: ${counted(calls)}: ${why}\n`);
  const sum = (allowed: boolean): number =>
    changed.reduce((total, one) => total + (one.new.allowed === allowed ? one.calls : 0), 0);
  const left = [...unknown.values()].reduce((total, calls) => total + calls, 0);
  const all = sum(true) + sum(false) + same + left;
  const end = [
    `${sum(false)} would be denied`,
    `${sum(true)} would be allowed`,
    `${same} as before`,
    ...(left > 0 ? [`${left} cannot be judged`] : []),
  ].join(', ');
  const rest =
    unasked > 0 ? `${counted(unasked)} left out, as no policy was asked about them\n` : '';
  return [...blocks, ...gaps, rest, `${counted(all)}: ${end}\n`].join('');
}

function changeText(
  { from, method, path, port, old, new: is, calls, example }: ChangedCalls,
  tty: boolean,
): string {
  const change = is.allowed ? paint('now ALLOWED', 'yellow', tty) : paint('now DENIED', 'red', tty);
  const such = path === example.path || path === '' ? '' : `, for example ${example.path}`;
  return [
    `  ${change}  ${`${method} ${path}`.trim()} from ${from} to port ${port}: ${counted(calls)}${such}`,
    `    old: ${old.reason}`,
    `    new: ${is.reason}`,
    '',
  ].join('\n');
}

function counted(calls: number): string {
  return `${calls} call${calls === 1 ? '' : 's'}`;
}
