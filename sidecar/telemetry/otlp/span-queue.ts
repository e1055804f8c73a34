// Spans on their way to one collector: a bounded queue, sent in batches, which no request ever waits for.
import type { FinishedSpan } from '../tracing/span.ts';
import type { PartialSuccess } from './partial-success.ts';

/** The collector will not take these spans, however often it is asked. */
export class SpansRefused extends Error {}

export interface SpanQueueOptions {
  /** Resolves when the batch was taken, or all of it but what the answer says. */
  readonly send: (batch: readonly FinishedSpan[]) => Promise<PartialSuccess>;
  /** Of the collector, for messages. */
  readonly name: string;
  /** Told of spans lost, and of what the collector had to say of those that it took, of each at most once a minute. */
  readonly warn: (message: string) => void;
  /** Spans that wait at most, beside the batch that is being sent; later ones are dropped and counted. A span has 2 KB or so. */
  readonly queueMax?: number;
  /** Spans of a batch: far below the 4 MB that collectors take at once. */
  readonly batchMax?: number;
  readonly flushAfterMs?: number;
  /** Before a batch is sent once more; twice as long before the next time. */
  readonly retryAfterMs?: number;
}

const warnAgainMs = 60_000;
/** Of one batch. */
const triesMax = 3;

export class SpanQueue {
  /** Spans lost: the queue was full, or the collector refused them or could not be reached. */
  dropped = 0;
  exported = 0;
  private readonly options: SpanQueueOptions;
  private readonly queueMax: number;
  private readonly batchMax: number;
  private readonly flushAfterMs: number;
  private queue: FinishedSpan[] = [];
  private sending: Promise<void> | null = null;
  private timer: NodeJS.Timeout | null = null;
  private closing = false;
  /** Ends the wait before another try. */
  private wake: (() => void) | null = null;
  private readonly warnedAtMs = { lost: -Infinity, taken: -Infinity };

  constructor(options: SpanQueueOptions) {
    this.options = options;
    this.queueMax = options.queueMax ?? 2048;
    this.batchMax = options.batchMax ?? 256;
    this.flushAfterMs = options.flushAfterMs ?? 1000;
  }

  /** Takes a span; never waits. */
  push(span: FinishedSpan): void {
    if (this.closing || this.queue.length >= this.queueMax) {
      this.dropped++;
      return;
    }
    this.queue.push(span);
    if (this.queue.length >= this.batchMax) this.send();
    else this.sendSoon();
  }

  /** Takes no more, and sends what is queued, each batch once more at most. Waits at most `deadlineMs`; what is left then is dropped. */
  async close(deadlineMs: number): Promise<void> {
    this.closing = true;
    this.wake?.();
    const deadline = Promise.withResolvers<void>();
    const timer = setTimeout(() => deadline.resolve(), deadlineMs);
    await Promise.race([this.drain(), deadline.promise]);
    clearTimeout(timer);
    this.dropped += this.queue.length;
    this.queue = [];
    if (this.timer !== null) clearTimeout(this.timer);
  }

  private async drain(): Promise<void> {
    while (this.queue.length > 0 || this.sending !== null) {
      this.send();
      await this.sending;
    }
  }

  private sendSoon(): void {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.send();
    }, this.flushAfterMs).unref();
  }

  private send(): void {
    if (this.sending !== null || this.queue.length === 0) return;
    const batch = this.queue.splice(0, this.batchMax);
    this.sending = this.export(batch).finally(() => {
      this.sending = null;
      if (this.queue.length >= this.batchMax) this.send();
      else if (this.queue.length > 0) this.sendSoon();
    });
  }

  /** Never rejects. */
  private async export(batch: readonly FinishedSpan[]): Promise<void> {
    const { retryAfterMs = 1000 } = this.options;
    for (let tries = 1; ; tries++) {
      try {
        this.take(batch.length, await this.options.send(batch));
        return;
      } catch (error) {
        const again = tries < triesMax && !this.closing && !(error instanceof SpansRefused);
        if (!again) {
          this.lose(batch.length, error);
          return;
        }
        await this.pause(retryAfterMs * 2 ** (tries - 1) * (0.5 + Math.random() / 2));
      }
    }
  }

  private async pause(waitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, waitMs).unref();
    this.wake = resolve;
    await promise;
    clearTimeout(timer);
    this.wake = null;
  }

  /** What was rejected would be so again: OTLP forbids to send it once more. */
  private take(count: number, { rejectedSpans, message }: PartialSuccess): void {
    const lost = Math.min(count, rejectedSpans);
    this.exported += count - lost;
    this.dropped += lost;
    const { name } = this.options;
    if (lost > 0) {
      this.warn(
        'lost',
        `spans lost: ${name} rejected ${lost} of ${count}: ${message || 'no reason'}`,
      );
    } else if (message !== '') {
      this.warn('taken', `${name} took the spans, and says: ${message}`);
    }
  }

  private lose(count: number, error: unknown): void {
    this.dropped += count;
    const reason = error instanceof Error ? error.message : String(error);
    this.warn('lost', `spans lost: ${this.options.name} did not take them: ${reason}`);
  }

  private warn(what: 'lost' | 'taken', message: string): void {
    const now = performance.now();
    if (now - this.warnedAtMs[what] < warnAgainMs) return;
    this.warnedAtMs[what] = now;
    this.options.warn(message);
  }
}
