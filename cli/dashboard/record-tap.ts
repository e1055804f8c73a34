// Follows the calls of all sidecars while somebody looks at traces.
import type { CallRecord } from '#api/call-record.ts';

import type { AskableSidecar } from '../sidecars/source.ts';

export interface RecordTapOptions {
  list(): Promise<readonly AskableSidecar[]>;
  readonly now: () => number;
  /** Nobody looked for so long: nothing is followed any more. */
  readonly idleMs: number;
}

/** Calls that are kept, the newest; a record has about 1 KiB. */
const recordsMax = 500;
/** Each is a connection that stays open; in a cluster a process in its pod. */
const sidecarsMax = 40;
const lookEveryMs = 1000;

export class RecordTap {
  readonly #options: RecordTapOptions;
  #records: CallRecord[] = [];
  /** By pod. */
  readonly #open = new Map<string, AbortController>();
  #lookedMs = 0;
  #timer: NodeJS.Timeout | null = null;
  error = '';

  constructor(options: RecordTapOptions) {
    this.#options = options;
  }

  /** What was seen so far, in the order in which it was told. */
  async look(): Promise<readonly CallRecord[]> {
    this.#lookedMs = this.#options.now();
    await this.#follow();
    this.#timer ??= setInterval(() => {
      if (this.#options.now() - this.#lookedMs > this.#options.idleMs) this.close();
      else void this.#follow();
    }, lookEveryMs).unref();
    return this.#records;
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    for (const one of this.#open.values()) one.abort();
    this.#open.clear();
  }

  /** Begins with sidecars that are new; ends with those that are gone. */
  async #follow(): Promise<void> {
    const all = await this.#options.list().catch(() => []);
    const left = all.length - sidecarsMax;
    this.error = left > 0 ? `calls of ${left} more sidecars are not followed` : '';
    const wanted = new Map(
      all.slice(0, sidecarsMax).map((one) => [`${one.namespace}/${one.pod}`, one]),
    );
    for (const [pod, aborter] of this.#open) {
      if (wanted.has(pod)) continue;
      aborter.abort();
      this.#open.delete(pod);
    }
    for (const [pod, sidecar] of wanted) {
      if (!this.#open.has(pod)) this.#start(pod, sidecar);
    }
  }

  #start(pod: string, sidecar: AskableSidecar): void {
    const aborter = new AbortController();
    this.#open.set(pod, aborter);
    const ended = (): void => {
      // It may have been opened anew since.
      if (this.#open.get(pod) === aborter) this.#open.delete(pod);
    };
    sidecar
      .follow('/tap', (value) => this.#take(value), aborter.signal)
      .then(ended, (error: unknown) => {
        if (!aborter.signal.aborted) {
          this.error = `${pod}: ${error instanceof Error ? error.message : String(error)}`;
        }
        ended();
      });
  }

  #take(value: unknown): void {
    // `{"dropped":n}` is no call.
    if (!isRecord(value)) return;
    this.#records.push(value);
    if (this.#records.length > recordsMax) this.#records = this.#records.slice(-recordsMax);
  }
}

function isRecord(value: unknown): value is CallRecord {
  return typeof value === 'object' && value !== null && 'traceId' in value && 'reporter' in value;
}
