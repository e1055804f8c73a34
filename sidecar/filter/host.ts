// Runs one filter in a thread of its own, with bounds of time and memory: whatever it does, the sidecar goes on.
import { Worker } from 'node:worker_threads';

import type { FilterRequest, FilterResponse } from '#api/filter.ts';

import type { FilterCall, FilterStart } from './messages.ts';
import type { FromFilter } from './runner.ts';

const runner = new URL(
  import.meta.url.endsWith('.ts') ? './runner.ts' : './runner.js',
  import.meta.url,
);
const startMsMax = 5000;
const callsMax = 1000;
const backoffMs = { first: 100, most: 10_000 };
const memoryEveryMs = 500;

export interface HostOptions {
  readonly source: string;
  readonly timeoutMs: number;
  readonly memoryMiB: number;
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: FilterFailure) => void;
  timer: NodeJS.Timeout | null;
}

/** Why a filter gave no result. */
export class FilterFailure extends Error {}

export class FilterHost {
  readonly #options: HostOptions;
  readonly #waiting = new Map<number, Waiting>();
  #thread: Thread | null = null;
  #lastId = 0;
  #failures = 0;
  #restartAtMs = 0;
  #lastFailure = '';
  #retired = false;

  constructor(options: HostOptions) {
    this.#options = options;
  }

  /** Rejects with FilterFailure. The thread starts with the first call. */
  async call(request: FilterRequest, response: FilterResponse | null): Promise<unknown> {
    if (this.#waiting.size >= callsMax) throw new FilterFailure('too many calls wait for it');
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const id = ++this.#lastId;
    const waiting: Waiting = { resolve, reject, timer: null };
    this.#waiting.set(id, waiting);
    try {
      const thread = this.#running();
      await thread.ready;
      waiting.timer = setTimeout(() => {
        thread.end(`a call took longer than ${this.#options.timeoutMs} ms`);
      }, this.#options.timeoutMs);
      thread.tell({ id, request, response });
      return await promise;
    } finally {
      if (waiting.timer !== null) clearTimeout(waiting.timer);
      this.#waiting.delete(id);
      if (this.#retired && this.#waiting.size === 0) this.#thread?.end('it is not wanted any more');
    }
  }

  /** Ends when the calls that are under way have ended. */
  retire(): void {
    this.#retired = true;
    if (this.#waiting.size === 0) this.#thread?.end('it is not wanted any more');
  }

  #running(): Thread {
    if (this.#thread !== null) return this.#thread;
    if (performance.now() < this.#restartAtMs) throw new FilterFailure(this.#lastFailure);
    const thread = new Thread(this.#options, {
      message: (message) => this.#take(message),
      ended: (why) => this.#ended(why),
    });
    this.#thread = thread;
    return thread;
  }

  #take(message: FromFilter): void {
    if (message.kind !== 'result' && message.kind !== 'threw') return;
    const waiting = this.#waiting.get(message.id);
    if (message.kind === 'threw') waiting?.reject(new FilterFailure(message.why));
    else {
      this.#failures = 0;
      waiting?.resolve(message.result);
    }
  }

  #ended(why: string): void {
    this.#thread = null;
    this.#lastFailure = why;
    const waitMs = Math.min(backoffMs.first * 2 ** this.#failures++, backoffMs.most);
    this.#restartAtMs = performance.now() + waitMs;
    for (const { reject, timer } of this.#waiting.values()) {
      // Those without a timer wait for `ready`, which says it to them.
      if (timer !== null) reject(new FilterFailure(why));
    }
  }
}

interface ThreadEvents {
  message(message: FromFilter): void;
  ended(why: string): void;
}

class Thread {
  readonly #worker: Worker;
  readonly ready: Promise<void>;
  /** Why it ended; '' while it runs. */
  ended = '';
  readonly #events: ThreadEvents;
  readonly #starting = Promise.withResolvers<void>();
  readonly #startTimer: NodeJS.Timeout;
  readonly #memoryTimer: NodeJS.Timeout;

  constructor({ source, memoryMiB }: HostOptions, events: ThreadEvents) {
    this.#events = events;
    this.ready = this.#starting.promise;
    this.ready.catch(() => undefined);
    this.#worker = new Worker(runner, {
      workerData: { source } satisfies FilterStart,
      // It has no business with the sidecar's settings, and may write no log lines in its name.
      env: {},
      stdout: true,
      stderr: true,
      resourceLimits: {
        maxOldGenerationSizeMb: memoryMiB,
        maxYoungGenerationSizeMb: 4,
        stackSizeMb: 2,
      },
    });
    this.#worker.stdout.resume();
    this.#worker.stderr.resume();
    this.#worker.on('message', (message: FromFilter) => this.#take(message));
    this.#worker.on('error', (error: unknown) => {
      this.end(error instanceof Error ? error.message : String(error));
    });
    this.#worker.on('exit', () => this.end('its thread ended'));
    this.#worker.unref();
    this.#startTimer = setTimeout(() => this.end('it took too long to load'), startMsMax).unref();
    this.#memoryTimer = setInterval(() => void this.#weigh(memoryMiB), memoryEveryMs).unref();
  }

  tell(call: FilterCall): void {
    if (this.ended !== '') throw new FilterFailure(this.ended);
    this.#worker.postMessage(call, []);
  }

  end(why: string): void {
    if (this.ended !== '') return;
    this.ended = why;
    clearTimeout(this.#startTimer);
    clearInterval(this.#memoryTimer);
    this.#starting.reject(new FilterFailure(why));
    this.#events.ended(why);
    void this.#worker.terminate();
  }

  #take(message: FromFilter): void {
    if (this.ended !== '') return;
    if (message.kind === 'broken') this.end(message.why);
    else if (message.kind === 'ready') {
      clearTimeout(this.#startTimer);
      this.#starting.resolve();
    } else this.#events.message(message);
  }

  /** V8 bounds its heap; what buffers hold is outside of it. */
  async #weigh(memoryMiB: number): Promise<void> {
    const statistics = await this.#worker.getHeapStatistics().catch(() => null);
    const bytes = statistics?.external_memory ?? 0;
    if (bytes > memoryMiB * 1024 * 1024) this.end(`its buffers are over ${memoryMiB} MiB`);
  }
}
