// Calls of many sidecars as they happen, in one stream.
import type { CallRecord } from '#api/call-record.ts';

import type { Failure } from './ask-all.ts';
import { followAll, type FollowOptions } from './follow-all.ts';
import { callRecordOf, droppedOf } from './records.ts';
import type { AskableSidecar } from './source.ts';

export interface TrafficEvents {
  /** @param line what the sidecar wrote, which may say more */
  call(record: CallRecord, sidecar: AskableSidecar, line: unknown): void;
  /** So many calls were not told of: this reader is too slow. */
  dropped(count: number, sidecar: AskableSidecar): void;
  /** Nothing comes from it, or nothing more; the others go on. */
  lost(failure: Failure): void;
}

/** As `followAll`, of taps. */
export function followTraffic(
  first: readonly AskableSidecar[],
  options: FollowOptions,
  events: TrafficEvents,
): Promise<number> {
  return followAll(first, options, {
    line(value, sidecar) {
      const record = callRecordOf(value);
      if (record !== null) events.call(record, sidecar, value);
      const dropped = droppedOf(value);
      if (dropped > 0) events.dropped(dropped, sidecar);
    },
    lost: (failure) => events.lost(failure),
  });
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
