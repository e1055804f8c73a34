// The last failures and refusals of this sidecar, each as the JSON of its record: found by id or read newest first.
import type { CallRecord } from '#api/call-record.ts';

import { asciiJson } from '../telemetry/escape.ts';

/** Oldest ones go. */
export const recentMax = 256;
/** Of one record: 2 MiB in all. */
export const recordBytesMax = 8192;

export interface KeptRecord {
  /** Milliseconds since 1970, when it was kept. */
  readonly atMs: number;
  /** ASCII. */
  readonly json: string;
}

interface Kept extends KeptRecord {
  readonly id: string;
  readonly verdict: CallRecord['verdict'];
}

/** Text in place of objects, so that nothing of a request is held alive by what is remembered of it. */
export class Recent {
  readonly #kept: Kept[] = [];
  #next = 0;

  add(record: CallRecord, nowMs: number): void {
    const { id, verdict } = record;
    this.#kept[this.#next] = { id, verdict, atMs: nowMs, json: boundedJson(record) };
    this.#next = (this.#next + 1) % recentMax;
  }

  /** The newest of that id: both sides of a call may have failed here. Null: there is none, or none any more. */
  find(id: string): string | null {
    return this.#newestFirst().find((kept) => kept.id === id)?.json ?? null;
  }

  /** Newest first. @param verdict null: either */
  list(countMax: number, verdict: CallRecord['verdict']): KeptRecord[] {
    const kept = this.#newestFirst().filter((one) => verdict === null || one.verdict === verdict);
    return kept.slice(0, countMax).map(({ atMs, json }) => ({ atMs, json }));
  }

  #newestFirst(): Kept[] {
    const { length } = this.#kept;
    return Array.from(
      { length },
      (_, i) => this.#kept[(this.#next - 1 - i + 2 * length) % length]!,
    );
  }
}

function boundedJson(record: CallRecord): string {
  const json = asciiJson(record);
  if (json.length <= recordBytesMax) return json;
  const { nearest: _nearest, dryRun: _dryRun, ...rest } = record;
  const shorter = asciiJson(rest);
  if (shorter.length <= recordBytesMax) return shorter;
  const texts = Object.entries(rest).map(([key, value]: [string, unknown]) => [
    key,
    typeof value === 'string' ? value.slice(0, 64) : value,
  ]);
  return asciiJson(Object.fromEntries(texts));
}
