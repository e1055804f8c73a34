// Calls as they end, of all sidecars of a workload or of a mesh at once, until there are enough or it is interrupted.
import type { CallRecord } from '#api/call-record.ts';

import type { Io } from '../io.ts';
import { printable } from '../printable.ts';
import { listSidecars, readWorkload, sidecarsOfWorkload } from '../sidecars/ask-all.ts';
import { callRecordOf, droppedOf } from '../sidecars/records.ts';
import type { AskableSidecar, Sidecars } from '../sidecars/source.ts';
import { onSignal } from '../up/signals.ts';
import { areFacts } from './format.ts';

export interface Tapping {
  /** `namespace/workload`; left out: all. */
  readonly workload?: string;
  readonly facts: boolean;
  /** Infinity: until it is interrupted. */
  readonly forMs: number;
  readonly callsMax: number;
}

export interface Tapped {
  readonly sidecars: readonly AskableSidecar[];
  readonly calls: number;
  /** Calls that came faster than they could be told. */
  readonly dropped: number;
}

/** @throws CallError when there is no such sidecar, or none can be listened to */
export async function tapCalls(
  sidecars: Sidecars,
  { workload, facts, forMs, callsMax }: Tapping,
  io: Io,
  onCall: (call: CallRecord) => void,
): Promise<Tapped> {
  const found = await sidecarsOf(sidecars, workload);
  const end = new AbortController();
  const interrupted = onSignal();
  const stop = (): void => end.abort();
  interrupted.addEventListener('abort', stop);
  const timer = Number.isFinite(forMs) ? setTimeout(stop, forMs) : null;
  const counts = { calls: 0, dropped: 0 };
  const onLine = (line: unknown): void => {
    counts.dropped += droppedOf(line);
    const call = callOf(line);
    if (call === null || counts.calls >= callsMax) return;
    counts.calls += 1;
    onCall(call);
    if (counts.calls === callsMax) stop();
  };
  const path = `/tap?direction=inbound${facts ? '&facts=1' : ''}`;
  const followed = await Promise.allSettled(
    found.map((one) => one.follow(path, onLine, end.signal)),
  );
  if (timer !== null) clearTimeout(timer);
  interrupted.removeEventListener('abort', stop);
  const failures = followed.filter((one) => one.status === 'rejected');
  if (failures.length === found.length) throw failures[0]?.reason;
  for (const { reason } of failures) {
    io.stderr.write(`${printable((reason as Error).message)}\n`);
  }
  return { sidecars: found, ...counts };
}

/** Of one workload, or all. @throws CallError that says what there is */
export async function sidecarsOf(
  sidecars: Sidecars,
  workload: string | undefined,
): Promise<readonly AskableSidecar[]> {
  return workload === undefined
    ? listSidecars(sidecars)
    : sidecarsOfWorkload(sidecars, readWorkload(workload));
}

/** Null: the line is no call. */
function callOf(line: unknown): CallRecord | null {
  const call = callRecordOf(line);
  if (call === null) return null;
  const { facts } = line as { readonly facts?: unknown };
  return areFacts(facts) ? { ...call, facts } : call;
}
