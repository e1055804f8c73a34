// Sends spans to an OpenTelemetry collector over OTLP/HTTP. The one file that knows OpenTelemetry;
// its modules (27 MB resident) are loaded with the first sampled span.
import type { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import type { ExportResult, ExportResultCode } from '@opentelemetry/core';
import type { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import type { Resource } from '@opentelemetry/resources';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';

import type { FinishedSpan } from './trace.ts';

export interface OtlpOptions {
  /** Base URL: `http://collector:4318`; `/v1/traces` is added where there is no path. */
  endpoint: string;
  /** `service.name` and its like. */
  resource: Readonly<Record<string, string>>;
  /** Spans waiting at most; later ones are dropped and counted. */
  queueMax?: number;
  batchMax?: number;
  flushAfterMs?: number;
  timeoutMs?: number;
  /** Told of a failed export, at most once a minute. */
  warn: (message: string) => void;
}

const warnAgainMs = 60_000;

export class OtlpExporter {
  /** Spans lost: the queue was full, or the collector refused or could not be reached. */
  dropped = 0;
  exported = 0;
  private readonly options: OtlpOptions;
  private readonly queueMax: number;
  private readonly batchMax: number;
  private queue: FinishedSpan[] = [];
  private loaded: Promise<Loaded> | null = null;
  private sending: Promise<void> | null = null;
  private timer: NodeJS.Timeout | null = null;
  private warnedAtMs = -Infinity;

  constructor(options: OtlpOptions) {
    this.options = options;
    this.queueMax = options.queueMax ?? 2048;
    this.batchMax = options.batchMax ?? 512;
  }

  /** Takes a span; never waits. */
  push(span: FinishedSpan): void {
    if (this.queue.length >= this.queueMax) {
      this.dropped++;
      return;
    }
    this.queue.push(span);
    if (this.queue.length >= this.batchMax) this.send();
    else this.timer ??= setTimeout(this.onTimer, this.options.flushAfterMs ?? 1000).unref();
  }

  /** Sends what is queued. Waits at most `deadlineMs`; what is left then is dropped. */
  async close(deadlineMs: number): Promise<void> {
    const deadline = Promise.withResolvers<void>();
    const timer = setTimeout(() => deadline.resolve(), deadlineMs);
    await Promise.race([this.drain(), deadline.promise]);
    clearTimeout(timer);
    this.dropped += this.queue.length;
    this.queue = [];
    if (this.timer !== null) clearTimeout(this.timer);
    if (this.loaded !== null) {
      const shutdown = this.loaded.then(({ exporter }) => exporter.shutdown());
      shutdown.catch(() => undefined);
    }
  }

  private readonly onTimer = (): void => {
    this.timer = null;
    this.send();
  };

  private async drain(): Promise<void> {
    while (this.queue.length > 0 || this.sending !== null) {
      this.send();
      await this.sending;
    }
  }

  private send(): void {
    if (this.sending !== null || this.queue.length === 0) return;
    const batch = this.queue.splice(0, this.batchMax);
    this.sending = this.export(batch)
      .catch((error: unknown) => this.lose(batch.length, error))
      .finally(() => {
        this.sending = null;
        if (this.queue.length >= this.batchMax) this.send();
        else if (this.queue.length > 0) this.timer ??= setTimeout(this.onTimer, 1000).unref();
      });
  }

  private async export(batch: readonly FinishedSpan[]): Promise<void> {
    this.loaded ??= load(this.options);
    const loaded = await this.loaded;
    const result = await new Promise<ExportResult>((resolve) => {
      loaded.exporter.export(
        batch.map((span) => readable(span, loaded)),
        resolve,
      );
    });
    if (result.code === loaded.codes.SUCCESS) this.exported += batch.length;
    else this.lose(batch.length, result.error);
  }

  private lose(count: number, error: unknown): void {
    this.dropped += count;
    const now = performance.now();
    if (now - this.warnedAtMs < warnAgainMs) return;
    this.warnedAtMs = now;
    const reason = error instanceof Error ? error.message : String(error);
    this.options.warn(`spans lost: ${this.options.endpoint} did not take them: ${reason}`);
  }
}

interface Loaded {
  readonly exporter: OTLPTraceExporter;
  readonly resource: Resource;
  readonly codes: typeof ExportResultCode;
  readonly kinds: typeof SpanKind;
  readonly statuses: typeof SpanStatusCode;
}

async function load(options: OtlpOptions): Promise<Loaded> {
  const [{ OTLPTraceExporter }, { resourceFromAttributes }, api, core] = await Promise.all([
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/api'),
    import('@opentelemetry/core'),
  ]);
  const url = new URL(options.endpoint);
  if (url.pathname === '/') url.pathname = '/v1/traces';
  return {
    exporter: new OTLPTraceExporter({
      url: url.href,
      timeoutMillis: options.timeoutMs ?? 10_000,
      concurrencyLimit: 1,
    }),
    resource: resourceFromAttributes({ ...options.resource }),
    codes: core.ExportResultCode,
    kinds: api.SpanKind,
    statuses: api.SpanStatusCode,
  };
}

const scope = { name: 'selvage' };

function readable(span: FinishedSpan, loaded: Loaded): ReadableSpan {
  const { trace } = span;
  const { kinds, statuses } = loaded;
  const context = { traceId: trace.traceId, spanId: trace.spanId, traceFlags: 1 };
  return {
    name: span.name,
    kind: span.kind === 'server' ? kinds.SERVER : kinds.CLIENT,
    spanContext: () => context,
    parentSpanContext:
      trace.parentId === ''
        ? undefined
        : { traceId: trace.traceId, spanId: trace.parentId, traceFlags: 1, isRemote: true },
    startTime: hrTime(span.startMs),
    endTime: hrTime(span.startMs + span.durationMs),
    duration: hrTime(span.durationMs),
    status: { code: span.failed ? statuses.ERROR : statuses.UNSET },
    attributes: span.attributes,
    links: [],
    events: [],
    ended: true,
    resource: loaded.resource,
    instrumentationScope: scope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

function hrTime(ms: number): [seconds: number, nanoseconds: number] {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.floor((ms - seconds * 1000) * 1e6)];
}
