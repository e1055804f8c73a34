// `selvage top`: the routes that are called now, counted from the taps of sidecars.
import { setTimeout as pass } from 'node:timers/promises';

import type { CallRecord } from '#api/call-record.ts';

import { readArguments } from './arguments.ts';
import { CallError } from './calls/failure.ts';
import { durationWords } from './calls/record-words.ts';
import type { Io } from './io.ts';
import { cut, printable, printableJson } from './printable.ts';
import {
  listSidecars,
  noteFailures,
  readWorkload,
  sidecarsOfWorkload,
} from './sidecars/ask-all.ts';
import { meshOptions, type MeshValues, openSidecars, type OpenSidecars } from './sidecars/open.ts';
import { runWithSidecars } from './sidecars/run.ts';
import type { AskableSidecar, Sidecars } from './sidecars/source.ts';
import { followTraffic, tapPath } from './sidecars/traffic.ts';
import { type Cell, table } from './table.ts';
import { type RouteCount, RouteCounts } from './traffic/route-counts.ts';
import { onSignal } from './up/signals.ts';
import { successCell } from './traffic/numbers.ts';

interface TopOptions extends MeshValues {
  /** `shop`, `shop/web`; null: all. */
  readonly of: string | null;
  readonly once: boolean;
  readonly seconds: number;
  readonly json: boolean;
}

/** Sidecars that are followed: in a cluster each costs a program in its pod. */
const followedMax = 32;
const refreshMs = 1000;
const rowsShown = 30;
const pathColumnsMax = 50;
const clear = '\u001B[H\u001B[2J';

/** Exit status 0: done, or interrupted; 2: wrong usage, or the mesh cannot be asked. */
export async function top(
  args: string[],
  io: Io,
  open: OpenSidecars = openSidecars,
  interruption: () => AbortSignal = onSignal,
): Promise<number> {
  return runWithSidecars(
    { name: 'top', io, open },
    () => readOptions(args),
    (sidecars, options) => watch(sidecars, options, io, interruption()),
  );
}

async function watch(
  sidecars: Sidecars,
  options: TopOptions,
  io: Io,
  interrupted: AbortSignal,
): Promise<number> {
  const { of, seconds, json } = options;
  const names = new Set<string>();
  let count = 0;
  const list = async (): Promise<readonly AskableSidecar[]> => {
    const all = await chosen(sidecars, of);
    count = all.length;
    for (const one of all.slice(0, followedMax)) names.add(nameOf(one));
    return all;
  };
  const all = await list();
  const routes = new RouteCounts();
  const over = new AbortController();
  const signal = AbortSignal.any([interrupted, over.signal]);
  let dropped = 0;
  const following = followTraffic(
    all,
    { list, path: tapPath({}), most: followedMax, signal },
    {
      call: (record) => {
        if (isCounted(record, names)) routes.add(record);
      },
      dropped: (more) => void (dropped += more),
      lost: (failure) => noteFailures([failure], io.stderr),
    },
  );
  const once = options.once || json || !io.tty;
  const text = (): string => {
    const notes = [
      count > followedMax ? `following ${followedMax} of ${count} sidecars` : '',
      dropped > 0 ? `${dropped} calls are left out: too many at once` : '',
    ];
    const shown = routesTable(routes.list(), io);
    return [shown, ...notes.filter((note) => note !== '').map((note) => `${note}\n`)].join('');
  };
  const startedAtMs = performance.now();
  // Nobody waits for sidecars that have ended, or could not be followed.
  const ended = following.then((heard) => ({ heard }));
  for (;;) {
    const waitMs = once ? seconds * 1000 - (performance.now() - startedAtMs) : refreshMs;
    const waited = pass(Math.max(0, waitMs), null, { signal }).catch(() => null);
    const end = await Promise.race([ended, waited]);
    if (end?.heard === 0 && !signal.aborted) throw new Error('no sidecar could be followed');
    if (end !== null || once || signal.aborted) break;
    io.stdout.write(`${clear}${sidecars.title}\n${text()}`);
  }
  over.abort();
  await following;
  if (json) io.stdout.write(`${printableJson(routes.list())}\n`);
  else if (once) io.stdout.write(text());
  return 0;
}

function chosen(sidecars: Sidecars, of: string | null): Promise<readonly AskableSidecar[]> {
  if (of === null || !of.includes('/')) return listSidecars(sidecars, of ?? undefined);
  return sidecarsOfWorkload(sidecars, readWorkload(of));
}

/** Both ends tell of a call that passes between two sidecars which are followed: it is counted where it arrives. */
function isCounted(
  { reporter, destination, details, mtls }: CallRecord,
  followed: ReadonlySet<string>,
): boolean {
  if (reporter === 'inbound' || !mtls || details !== 'via_upstream') return true;
  return !followed.has(nameOf(destination));
}

function nameOf({ namespace, workload }: Pick<AskableSidecar, 'namespace' | 'workload'>): string {
  return `${namespace}/${workload}`;
}

function routesTable(routes: readonly RouteCount[], { tty }: Io): string {
  if (routes.length === 0) return 'no calls so far\n';
  const rows = routes
    .slice(0, rowsShown)
    .map((route): Cell[] => [
      { text: printable(route.source) },
      { text: printable(route.destination) },
      { text: printable(route.method) },
      { text: cut(printable(route.path), pathColumnsMax) },
      { text: String(route.requests) },
      { text: durationWords(route.bestMs) },
      { text: durationWords(route.worstMs) },
      { text: durationWords(route.lastMs) },
      successCell(route),
      { text: String(route.refusals), ...(route.refusals > 0 && { colour: 'red' as const }) },
    ]);
  const heading = ['SOURCE', 'DESTINATION', 'METHOD', 'PATH', 'COUNT'];
  const times = ['BEST', 'WORST', 'LAST', 'SUCCESS', 'REFUSED'];
  const left = routes.length - rows.length;
  return table([...heading, ...times], rows, tty) + (left > 0 ? `and ${left} more\n` : '');
}

function readOptions(args: string[]): TopOptions {
  const { values, positionals } = readArguments(args, {
    ...meshOptions,
    once: { type: 'boolean' },
    seconds: { type: 'string' },
    output: { type: 'string', short: 'o' },
  });
  const [of = null, ...rest] = positionals;
  if (rest.length > 0) throw new CallError('say whose calls: selvage top NAMESPACE[/WORKLOAD]');
  const { once = false, seconds = '10', output = 'text', ...mesh } = values;
  if (!/^[1-9]\d{0,3}$/.test(seconds)) {
    throw new CallError(`--seconds is a whole number from 1 to 9999, not "${seconds}"`);
  }
  if (output !== 'text' && output !== 'json') {
    throw new CallError(`--output is text or json, not "${output}"`);
  }
  return { ...mesh, of, once, seconds: Number(seconds), json: output === 'json' };
}
