// Calls as they end, of all sidecars of a workload or of a mesh at once, until there are enough or it is interrupted.
import type { CallRecord } from '#api/call-record.ts';

import { CallError } from '../calls/failure.ts';
import type { Io } from '../io.ts';
import type { AskableSidecar, Sidecars } from '../sidecars/source.ts';
import { onSignal } from '../up/signals.ts';

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
    const { dropped } = line as { readonly dropped?: number };
    if (typeof dropped === 'number') counts.dropped += dropped;
    else if (counts.calls < callsMax) {
      counts.calls += 1;
      onCall(line as CallRecord);
      if (counts.calls === callsMax) stop();
    }
  };
  const path = `/tap?direction=inbound${facts ? '&facts=1' : ''}`;
  const followed = await Promise.allSettled(
    found.map((one) => one.follow(path, onLine, end.signal)),
  );
  if (timer !== null) clearTimeout(timer);
  interrupted.removeEventListener('abort', stop);
  const failures = followed.filter((one) => one.status === 'rejected');
  if (failures.length === found.length) throw failures[0]?.reason;
  for (const { reason } of failures) io.stderr.write(`${String((reason as Error).message)}\n`);
  return { sidecars: found, ...counts };
}

/** Of one workload, or all. @throws CallError that says what there is */
export async function sidecarsOf(
  sidecars: Sidecars,
  workload: string | undefined,
): Promise<readonly AskableSidecar[]> {
  const [namespace] = workload?.split('/') ?? [];
  const listed = await sidecars.list(namespace);
  const found = listed.filter(
    (one) => workload === undefined || `${one.namespace}/${one.workload}` === workload,
  );
  if (found.length > 0) return found;
  const all = namespace === undefined ? listed : await sidecars.list();
  const names = [...new Set(all.map((one) => `${one.namespace}/${one.workload}`))].toSorted();
  const known = names.length === 0 ? 'no sidecar runs' : `there are ${names.join(', ')}`;
  throw new CallError(`there is no sidecar of ${workload ?? 'any workload'}; ${known}`);
}
