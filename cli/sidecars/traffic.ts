// Calls of many sidecars as they happen, in one stream.
import type { CallRecord } from '#api/call-record.ts';

import type { Failure } from './ask-all.ts';
import { callRecordOf, droppedOf } from './records.ts';
import type { AskableSidecar } from './source.ts';

export interface TrafficEvents {
  call(record: CallRecord, sidecar: AskableSidecar): void;
  /** So many calls were not told of: this reader is too slow. */
  dropped(count: number, sidecar: AskableSidecar): void;
  /** Nothing more comes from it; the others go on. */
  lost(failure: Failure): void;
}

/**
 * Until the signal is aborted, or each of them has ended.
 * @param path of the tap, with its query
 * @return how many could be followed at all
 */
export async function followTraffic(
  sidecars: readonly AskableSidecar[],
  path: string,
  events: TrafficEvents,
  signal: AbortSignal,
): Promise<number> {
  let followed = 0;
  await Promise.all(
    sidecars.map(async (sidecar) => {
      try {
        await sidecar.follow(path, (value) => take(value, sidecar, events, signal), signal);
        followed += 1;
      } catch (error) {
        if (signal.aborted) return;
        events.lost({ sidecar, error: error instanceof Error ? error : new Error(String(error)) });
      }
    }),
  );
  return followed;
}

function take(
  value: unknown,
  sidecar: AskableSidecar,
  events: TrafficEvents,
  signal: AbortSignal,
): void {
  // What was on its way when somebody had enough.
  if (signal.aborted) return;
  const record = callRecordOf(value);
  if (record !== null) events.call(record, sidecar);
  const dropped = droppedOf(value);
  if (dropped > 0) events.dropped(dropped, sidecar);
}

export interface TapQuery {
  readonly direction?: string;
  readonly method?: string;
  readonly path?: string;
  readonly status?: string;
  readonly identity?: string;
  readonly limit?: string;
}

/** Path of the admin endpoint; what is left out is not asked for. */
export function tapPath(query: TapQuery): string {
  const given = Object.entries(query).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  const text = new URLSearchParams(given).toString();
  return text === '' ? '/tap' : `/tap?${text}`;
}
