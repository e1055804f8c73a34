// Calls as they end, of all sidecars of a workload or of a mesh at once, until there are enough or it is interrupted.
import type { CallRecord } from '#api/call-record.ts';

import type { Io } from '../io.ts';
import {
  type Failure,
  listSidecars,
  noteFailures,
  readWorkload,
  sidecarsOfWorkload,
} from '../sidecars/ask-all.ts';
import type { AskableSidecar, Sidecars } from '../sidecars/source.ts';
import { followTraffic } from '../sidecars/traffic.ts';
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
  /** One of each workload, the last that came. */
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
  const known = new Map<string, AskableSidecar>();
  const list = async (): Promise<readonly AskableSidecar[]> => {
    const all = await sidecarsOf(sidecars, workload);
    for (const one of all) known.set(`${one.namespace}/${one.workload}`, one);
    return all;
  };
  const found = await list();
  const end = new AbortController();
  const interrupted = onSignal();
  const stop = (): void => end.abort();
  interrupted.addEventListener('abort', stop);
  const timer = Number.isFinite(forMs) ? setTimeout(stop, forMs) : null;
  const counts = { calls: 0, dropped: 0 };
  const lost: Failure[] = [];
  const path = `/tap?direction=inbound${facts ? '&facts=1' : ''}`;
  const heard = await followTraffic(
    found,
    // All of them: a recording misses nobody.
    { list, path, most: Infinity, signal: end.signal },
    {
      call(call, _, line) {
        counts.calls += 1;
        onCall(withFacts(call, line));
        if (counts.calls === callsMax) stop();
      },
      dropped: (count) => void (counts.dropped += count),
      lost: (failure) => void lost.push(failure),
    },
  );
  if (timer !== null) clearTimeout(timer);
  interrupted.removeEventListener('abort', stop);
  if (heard === 0 && lost[0] !== undefined) throw lost[0].error;
  noteFailures(lost, io.stderr);
  return { sidecars: [...known.values()], ...counts };
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

function withFacts(call: CallRecord, line: unknown): CallRecord {
  const { facts } = line as { readonly facts?: unknown };
  return areFacts(facts) ? { ...call, facts } : call;
}
