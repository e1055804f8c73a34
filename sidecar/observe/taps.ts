// The taps that are open on one data plane. With none, `on` is all that a request is asked.
import type { CallRecord } from '#api/call-record.ts';

import type { Exchange } from '../exchange.ts';
import { asciiJson } from '../telemetry/escape.ts';
import type { TcpSession } from '../telemetry/types.ts';
import { compileTapFilter, type TapFilter, type TapMatcher } from './tap-filter.ts';
import { TapQueue, type Taken } from './tap-queue.ts';

interface Tap {
  readonly id: number;
  readonly matcher: TapMatcher;
  readonly facts: boolean;
  readonly queue: TapQueue;
  /** performance.now() of the last time that its reader asked. */
  askedAtMs: number;
}

/** How long a reader is kept waiting for a call. */
export const pollMs = 500;
/** A reader that has not asked for so long has gone without a word. */
const abandonedMs = 15_000;

export class Taps {
  /** Whether anybody listens. */
  on = false;
  readonly #taps = new Map<number, Tap>();

  /** Opens a tap at the first time, then gives what has come since the last. Waits at most `pollMs`. */
  async take(id: number, filter: TapFilter): Promise<Taken> {
    const tap = this.#taps.get(id);
    if (tap === undefined) {
      this.#open(id, filter);
      return nothing;
    }
    const taken = await tap.queue.take(pollMs);
    tap.askedAtMs = performance.now();
    return taken ?? nothing;
  }

  close(id: number): void {
    this.#taps.get(id)?.queue.end();
    this.#taps.delete(id);
    this.on = this.#taps.size > 0;
  }

  /** @param record made for the first tap that wants the call; with facts or without */
  exchange(x: Exchange, record: (facts: boolean) => CallRecord): void {
    this.#tell((matcher) => matcher.exchange(x), record, x.finishedAtMs);
  }

  session(session: TcpSession, record: (facts: boolean) => CallRecord): void {
    this.#tell((matcher) => matcher.session(session), record, session.closedAtMs);
  }

  #open(id: number, filter: TapFilter): void {
    const matcher = compileTapFilter(filter);
    const askedAtMs = performance.now();
    this.#taps.set(id, { id, matcher, facts: filter.facts, queue: new TapQueue(), askedAtMs });
    this.on = true;
  }

  #tell(
    wants: (matcher: TapMatcher) => boolean,
    record: (facts: boolean) => CallRecord,
    nowMs: number,
  ): void {
    const lines: [without: string, with_: string] = ['', ''];
    for (const tap of this.#taps.values()) {
      if (nowMs - tap.askedAtMs > abandonedMs) this.close(tap.id);
      else if (wants(tap.matcher)) {
        const which = tap.facts ? 1 : 0;
        tap.queue.push((lines[which] ||= asciiJson(record(tap.facts))));
      }
    }
  }
}

const nothing: Taken = { lines: [], dropped: 0 };
