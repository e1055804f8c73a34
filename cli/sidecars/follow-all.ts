// Follows many sidecars at once, and those that come later: pods of a rollout are others after it.
import { setTimeout as sleep } from 'node:timers/promises';

import type { Failure } from './ask-all.ts';
import type { AskableSidecar } from './source.ts';

export interface FollowOptions {
  /** Path of what is followed, with its query. */
  readonly path: string;
  /** Those there are, asked again and again; what it throws means that there are none. */
  list(): Promise<readonly AskableSidecar[]>;
  /** So many at a time: in a cluster each costs a program in its pod. */
  readonly most: number;
  readonly signal: AbortSignal;
}

export interface FollowEvents {
  line(value: unknown, sidecar: AskableSidecar): void;
  /** It cannot be followed; the others go on. Told once for each, and not of those that end after they have answered. */
  lost(failure: Failure): void;
}

const lookEveryMs = 5000;
/** After one has ended: another may take its place. */
const lookSoonMs = 1000;
/** When the last one has ended: so many looks are waited for a successor. */
const patience = 2;

/**
 * Until the signal is aborted, or nobody is there any more who could be followed.
 * @param first what `list` said just now
 * @return how many could be followed at all
 */
export async function followAll(
  first: readonly AskableSidecar[],
  options: FollowOptions,
  events: FollowEvents,
): Promise<number> {
  const { signal } = options;
  const followers = new Followers(options, events);
  let alone = 0;
  for (let all = first; ; all = await options.list().catch(() => [])) {
    followers.begin(all);
    await followers.pause();
    if (signal.aborted) break;
    alone = followers.size === 0 ? alone + 1 : 0;
    if (followers.size === 0 && (followers.heard === 0 || alone > patience)) break;
  }
  await followers.ended();
  return followers.heard;
}

class Followers {
  readonly #options: FollowOptions;
  readonly #events: FollowEvents;
  /** By pod. */
  readonly #open = new Map<string, Promise<void>>();
  /** Pods that have answered, or of which it was said that they do not: there is nothing new to say when they are gone. */
  readonly #gone = new Set<string>();
  /** Pods that came later and have not answered yet: their sidecar may just be starting. */
  readonly #coming = new Set<string>();
  #looks = 0;
  heard = 0;

  constructor(options: FollowOptions, events: FollowEvents) {
    this.#options = options;
    this.#events = events;
  }

  get size(): number {
    return this.#open.size;
  }

  begin(all: readonly AskableSidecar[]): void {
    this.#looks += 1;
    for (const sidecar of all) {
      if (this.#open.size >= this.#options.most) return;
      const pod = `${sidecar.namespace}/${sidecar.pod}`;
      if (!this.#open.has(pod)) this.#open.set(pod, this.#follow(pod, sidecar));
    }
  }

  /** Until it is time to look again. */
  async pause(): Promise<void> {
    const over = new AbortController();
    const signal = AbortSignal.any([this.#options.signal, over.signal]);
    const pass = (ms: number): Promise<unknown> => sleep(ms, null, { signal }).catch(() => null);
    const oneEnds = Promise.race(this.#open.values());
    const soon = this.size === 0 ? pass(lookSoonMs) : oneEnds.then(() => this.#settle(pass));
    await Promise.race([soon, pass(lookEveryMs)]);
    over.abort();
  }

  async ended(): Promise<void> {
    await Promise.all(this.#open.values());
  }

  /** Where all have failed at once there is nothing to wait for. */
  async #settle(pass: (ms: number) => Promise<unknown>): Promise<void> {
    if (this.size > 0 || this.heard > 0) await pass(lookSoonMs);
  }

  async #follow(pod: string, sidecar: AskableSidecar): Promise<void> {
    const { path, signal } = this.#options;
    const line = (value: unknown): void => {
      // What was on its way when somebody had enough.
      if (!signal.aborted) this.#events.line(value, sidecar);
    };
    const onOpen = (): void => {
      this.heard += 1;
      // A pod that ends is cut off rather than ended in good order.
      this.#gone.add(pod);
    };
    try {
      await sidecar.follow(path, line, signal, onOpen);
    } catch (reason) {
      if (!signal.aborted) this.#failed(pod, sidecar, reason);
    }
    this.#open.delete(pod);
  }

  #failed(pod: string, sidecar: AskableSidecar, reason: unknown): void {
    if (this.#gone.has(pod)) return;
    if (this.#looks > 1 && !this.#coming.has(pod)) {
      this.#coming.add(pod);
      return;
    }
    this.#gone.add(pod);
    const error = reason instanceof Error ? reason : new Error(String(reason));
    this.#events.lost({ sidecar, error });
  }
}
