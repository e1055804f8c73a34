// `selvage edges`: who calls whom, whether by mutual TLS, how often, with what success and how fast.
import { setTimeout as pass } from 'node:timers/promises';

import type { EdgeCount } from '#api/call-record.ts';

import { readArguments } from './arguments.ts';
import { CallError } from './calls/failure.ts';
import { durationWords } from './calls/record-words.ts';
import type { Io } from './io.ts';
import { allPrintable, printableJson } from './printable.ts';
import { askAll, listSidecars, noteFailures } from './sidecars/ask-all.ts';
import { meshOptions, type MeshValues, openSidecars, type OpenSidecars } from './sidecars/open.ts';
import { edgeCountsOf } from './sidecars/records.ts';
import { runWithSidecars } from './sidecars/run.ts';
import type { AskableSidecar, Sidecars } from './sidecars/source.ts';
import { type Cell, table } from './table.ts';
import { countedSince, type EdgeRow, edgeRows } from './traffic/edge-rows.ts';
import { quantileMs, successCell, successShare } from './traffic/numbers.ts';

interface EdgesOptions extends MeshValues {
  readonly namespace?: string;
  /** Null: all since the sidecars started. */
  readonly seconds: number | null;
  readonly json: boolean;
}

/** Exit status 0: done; 2: wrong usage, or the mesh cannot be asked. */
export async function edges(
  args: string[],
  io: Io,
  open: OpenSidecars = openSidecars,
): Promise<number> {
  return runWithSidecars(
    { name: 'edges', io, open },
    () => readOptions(args),
    async (sidecars, options) => {
      const { seconds, rows } = await count(sidecars, options, io);
      if (options.json)
        io.stdout.write(`${printableJson(rows.map((row) => jsonOf(row, seconds)))}\n`);
      else io.stdout.write(edgesTable(allPrintable(rows), seconds, io.tty));
      return 0;
    },
  );
}

interface Counted {
  /** How long it was counted; null: since the sidecars started. */
  readonly seconds: number | null;
  readonly rows: readonly EdgeRow[];
}

async function count(
  sidecars: Sidecars,
  { namespace, seconds }: EdgesOptions,
  io: Io,
): Promise<Counted> {
  const all = await listSidecars(sidecars, namespace);
  const first = await askAll(all, ask);
  noteFailures(first.failures, io.stderr);
  if (first.answers.length === 0) throw new Error('no sidecar could be asked');
  if (seconds === null) {
    return { seconds, rows: edgeRows(first.answers.flatMap(({ value }) => value.edges)) };
  }
  await pass(seconds * 1000);
  const before = new Map(first.answers.map(({ sidecar, value }) => [sidecar, value]));
  // Those that have not answered once would be waited for again.
  const second = await askAll([...before.keys()], ask);
  noteFailures(second.failures, io.stderr);
  if (second.answers.length === 0) throw new Error('no sidecar could be asked again');
  let passedMs = 0;
  const counts = second.answers.flatMap(({ sidecar, value }) => {
    const { atMs = value.atMs, edges = [] } = before.get(sidecar) ?? {};
    passedMs += value.atMs - atMs;
    return countedSince(edges, value.edges);
  });
  // A large mesh takes longer to be asked than it is watched: what counts is how long each was.
  return { seconds: passedMs / second.answers.length / 1000, rows: edgeRows(counts) };
}

async function ask(sidecar: AskableSidecar): Promise<{ atMs: number; edges: EdgeCount[] }> {
  const edges = edgeCountsOf(await sidecar.ask('/edges'));
  return { atMs: performance.now(), edges };
}

function edgesTable(rows: readonly EdgeRow[], seconds: number | null, tty: boolean): string {
  if (rows.length === 0) return 'nobody has called anybody yet\n';
  const lines = rows.map((row): Cell[] => [
    { text: row.source },
    { text: row.destination },
    { text: row.services.join(', ') || '-' },
    { text: row.protocol },
    { text: seconds === null ? String(row.requests) : (row.requests / seconds).toFixed(1) },
    successCell(row),
    { text: timeOf(row, 0.5) },
    { text: timeOf(row, 0.99) },
    { text: String(row.refusals), ...(row.refusals > 0 && { colour: 'red' as const }) },
    securedCell(row),
  ]);
  const often = seconds === null ? 'CALLS' : 'CALLS/S';
  const heading = ['SOURCE', 'DESTINATION', 'SERVICE', 'KIND', often];
  return table([...heading, 'SUCCESS', 'P50', 'P99', 'REFUSED', 'SECURED'], lines, tty);
}

function timeOf({ durations }: EdgeRow, share: number): string {
  const ms = quantileMs(durations, share);
  return ms === null ? '-' : durationWords(ms);
}

function securedCell({ security, callerAccount, calleeAccount }: EdgeRow): Cell {
  const ends = `${callerAccount || '?'} -> ${calleeAccount || '?'}`;
  if (security.includes('mutual_tls')) {
    if (security.length === 1) return { text: `mutual TLS, ${ends}`, colour: 'green' };
    return { text: `mutual TLS, ${ends}, and plaintext`, colour: 'yellow' };
  }
  if (security.includes('none')) return { text: 'plaintext', colour: 'yellow' };
  // Nobody at the other end has told.
  return {
    text: calleeAccount === '' ? 'not known' : `not known, to ${calleeAccount}`,
    colour: 'dim',
  };
}

function jsonOf(row: EdgeRow, seconds: number | null): object {
  const { durations, ...rest } = row;
  return {
    ...rest,
    ...(seconds !== null && { seconds, requestsPerSecond: row.requests / seconds }),
    successRate: successShare(row),
    p50Ms: quantileMs(durations, 0.5),
    p99Ms: quantileMs(durations, 0.99),
  };
}

function readOptions(args: string[]): EdgesOptions {
  const { values, positionals } = readArguments(args, {
    ...meshOptions,
    namespace: { type: 'string', short: 'n' },
    seconds: { type: 'string' },
    total: { type: 'boolean' },
    output: { type: 'string', short: 'o' },
  });
  if (positionals.length > 0) throw new CallError(`what is "${positionals[0]}"? give only options`);
  const { total = false, seconds, output = 'text', ...mesh } = values;
  if (total && seconds !== undefined) throw new CallError('--total watches nothing: no --seconds');
  if (seconds !== undefined && !/^[1-9]\d{0,3}$/.test(seconds)) {
    throw new CallError(`--seconds is a whole number from 1 to 9999, not "${seconds}"`);
  }
  if (output !== 'text' && output !== 'json') {
    throw new CallError(`--output is text or json, not "${output}"`);
  }
  return { ...mesh, seconds: total ? null : Number(seconds ?? 2), json: output === 'json' };
}
