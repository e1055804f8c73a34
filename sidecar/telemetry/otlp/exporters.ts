// The collectors in use: one queue for each, made when it is first wanted, flushed and closed when it is no more.
import type { FinishedSpan } from '../tracing/span.ts';
import type { SpanSink, WantedProvider } from '../tracing/tracer.ts';
import type { SpanEncoder } from './encode.ts';
import type { PartialSuccess } from './partial-success.ts';
import type { MeshWay, OtlpSender } from './sender.ts';
import { SpanQueue } from './span-queue.ts';
import { readOtlpEndpoint, type OtlpTarget } from './target.ts';

export interface ExportersOptions {
  /** URL of the sidecar's own endpoint; '': there is none. */
  readonly endpoint: string;
  /** `service.name` and its like. */
  readonly resource: Readonly<Record<string, string>>;
  readonly meshWay: MeshWay;
  readonly warn: (message: string) => void;
}

/** What a collector that is wanted no more has for its last spans. */
const closeMs = 5000;

export class Exporters {
  private readonly options: ExportersOptions;
  private readonly own: OtlpTarget | null;
  /** By all that is said of the collector. */
  private readonly inUse = new Map<string, Exporter>();
  private readonly leaving = new Set<Exporter>();
  /** Of collectors that are closed. */
  private readonly past = { exported: 0, dropped: 0 };

  constructor(options: ExportersOptions) {
    this.options = options;
    this.own = options.endpoint === '' ? null : readOtlpEndpoint(options.endpoint);
  }

  /** A sink for each that is wanted, in the same order; null where there is none. */
  use(wanted: readonly WantedProvider[]): (SpanSink | null)[] {
    const kept = new Set<string>();
    const sinks = wanted.map((provider) => {
      const target = provider === 'own' ? this.own : provider;
      if (target === null) return null;
      const key = JSON.stringify(target);
      kept.add(key);
      const known = this.inUse.get(key);
      if (known !== undefined) return known.sink;
      const made = new Exporter(target, this.options);
      this.inUse.set(key, made);
      return made.sink;
    });
    for (const [key, exporter] of this.inUse) {
      if (kept.has(key)) continue;
      this.inUse.delete(key);
      void this.leave(exporter, closeMs);
    }
    return sinks;
  }

  get exported(): number {
    return this.sum('exported');
  }

  /** Spans lost on the way to any collector. */
  get dropped(): number {
    return this.sum('dropped');
  }

  async close(deadlineMs: number): Promise<void> {
    const all = [...this.inUse.values()];
    this.inUse.clear();
    const late = [...this.leaving].map((exporter) => exporter.close(deadlineMs));
    await Promise.all([...all.map((exporter) => this.leave(exporter, deadlineMs)), ...late]);
  }

  private async leave(exporter: Exporter, deadlineMs: number): Promise<void> {
    this.leaving.add(exporter);
    await exporter.close(deadlineMs);
    this.leaving.delete(exporter);
    this.past.exported += exporter.queue.exported;
    this.past.dropped += exporter.queue.dropped;
  }

  private sum(what: 'exported' | 'dropped'): number {
    let sum = this.past[what];
    for (const { queue } of this.inUse.values()) sum += queue[what];
    for (const { queue } of this.leaving) sum += queue[what];
    return sum;
  }
}

/** One collector. What it takes to write and to send spans is loaded with the first of them. */
class Exporter {
  readonly queue: SpanQueue;
  readonly sink: SpanSink;
  private readonly target: OtlpTarget;
  private readonly options: ExportersOptions;
  private loading: Promise<Loaded> | null = null;
  private loaded: Loaded | null = null;

  constructor(target: OtlpTarget, options: ExportersOptions) {
    this.target = target;
    this.options = options;
    this.queue = new SpanQueue({
      send: (batch) => this.send(batch),
      name: `${target.name} (${target.host}:${target.port})`,
      warn: options.warn,
    });
    this.sink = (span) => this.queue.push(span);
  }

  async close(deadlineMs: number): Promise<void> {
    await this.queue.close(deadlineMs);
    this.loaded?.sender.close();
  }

  private async send(batch: readonly FinishedSpan[]): Promise<PartialSuccess> {
    this.loading ??= load(this.target, this.options);
    this.loaded = await this.loading;
    return this.loaded.sender.send(this.loaded.encode(batch));
  }
}

interface Loaded {
  readonly sender: OtlpSender;
  readonly encode: SpanEncoder;
}

async function load(target: OtlpTarget, { resource, meshWay }: ExportersOptions): Promise<Loaded> {
  const [{ createEncoder }, { OtlpSender }] = await Promise.all([
    import('./encode.ts'),
    import('./sender.ts'),
  ]);
  return { sender: new OtlpSender(target, meshWay), encode: createEncoder(resource) };
}
