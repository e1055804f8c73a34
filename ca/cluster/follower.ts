// Looks every few seconds at what others change in the cluster: the Secret of the roots, and the operator's issuer.
import type { Clock, Timer } from '#runtime/clock.ts';
import type { Log } from '#runtime/log.ts';
import type { Roots } from '../roots.ts';
import type { PluggedFound, PluggedSource } from './plugged-source.ts';

export interface FollowerOptions {
  readonly roots: Roots;
  readonly plugged: PluggedSource;
  /** Of the issuer that was there at start; null: there was none. */
  readonly pluggedVersion: string | null;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Asking is preferred to watching here: it is one small object, and whoever asks knows how old its knowledge is, which a
 * silent watch does not tell.
 */
const everyMs = 3000;

export class Follower {
  readonly #options: FollowerOptions;
  #pluggedVersion: string | null;
  #timer: Timer | null = null;
  #stopped = false;
  /** What fails at present, so that it is logged once. */
  readonly #failing = new Set<string>();

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#pluggedVersion = options.pluggedVersion;
  }

  start(): void {
    this.#timer = this.#options.clock.after(everyMs, () => {
      void this.#look().finally(() => {
        if (!this.#stopped) this.start();
      });
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    const { roots, plugged } = this.#options;
    await this.#try('the roots of the other replicas cannot be read; keeping ours', () =>
      roots.follow(),
    );
    await this.#try("the operator's issuer cannot be read; keeping the present one", async () => {
      const found = await plugged();
      if (found === null) this.#tellGone();
      else if (found.version !== this.#pluggedVersion) await this.#adopt(found);
    });
  }

  async #adopt(found: PluggedFound): Promise<void> {
    const { roots, log } = this.#options;
    let issuer;
    try {
      issuer = await found.issuer();
    } catch (error) {
      // It stays broken until it changes: told once.
      this.#pluggedVersion = found.version;
      log.error({ error }, 'the new issuer is refused; the present one goes on');
      return;
    }
    await roots.adopt(issuer);
    this.#pluggedVersion = found.version;
    log.info({ issuer: issuer.id }, "the operator's issuer was read again");
  }

  #tellGone(): void {
    if (this.#pluggedVersion === null) return;
    this.#pluggedVersion = null;
    this.#options.log.warn(
      {},
      "the operator's issuer is gone: it signs on until this process ends, which then cannot start again",
    );
  }

  async #try(failure: string, step: () => Promise<void>): Promise<void> {
    try {
      await step();
      this.#failing.delete(failure);
    } catch (error) {
      if (!this.#failing.has(failure)) this.#options.log.error({ error }, failure);
      this.#failing.add(failure);
    }
  }
}
