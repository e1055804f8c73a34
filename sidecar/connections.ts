// Every live downstream connection: registered before it is judged, judged again on each change.
import type { Enforced } from './in-force.ts';

export interface LiveConnection {
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Date.now() at which the peer's certificate ends, and the connection with it; 0: never. */
  readonly deadlineMs: number;
  /** Why it may no longer live under what is now in force; '' when it may. */
  judge(enforced: Enforced): string;
  /** Ends it because of `judge` or its deadline; an exchange that was admitted may finish. */
  revoke(): void;
  /** Lets what is under way finish, takes nothing new, then ends. */
  drain(): void;
  /** Ends it now. */
  close(): void;
}

/** How often deadlines are looked at; they are good to this. */
export const sweepEveryMs = 1000;

export class Connections {
  readonly #live = new Set<LiveConnection>();
  readonly #sweeper: NodeJS.Timeout;
  /** Told of each connection that policy or its deadline ended, and why. */
  readonly #onRevoked: (connection: LiveConnection, reason: string) => void;
  #draining = false;
  #emptied: (() => void) | null = null;

  constructor(onRevoked: (connection: LiveConnection, reason: string) => void) {
    this.#onRevoked = onRevoked;
    this.#sweeper = setInterval(() => this.#sweep(), sweepEveryMs);
    this.#sweeper.unref();
  }

  get size(): number {
    return this.#live.size;
  }

  add(connection: LiveConnection): void {
    this.#live.add(connection);
  }

  delete(connection: LiveConnection): void {
    this.#live.delete(connection);
    if (this.#live.size === 0) this.#emptied?.();
  }

  /** True once a drain has begun: what is established from then on must be drained too. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Ends what policy no longer admits. */
  judgeAll(enforced: Enforced): void {
    for (const connection of this.#live) {
      const reason = connection.judge(enforced);
      if (reason !== '') this.#revoke(connection, reason);
    }
  }

  /** Drains all that are here and, by `draining`, those that still come. */
  beginDrain(): void {
    this.#draining = true;
    for (const connection of this.#live) connection.drain();
  }

  /** Drains all; after `timeoutMs` closes what is left. Resolves when none is. */
  async drain(timeoutMs: number): Promise<void> {
    this.beginDrain();
    if (this.#live.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#emptied = resolve;
      const timer = setTimeout(resolve, timeoutMs);
      await promise;
      clearTimeout(timer);
      for (const connection of this.#live) connection.close();
    }
    clearInterval(this.#sweeper);
  }

  #sweep(): void {
    const nowMs = Date.now();
    for (const connection of this.#live) {
      if (connection.deadlineMs === 0 || connection.deadlineMs > nowMs) continue;
      this.#revoke(connection, "the peer's certificate has expired");
    }
  }

  #revoke(connection: LiveConnection, reason: string): void {
    this.#onRevoked(connection, reason);
    connection.revoke();
  }
}
