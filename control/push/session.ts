// One connected sidecar: what it has, what is on its way, and what it should have.
import type { Snapshot } from '#api/snapshot.ts';

import { encodePing, encodeUpdate, lineBytes, type Line } from './encode.ts';
import { MessageRefused, type Hello } from './messages.ts';

/** The writing half of a stream, as the session needs it. */
export interface Writer {
  write(line: Line): void;
  /** Ends the stream; the peer may connect again. */
  end(): void;
}

/** What the session tells its surroundings. */
export interface SessionEvents {
  pushed(kind: 'snapshot' | 'delta', bytes: number): void;
  /** @param lagMs since the change was noticed; null where the peer connected after it */
  acked(version: number, lagMs: number | null): void;
  nacked(version: number, reason: string): void;
}

export interface SessionState {
  readonly namespace: string;
  readonly workload: string;
  readonly pod: string;
  /** Of the software. */
  readonly softwareVersion: string;
  /** RFC 3339. */
  readonly connectedAt: string;
  /** The snapshot that the sidecar said it enforces; 0: none known yet. */
  readonly acked: number;
  /** RFC 3339; null: never. */
  readonly ackedAt: string | null;
  /** The snapshot that it should have. */
  readonly wanted: number;
  /** The last refusal, until a later snapshot is accepted. */
  readonly refused: { readonly version: number; readonly reason: string } | null;
}

interface InFlight {
  readonly snapshot: Snapshot;
  readonly whole: boolean;
  readonly sinceMs: number;
  /** When the oldest change in it was noticed; null: it was there before this session. */
  readonly changedAtMs: number | null;
}

/**
 * At most one update is on its way. While it is, newer snapshots only replace each other as the target, so a slow
 * reader costs one message of memory and gets the newest state next, never a queue of old ones.
 */
export class Session {
  readonly hello: Hello;
  /** Proven by the peer's certificate. */
  readonly serviceAccount: string;
  /** 0 to 1, drawn once: spreads what many sessions would do at the same moment. */
  readonly spread = Math.random();
  readonly #writer: Writer;
  readonly #events: SessionEvents;
  readonly #connectedAtMs: number;
  #target: Snapshot | null = null;
  /** Of the oldest change that is not on its way yet. */
  #changedAtMs: number | null = null;
  #acked: Snapshot | null = null;
  #ackedAtMs: number | null = null;
  #inFlight: InFlight | null = null;
  #refused: { snapshot: Snapshot; reason: string; whole: boolean } | null = null;
  #closed = false;

  constructor(hello: Hello, serviceAccount: string, writer: Writer, events: SessionEvents) {
    this.hello = hello;
    this.serviceAccount = serviceAccount;
    this.#writer = writer;
    this.#events = events;
    this.#connectedAtMs = Date.now();
  }

  /**
   * The newest snapshot of the workload.
   * @param changedAtMs when the change that made it was noticed; null: before this session
   */
  offer(snapshot: Snapshot, changedAtMs: number | null): void {
    if (snapshot === this.#target) return;
    this.#target = snapshot;
    // What waits behind an update on its way has waited since its first change.
    this.#changedAtMs ??= changedAtMs;
    this.#pump();
  }

  /** Takes an ack or nack. Throws MessageRefused when it answers nothing that was sent. */
  answer(message: { type: 'ack' | 'nack'; version: number; reason?: string }): void {
    const inFlight = this.#inFlight;
    if (inFlight === null || inFlight.snapshot.version !== message.version) {
      throw new MessageRefused(`${message.type} of ${message.version}, which was not just sent`);
    }
    this.#inFlight = null;
    if (message.type === 'ack') {
      this.#acked = inFlight.snapshot;
      this.#ackedAtMs = Date.now();
      this.#refused = null;
      const { changedAtMs } = inFlight;
      const lagMs = changedAtMs === null ? null : Date.now() - changedAtMs;
      this.#events.acked(message.version, lagMs);
    } else {
      const reason = message.reason ?? '';
      this.#refused = { snapshot: inFlight.snapshot, reason, whole: inFlight.whole };
      this.#changedAtMs = inFlight.changedAtMs ?? this.#changedAtMs;
      this.#events.nacked(message.version, reason);
    }
    this.#pump();
  }

  /** Keeps an idle connection alive. An update on its way does that too. */
  ping(): void {
    if (!this.#closed && this.#inFlight === null) this.#writer.write(encodePing());
  }

  /** How long the present update has been on its way, ms; 0: none is. */
  waitingMs(): number {
    return this.#inFlight === null ? 0 : Date.now() - this.#inFlight.sinceMs;
  }

  ageMs(): number {
    return Date.now() - this.#connectedAtMs;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#writer.end();
  }

  /** What the sidecar said it enforces, and what it should. */
  snapshots(): { readonly acked: Snapshot | null; readonly wanted: Snapshot | null } {
    return { acked: this.#acked, wanted: this.#target };
  }

  state(): SessionState {
    const refused = this.#refused;
    return {
      namespace: this.hello.namespace,
      workload: this.hello.workload,
      pod: this.hello.pod,
      softwareVersion: this.hello.version,
      connectedAt: new Date(this.#connectedAtMs).toISOString(),
      acked: this.#acked?.version ?? 0,
      ackedAt: this.#ackedAtMs === null ? null : new Date(this.#ackedAtMs).toISOString(),
      wanted: this.#target?.version ?? 0,
      refused:
        refused === null ? null : { version: refused.snapshot.version, reason: refused.reason },
    };
  }

  #pump(): void {
    const target = this.#target;
    if (this.#closed || this.#inFlight !== null || target === null || target === this.#acked) {
      return;
    }
    const refused = this.#refused;
    // A whole snapshot that was refused would be refused again; the next change gets its chance. A delta that was
    // refused may only have missed its base, so the whole follows.
    if (refused !== null && refused.snapshot === target && refused.whole) return;
    const base = refused === null ? this.#acked : null;
    const line = encodeUpdate(base, target);
    const changedAtMs = this.#changedAtMs;
    this.#changedAtMs = null;
    this.#inFlight = { snapshot: target, whole: base === null, sinceMs: Date.now(), changedAtMs };
    this.#events.pushed(base === null ? 'snapshot' : 'delta', lineBytes(line));
    this.#writer.write(line);
  }
}
