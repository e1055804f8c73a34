// Every connected sidecar, by workload: who gets which snapshot, who waits for a workload that is not known yet.
import type { Snapshot } from '#api/snapshot.ts';

import type { Hello } from './messages.ts';
import type { Session, SessionState } from './session.ts';

export interface SessionLimits {
  /** A ping to every idle sidecar this often; a sidecar gives a silent connection up after three. */
  readonly pingEveryMs: number;
  /** A sidecar that neither accepts nor refuses an update for so long is disconnected. */
  readonly answerTimeoutMs: number;
  /** A connection lives so long (less up to a tenth), so that an expired certificate does not keep one. */
  readonly ageMaxMs: number;
}

/** Newest snapshot of a sidecar; null: control has never seen its workload, or its pod. */
export type SnapshotOf = (hello: Hello) => Snapshot | null;

export class Sessions {
  readonly #snapshotOf: SnapshotOf;
  readonly #limits: SessionLimits;
  readonly #byWorkload = new Map<string, Set<Session>>();
  readonly #waiting = new Set<() => void>();
  readonly #timer: NodeJS.Timeout;
  #count = 0;

  constructor(snapshotOf: SnapshotOf, limits: SessionLimits) {
    this.#snapshotOf = snapshotOf;
    this.#limits = limits;
    this.#timer = setInterval(() => this.#look(), limits.pingEveryMs);
    this.#timer.unref();
  }

  get count(): number {
    return this.#count;
  }

  add(session: Session): void {
    const key = keyOf(session);
    const peers = this.#byWorkload.get(key) ?? new Set();
    peers.add(session);
    this.#byWorkload.set(key, peers);
    this.#count += 1;
    const snapshot = this.#snapshotOf(session.hello);
    if (snapshot !== null) session.offer(snapshot, null);
  }

  remove(session: Session): void {
    const key = keyOf(session);
    const peers = this.#byWorkload.get(key);
    if (peers?.delete(session) !== true) return;
    this.#count -= 1;
    if (peers.size === 0) this.#byWorkload.delete(key);
  }

  /** Offers every sidecar the newest snapshot of its workload. @param changedAtMs when the change was noticed */
  publish(changedAtMs: number): void {
    for (const peers of this.#byWorkload.values()) {
      for (const session of peers) {
        const snapshot = this.#snapshotOf(session.hello);
        // A workload or a pod that vanished: its sidecars keep what they have.
        if (snapshot === null) continue;
        if (snapshot.workload.serviceAccount === session.serviceAccount) {
          session.offer(snapshot, changedAtMs);
        } else {
          // The workload now runs as another account; the peer has to prove that it is that one.
          session.close();
        }
      }
    }
    for (const wake of this.#waiting) wake();
  }

  /** The snapshot of a sidecar as soon as control knows it; null when `timeoutMs` pass without. */
  async snapshotWithin(hello: Hello, timeoutMs: number): Promise<Snapshot | null> {
    const known = this.#snapshotOf(hello);
    if (known !== null) return known;
    const { promise, resolve } = Promise.withResolvers<Snapshot | null>();
    const wake = (): void => {
      const snapshot = this.#snapshotOf(hello);
      if (snapshot !== null) resolve(snapshot);
    };
    const timer = setTimeout(() => resolve(null), timeoutMs);
    this.#waiting.add(wake);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(wake);
    }
  }

  has(workload: string): boolean {
    return this.#byWorkload.has(workload);
  }

  list(): Session[] {
    return [...this.#byWorkload.values()].flatMap((peers) => [...peers]);
  }

  states(): SessionState[] {
    return this.list().map((session) => session.state());
  }

  close(): void {
    clearInterval(this.#timer);
    for (const peers of this.#byWorkload.values()) {
      for (const session of peers) session.close();
    }
  }

  #look(): void {
    for (const peers of this.#byWorkload.values()) {
      for (const session of peers) {
        const old = session.ageMs() > this.#limits.ageMaxMs * (1 - 0.1 * session.spread);
        if (old || session.waitingMs() > this.#limits.answerTimeoutMs) session.close();
        else session.ping();
      }
    }
  }
}

function keyOf(session: Session): string {
  return `${session.hello.namespace}/${session.hello.workload}`;
}
