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
  /** Where the mesh itself serves this source, as text; null, as without it: nowhere, or it is elsewhere. */
  readonly placeOf?: (source: KeySource) => string | null;
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
/** An issuer that starts together with its policies is often there a moment later. */
const eagerMs = 200;

interface Entry {
  wanted: WantedKeys;
  keys: string | null;
  error: string | null;
  readonly wantedAtMs: number;
  /** Resolves when there are keys, or when none are wanted any more. */
  readonly had: PromiseWithResolvers<void>;
  place: string | null;
  /** Of the last fetch that was begun: the failure of an earlier one says nothing any more. */
  attempt: number;
  /** Of the fetch that the keys are of; 0: there are none. */
  goodAttempt: number;
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

  /**
   * Says which key sets are in use: new ones are fetched at once, others forgotten. Those whose issuer has come up or moved within
   * the mesh are fetched again: the last answer, or the lack of one, was another place's.
   */
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
      if (entry === undefined) this.#add(key, source);
      else {
        entry.wanted = source;
        this.#lookAtPlace(entry);
      }
    }
  }

  state(source: KeySource): KeyState {
    const { keys = null, error = null } = this.#entries.get(keyOf(source)) ?? {};
    return { keys, error };
  }

  /**
   * Resolves when there are keys of every wanted set, or when `waitMaxMs` have passed since the last one without was wanted
   * first: an issuer that stays away holds up one publication, not all that follow.
   */
  async ready(waitMaxMs: number): Promise<void> {
    const now = this.#clock.now();
    const waiting = [...this.#entries.values()].filter(
      ({ keys, wantedAtMs }) => keys === null && now - wantedAtMs < waitMaxMs,
    );
    if (waiting.length === 0) return;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const lastMs = Math.max(...waiting.map(({ wantedAtMs }) => wantedAtMs)) + waitMaxMs;
    const timer = this.#clock.after(lastMs - now, resolve);
    await Promise.race([Promise.all(waiting.map(({ had }) => had.promise)), late]);
    timer.cancel();
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
      wantedAtMs: this.#clock.now(),
      had: Promise.withResolvers<void>(),
      place: this.#placeOf(wanted),
      attempt: 0,
      goodAttempt: 0,
      backoff: new Backoff({ firstMs: minuteMs, maxMs: 60 * minuteMs, jitter: 0.1, random }),
      eager: new Backoff({ firstMs: eagerMs, maxMs: minuteMs, jitter: 0.1, random }),
      timer: null,
      dropped: false,
    };
    this.#entries.set(key, entry);
    void this.#fetch(entry);
  }

  #drop(key: string, entry: Entry): void {
    entry.dropped = true;
    entry.timer?.cancel();
    entry.had.resolve();
    this.#entries.delete(key);
  }

  #placeOf(source: KeySource): string | null {
    return this.#options.placeOf?.(source) ?? null;
  }

  #lookAtPlace(entry: Entry): void {
    const place = this.#placeOf(entry.wanted);
    if (place === entry.place) return;
    entry.place = place;
    // Nobody is there to be asked.
    if (place === null) return;
    entry.timer?.cancel();
    entry.eager.reset();
    entry.backoff.reset();
    void this.#fetch(entry);
  }

  async #fetch(entry: Entry): Promise<void> {
    const { fetchKeys, onChange, random = Math.random } = this.#options;
    const attempt = ++entry.attempt;
    const { uri, issuer, timeoutMs } = entry.wanted;
    const answer = await fetchKeys({ uri, issuer }, timeoutMs).then(
      (keys) => ({ keys, error: null }),
      (error: unknown) => ({
        keys: null,
        error: error instanceof Error ? error.message : String(error),
      }),
    );
    const isLast = attempt === entry.attempt;
    if (entry.dropped || (answer.keys === null ? !isLast : attempt < entry.goodAttempt)) return;
    const before = { keys: entry.keys, error: entry.error };
    entry.error = answer.error;
    let waitMs: number;
    if (answer.keys !== null) {
      entry.keys = answer.keys;
      entry.goodAttempt = attempt;
      entry.backoff.reset();
      entry.had.resolve();
      waitMs = refreshMs * (1 + 0.05 * (random() * 2 - 1));
    } else {
      waitMs = (entry.keys === null ? entry.eager : entry.backoff).next();
      this.#warn(entry, waitMs);
    }
    // One that is on its way goes on by itself.
    if (isLast) entry.timer = this.#clock.after(waitMs, () => void this.#fetch(entry));
    if (entry.keys !== before.keys || entry.error !== before.error) onChange();
  }

  #warn({ wanted: { issuer, uri }, keys, error }: Entry, waitMs: number): void {
    const fields = { issuer, uri, reason: error, retryInMs: Math.round(waitMs) };
    const { log } = this.#options;
    if (keys === null) log.warn(fields, 'no keys of an issuer: its tokens are refused');
    else log.warn(fields, 'keys not refreshed; the last good ones stay');
  }
}

function keyOf({ uri, issuer }: KeySource): string {
  return uri === '' ? `issuer ${issuer}` : uri;
}
