// `selvage why ID`: what happened to a call that a sidecar refused or failed, and without an ID the newest of them.
import type { CallRecord } from '#api/call-record.ts';

import { readArguments } from './arguments.ts';
import { CallError } from './calls/failure.ts';
import { callText, type ToldCall } from './calls/record-text.ts';
import { calleeOf, callerOf, reasonOf, requestOf, statusCell } from './calls/record-words.ts';
import { formatAge } from './cluster/age.ts';
import type { Io } from './io.ts';
import { allPrintable, cut, printableJson } from './printable.ts';
import { askAll, type Failure, listSidecars, noteFailures } from './sidecars/ask-all.ts';
import { RefusedAnswer } from './sidecars/answer.ts';
import { meshOptions, type MeshValues, openSidecars, type OpenSidecars } from './sidecars/open.ts';
import { callRecordOf, callRecordsOf } from './sidecars/records.ts';
import { runWithSidecars } from './sidecars/run.ts';
import type { Sidecars } from './sidecars/source.ts';
import { type Cell, paint, table, wrap } from './table.ts';

interface WhyOptions extends MeshValues {
  /** Null: the newest of all. */
  readonly id: string | null;
  readonly namespace?: string;
  readonly limit: number;
  readonly json: boolean;
}

const limitDefault = 20;
/** Of each sidecar, as `/recent` has them. */
const keptMax = 256;

/** Exit status 0: found, or the list; 1: no sidecar knows it; 2: wrong usage, or the mesh cannot be asked. */
export async function why(
  args: string[],
  io: Io,
  open: OpenSidecars = openSidecars,
): Promise<number> {
  return runWithSidecars(
    { name: 'why', io, open },
    () => readOptions(args),
    (sidecars, options) =>
      options.id === null ? list(sidecars, options, io) : find(sidecars, options.id, options, io),
  );
}

async function find(
  sidecars: Sidecars,
  id: string,
  { namespace, json }: WhyOptions,
  io: Io,
): Promise<number> {
  const all = await listSidecars(sidecars, namespace);
  const path = `/why?id=${encodeURIComponent(id)}`;
  const { answers, failures } = await askAll(all, (sidecar) => sidecar.ask(path));
  const told = answers.flatMap(({ sidecar, value }): ToldCall[] => {
    const record = callRecordOf(value);
    return record === null ? [] : [{ record, pod: `${sidecar.namespace}/${sidecar.pod}` }];
  });
  const [first, ...others] = told.toSorted((a, b) => weightOf(b.record) - weightOf(a.record));
  const unheard = failures.filter(({ error }) => !isNotFound(error));
  if (first === undefined) {
    noteFailures(unheard, io.stderr);
    if (unheard.length === all.length) throw new Error('no sidecar could be asked');
    io.stderr.write(`${notFound(id, all.length, unheard)}\n`);
    return 1;
  }
  if (json) {
    const calls = [first, ...others].map(({ record, pod }) => ({ pod, ...record }));
    io.stdout.write(`${printableJson(calls)}\n`);
  } else {
    const [shown, rest] = [allPrintable(first), allPrintable(others)];
    io.stdout.write(callText(shown, rest, Date.now(), io.tty));
  }
  return 0;
}

/** Who refused it or failed with it knows more than who heard of that. */
function weightOf({ details, verdict, reporter }: CallRecord): number {
  if (details === 'via_upstream') return 0;
  return verdict === 'deny' ? 3 : reporter === 'inbound' ? 2 : 1;
}

function isNotFound(error: Error): boolean {
  return error instanceof RefusedAnswer && error.status === 404 && !error.unknownPath;
}

function notFound(id: string, asked: number, unheard: readonly Failure[]): string {
  const silent = unheard.length === 0 ? '' : `, and ${unheard.length} did not say`;
  return (
    `none of ${asked} sidecars knows ${id}${silent}: each keeps its last ${keptMax} refusals and failures until it ends; ` +
    `the access log of the sidecar has the id for longer (its field id)`
  );
}

async function list(sidecars: Sidecars, options: WhyOptions, io: Io): Promise<number> {
  const { namespace, limit, json } = options;
  const all = await listSidecars(sidecars, namespace);
  const path = `/recent?limit=${limit}`;
  const { answers, failures } = await askAll(all, (sidecar) => sidecar.ask(path));
  noteFailures(failures, io.stderr);
  if (answers.length === 0) throw new Error('no sidecar could be asked');
  const newest = answers
    .flatMap(({ value }) => callRecordsOf(value))
    .toSorted((a, b) => Date.parse(b.at) - Date.parse(a.at))
    .slice(0, limit);
  if (json) io.stdout.write(`${printableJson(newest)}\n`);
  else io.stdout.write(recentTable(allPrintable(newest), Date.now(), io));
  return 0;
}

const requestColumnsMax = 40;
const indent = '    ';

/** In a terminal that is too narrow the reason goes below its call. */
function recentTable(
  records: readonly CallRecord[],
  nowMs: number,
  { tty, columns = Infinity }: Pick<Io, 'tty' | 'columns'>,
): string {
  if (records.length === 0) return 'no refusals and no failures\n';
  const rows = records.map((record): Cell[] => [
    { text: formatAge(nowMs - Date.parse(record.at)) },
    { text: record.id },
    { text: callerOf(record) },
    { text: calleeOf(record) },
    { text: cut(requestOf(record), requestColumnsMax) },
    statusCell(record),
  ]);
  const heading = ['AGO', 'ID', 'CALLER', 'CALLED', 'REQUEST', 'STATUS'];
  const reasons = records.map((record) => ({ text: reasonOf(record) }));
  const whole = rows.map((row, i) => [...row, reasons[i] ?? { text: '' }]);
  const wide = table([...heading, 'WHY'], whole, false);
  if (Math.max(...wide.split('\n').map((line) => line.length)) <= columns) {
    return table([...heading, 'WHY'], whole, tty);
  }
  const [head = '', ...lines] = table(heading, rows, tty).trimEnd().split('\n');
  const folded = lines.flatMap((line, i) => {
    const reason = reasons[i]?.text ?? '';
    const below = reason === '' ? [] : wrap(`${indent}${reason}`, columns, 2);
    return [line, ...below.map((text) => paint(text, 'dim', tty))];
  });
  return [head, ...folded].map((line) => `${line}\n`).join('');
}

function readOptions(args: string[]): WhyOptions {
  const { values, positionals } = readArguments(args, {
    ...meshOptions,
    namespace: { type: 'string', short: 'n' },
    limit: { type: 'string' },
    output: { type: 'string', short: 'o' },
  });
  const [id = null, ...rest] = positionals;
  if (rest.length > 0) throw new CallError(`what is "${rest[0]}"? give one id`);
  if (id !== null && !/^[0-9a-z]{6,40}$/i.test(id)) {
    throw new CallError(`an id is the value of x-selvage-id, as k3f92x7q5m, not "${id}"`);
  }
  const { output = 'text', limit = String(limitDefault), ...mesh } = values;
  if (output !== 'text' && output !== 'json') {
    throw new CallError(`--output is text or json, not "${output}"`);
  }
  if (!/^[1-9]\d{0,2}$/.test(limit) || Number(limit) > keptMax) {
    throw new CallError(`--limit is a number from 1 to ${keptMax}, not "${limit}"`);
  }
  const json = output === 'json';
  return { ...mesh, id: id?.toLowerCase() ?? null, limit: Number(limit), json };
}
