// The place of one worker: starts it, starts it anew when it crashes, asks it for reports.
import { Worker } from 'node:worker_threads';

import { Backoff } from '#runtime/backoff.ts';
import type { Log } from '#runtime/log.ts';

import type { Ports } from '../data-plane.ts';
import type { Answer, Question } from '../observe/questions.ts';
import type { FromWorker, ToWorker, WorkerReport, WorkerStart } from './messages.ts';

export interface SlotOptions {
  /** For the log: from 0. */
  readonly number: number;
  readonly url: URL;
  /** What a worker is to begin with, as of now. */
  readonly begin: () => WorkerStart;
  readonly log: Log;
  /** Told of each restart. */
  readonly onRestart: () => void;
}

/** A worker that does not answer for so long is left out. */
const answerTimeoutMs = 2_000;
const restart = { firstMs: 100, maxMs: 10_000, jitter: 0.2 };
/** A worker that has lived so long did not crash at its start. */
const settledMs = 30_000;

export class Slot {
  readonly #options: SlotOptions;
  readonly #backoff = new Backoff(restart);
  readonly #waiting = new Map<number, (answer: unknown) => void>();
  #worker: Worker | null = null;
  #nextId = 0;
  #closing = false;
  #closed: (() => void) | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SlotOptions) {
    this.#options = options;
  }

  /** Resolves with its ports; rejects when it cannot start. */
  start(): Promise<Ports> {
    const { promise, resolve, reject } = Promise.withResolvers<Ports>();
    const { url, begin } = this.#options;
    const startedAtMs = performance.now();
    const worker = new Worker(url, { workerData: begin() });
    this.#worker = worker;
    let failure: unknown = null;
    worker.on('message', (message: FromWorker) => {
      if (message.kind === 'ready') resolve(message.ports);
      else if (message.kind === 'report') this.#settle(message.id, message.report);
      else if (message.kind === 'answer') this.#settle(message.id, message.answer);
      else this.#closed?.();
    });
    worker.on('error', (error: unknown) => (failure = error));
    worker.on('exit', (status) => {
      this.#worker = null;
      for (const id of this.#waiting.keys()) this.#settle(id, null);
      this.#closed?.();
      reject(failure ?? new Error(`it ended with ${status}`));
      if (!this.#closing) this.#restart(failure, status, performance.now() - startedAtMs);
    });
    return promise;
  }

  tell(message: ToWorker): void {
    this.#worker?.postMessage(message);
  }

  /** Null: there is no worker now, or it does not answer. */
  report(): Promise<WorkerReport | null> {
    return this.#answerTo((id) => ({ kind: 'report', id }));
  }

  /** The same. */
  ask<Asked extends Question>(question: Asked): Promise<Answer<Asked> | null> {
    return this.#answerTo((id) => ({ kind: 'ask', id, question }));
  }

  /** Resolves when what it carried has ended. */
  close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#timer);
    if (this.#worker === null) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closed = resolve;
    this.tell({ kind: 'close' });
    return promise;
  }

  /** What becomes of it is told by its exit. */
  async #startAnew(): Promise<void> {
    await this.start().catch(() => undefined);
  }

  #answerTo<Told>(message: (id: number) => ToWorker): Promise<Told | null> {
    if (this.#worker === null) return Promise.resolve(null);
    const { promise, resolve } = Promise.withResolvers<Told | null>();
    const id = this.#nextId++;
    const timer = setTimeout(() => this.#settle(id, null), answerTimeoutMs);
    this.#waiting.set(id, (answer) => {
      clearTimeout(timer);
      resolve(answer as Told | null);
    });
    this.tell(message(id));
    return promise;
  }

  #settle(id: number, answer: unknown): void {
    this.#waiting.get(id)?.(answer);
    this.#waiting.delete(id);
  }

  #restart(error: unknown, status: number, livedMs: number): void {
    const { number, log, onRestart } = this.#options;
    if (livedMs > settledMs) this.#backoff.reset();
    const waitMs = Math.round(this.#backoff.next());
    log.error({ worker: number, error, status, waitMs }, 'a worker crashed; it is started anew');
    onRestart();
    this.#timer = setTimeout(() => void this.#startAnew(), waitMs);
  }
}
