// Every live downstream connection: registered before it is judged, judged again on each change.
import type { Enforced } from './in-force.ts';

export interface LiveConnection {
  /** Date.now() at which it must be over: of a handshake, of the peer's certificate; 0: never. */
  readonly deadlineMs: number;
  /** Why it may no longer live under what is now in force; '' when it may. */
  judge(enforced: Enforced): string;
  /** Ends it now. The reason is for the log. */
  close(reason: string): void;
  /** Lets what is under way finish, takes nothing new, then ends. */
  drain(): void;
  /** Its deadline has passed. */
  expire(): void;
}

/** How often deadlines are looked at; they are good to this. */
export const sweepEveryMs = 1000;

export class Connections {
  readonly #live = new Set<LiveConnection>();
  readonly #sweeper: NodeJS.Timeout;
  #draining = false;
  #emptied: (() => void) | null = null;

  constructor() {
    this.#sweeper = setInterval(() => this.#sweep(), sweepEveryMs);
    this.#sweeper.unref();
  }

  get size(): number {
    return this.#live.size;
  }

  add(connection: LiveConnection): void {
    this.#live.add(connection);
    if (this.#draining) connection.drain();
  }

  delete(connection: LiveConnection): void {
    this.#live.delete(connection);
    if (this.#live.size === 0) this.#emptied?.();
  }

  /** Closes what policy no longer admits. Returns how many. */
  judgeAll(enforced: Enforced): number {
    let closed = 0;
    for (const connection of this.#live) {
      const reason = connection.judge(enforced);
      if (reason === '') continue;
      connection.close(reason);
      closed += 1;
    }
    return closed;
  }

  /** Drains all; after `timeoutMs` closes what is left. Resolves when none is. */
  async drain(timeoutMs: number): Promise<void> {
    this.#draining = true;
    for (const connection of this.#live) connection.drain();
    if (this.#live.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#emptied = resolve;
      const timer = setTimeout(resolve, timeoutMs);
      await promise;
      clearTimeout(timer);
      for (const connection of this.#live) connection.close('draining');
    }
    clearInterval(this.#sweeper);
  }

  #sweep(): void {
    const nowMs = Date.now();
    for (const connection of this.#live) {
      if (connection.deadlineMs !== 0 && connection.deadlineMs <= nowMs) connection.expire();
    }
  }
}
