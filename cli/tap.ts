// `selvage tap`: the calls of a workload as they happen, from the sidecars of all its pods.
import type { CallRecord } from '#api/call-record.ts';

import { readArguments } from './arguments.ts';
import { CallError } from './calls/failure.ts';
import {
  calleeOf,
  callerOf,
  durationWords,
  reasonOf,
  requestOf,
  statusCell,
} from './calls/record-words.ts';
import { GrowingColumns } from './traffic/growing-columns.ts';
import type { Io } from './io.ts';
import { allPrintable, cut, printableJson } from './printable.ts';
import {
  noteFailures,
  readWorkload,
  sidecarsOfWorkload,
  type WorkloadName,
} from './sidecars/ask-all.ts';
import { meshOptions, type MeshValues, openSidecars, type OpenSidecars } from './sidecars/open.ts';
import { runWithSidecars } from './sidecars/run.ts';
import type { AskableSidecar, Sidecars } from './sidecars/source.ts';
import { followTraffic, tapPath, type TapQuery } from './sidecars/traffic.ts';
import { onSignal } from './up/signals.ts';

interface TapOptions extends MeshValues {
  readonly of: WorkloadName;
  readonly query: TapQuery;
  /** Records until the end; Infinity: until it is interrupted. */
  readonly limit: number;
  readonly json: boolean;
}

/** Pods of a workload that are followed at a time: each costs a program in it, in a cluster. */
const followedMax = 32;

/** Exit status 0: as many as asked for, or interrupted; 1: the sidecars ended before; 2: wrong usage, or the mesh cannot be asked. */
export async function tap(
  args: string[],
  io: Io,
  open: OpenSidecars = openSidecars,
  interruption: () => AbortSignal = onSignal,
): Promise<number> {
  return runWithSidecars(
    { name: 'tap', io, open },
    () => readOptions(args),
    (sidecars, options) => show(sidecars, options, io, interruption()),
  );
}

async function show(
  sidecars: Sidecars,
  { of, query, limit, json }: TapOptions,
  io: Io,
  interrupted: AbortSignal,
): Promise<number> {
  const list = (): Promise<readonly AskableSidecar[]> => sidecarsOfWorkload(sidecars, of);
  const all = await list();
  if (all.length > followedMax) {
    io.stderr.write(`following ${followedMax} of ${all.length} pods\n`);
  }
  const enough = new AbortController();
  const signal = AbortSignal.any([interrupted, enough.signal]);
  const line = json ? jsonLine : callLine(io);
  let left = limit;
  const heard = await followTraffic(
    all,
    { list, path: tapPath(query), most: followedMax, signal },
    {
      call(record, { namespace, pod }) {
        io.stdout.write(`${line(record, `${namespace}/${pod}`)}\n`);
        left -= 1;
        if (left === 0) enough.abort();
      },
      dropped(count, { namespace, pod }) {
        io.stderr.write(`${count} calls of ${namespace}/${pod} are left out: too many at once\n`);
      },
      lost: (failure) => noteFailures([failure], io.stderr),
    },
  );
  if (signal.aborted) return 0;
  if (heard === 0)
    throw new Error(`no sidecar of ${of.namespace}/${of.workload} could be followed`);
  io.stderr.write('the sidecars have ended\n');
  return 1;
}

function jsonLine(record: CallRecord, pod: string): string {
  return printableJson({ pod, ...record }, 0);
}

const requestColumnsMax = 60;

function callLine({ tty, columns = Infinity }: Io): (record: CallRecord) => string {
  const growing = new GrowingColumns(tty, columns);
  return (raw) => {
    const record = allPrintable(raw);
    const { at, durationMs, reporter } = record;
    return growing.line([
      { text: at.slice(11, 23), colour: 'dim' },
      { text: reporter === 'inbound' ? 'in ' : 'out', colour: 'dim' },
      { text: `${callerOf(record)} -> ${calleeOf(record)}` },
      { text: cut(requestOf(record), requestColumnsMax) },
      statusCell(record),
      { text: durationWords(durationMs), colour: 'dim' },
      { text: reasonOf(record), colour: 'dim' },
    ]);
  };
}

function readOptions(args: string[]): TapOptions {
  const text = { type: 'string' } as const;
  const { values, positionals } = readArguments(args, {
    ...meshOptions,
    direction: text,
    method: text,
    path: text,
    status: text,
    identity: text,
    limit: text,
    output: { type: 'string', short: 'o' },
  });
  const [workload, ...rest] = positionals;
  if (workload === undefined || rest.length > 0) {
    throw new CallError('say whose calls: selvage tap NAMESPACE/WORKLOAD');
  }
  const { direction, method, path, status, identity, limit, output = 'text', ...mesh } = values;
  if (direction !== undefined && direction !== 'inbound' && direction !== 'outbound') {
    throw new CallError(`--direction is inbound or outbound, not "${direction}"`);
  }
  if (limit !== undefined && !/^[1-9]\d{0,8}$/.test(limit)) {
    throw new CallError(`--limit is a whole number from 1, not "${limit}"`);
  }
  if (output !== 'text' && output !== 'json') {
    throw new CallError(`--output is text or json, not "${output}"`);
  }
  return {
    ...mesh,
    of: readWorkload(workload),
    query: { direction, method: method?.toUpperCase(), path, status, identity, limit },
    limit: Number(limit ?? Infinity),
    json: output === 'json',
  };
}
