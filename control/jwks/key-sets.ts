// The key sets of all issuers in use: fetched once each, refreshed, the last good ones kept.
import { Backoff } from '#runtime/backoff.ts';
import { systemClock, type Clock, type Timer } from '#runtime/clock.ts';
import type { Log } from '#runtime/log.ts';

import type { KeySource } from './fetch.ts';

export interface WantedKeys extends KeySource {
  readonly timeoutMs: number;
}

export interface KeySetsOptions {
  /** Rejects with what went wrong. */
  readonly fetchKeys: (source: KeySource, timeoutMs: number) => Promise<string>;
  /** A key set came or changed, or the reason why there is none did. */
  readonly onChange: () => void;
  readonly log: Log;
  readonly clock?: Clock;
  readonly random?: () => number;
}

export interface KeyState {
  /** `{"keys":[…]}`; null: none could be had so far. */
  readonly keys: string | null;
  /** Why the last fetch failed; null after a success and before the first end. */
  readonly error: string | null;
}

const refreshMs = 20 * 60_000;
const minuteMs = 60_000;

interface Entry {
  wanted: WantedKeys;
  keys: string | null;
  error: string | null;
  /** Resolves when the first fetch has ended, well or badly. */
  readonly tried: PromiseWithResolvers<void>;
  readonly backoff: Backoff;
  /** While there are no keys at all, tries are closer: every token of the issuer is refused meanwhile. */
  readonly eager: Backoff;
  timer: Timer | null;
  dropped: boolean;
}

export class KeySets {
  readonly #options: KeySetsOptions;
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();

  constructor(options: KeySetsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Says which key sets are in use: new ones are fetched at once, others forgotten. */
  want(all: readonly WantedKeys[]): void {
    const wanted = new Map<string, WantedKeys>();
    for (const source of all) {
      const key = keyOf(source);
      const before = wanted.get(key);
      // Rules that share a source may differ in patience: the longest counts.
      if (before === undefined || before.timeoutMs < source.timeoutMs) wanted.set(key, source);
    }
    for (const [key, entry] of this.#entries) {
      if (!wanted.has(key)) this.#drop(key, entry);
    }
    for (const [key, source] of wanted) {
      const entry = this.#entries.get(key);
      if (entry !== undefined) entry.wanted = source;
      else this.#add(key, source);
    }
  }

  state(source: KeySource): KeyState {
    const { keys = null, error = null } = this.#entries.get(keyOf(source)) ?? {};
    return { keys, error };
  }

  /** Resolves when every wanted key set was tried once, or after `waitMaxMs`. */
  async tried(waitMaxMs: number): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, waitMaxMs);
    const all = Promise.all([...this.#entries.values()].map((entry) => entry.tried.promise));
    await Promise.race([all, late]);
    clearTimeout(timer);
  }

  stop(): void {
    for (const [key, entry] of this.#entries) this.#drop(key, entry);
  }

  #add(key: string, wanted: WantedKeys): void {
    const { random } = this.#options;
    const entry: Entry = {
      wanted,
      keys: null,
      error: null,
      tried: Promise.withResolvers<void>(),
      backoff: new Backoff({ firstMs: minuteMs, maxMs: 60 * minuteMs, jitter: 0.1, random }),
      eager: new Backoff({ firstMs: 1000, maxMs: minuteMs, jitter: 0.1, random }),
      timer: null,
      dropped: false,
    };
    this.#entries.set(key, entry);
    void this.#fetch(entry);
  }

  #drop(key: string, entry: Entry): void {
    entry.dropped = true;
    entry.timer?.cancel();
    entry.tried.resolve();
    this.#entries.delete(key);
  }

  async #fetch(entry: Entry): Promise<void> {
    const { fetchKeys, log, onChange, random = Math.random } = this.#options;
    const before = { keys: entry.keys, error: entry.error };
    const { uri, issuer, timeoutMs } = entry.wanted;
    let waitMs: number;
    try {
      entry.keys = await fetchKeys({ uri, issuer }, timeoutMs);
      entry.error = null;
      entry.backoff.reset();
      waitMs = refreshMs * (1 + 0.05 * (random() * 2 - 1));
    } catch (error) {
      entry.error = error instanceof Error ? error.message : String(error);
      waitMs = (entry.keys === null ? entry.eager : entry.backoff).next();
      const fields = { issuer, uri, reason: entry.error, retryInMs: Math.round(waitMs) };
      if (entry.keys === null) log.warn(fields, 'no keys of an issuer: its tokens are refused');
      else log.warn(fields, 'keys not refreshed; the last good ones stay');
    }
    if (entry.dropped) return;
    entry.timer = this.#clock.after(waitMs, () => void this.#fetch(entry));
    entry.tried.resolve();
    if (entry.keys !== before.keys || entry.error !== before.error) onChange();
  }
}

function keyOf({ uri, issuer }: KeySource): string {
  return uri === '' ? `issuer ${issuer}` : uri;
}
