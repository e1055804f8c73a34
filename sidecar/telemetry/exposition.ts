// Reads the typed arrays out through prom-client, which is loaded at the first scrape.
import type { Counter, Registry } from 'prom-client';

import { httpCells, tcpCells, type Metrics, type SeriesLabels } from './metrics.ts';
import { bucketBounds, type SeriesTable } from './series.ts';

/** A number beside the standard metrics, read at each scrape. */
export interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  read(): readonly { readonly labels: SeriesLabels; readonly value: number }[];
}

export interface Exposition {
  readonly type: string;
  readonly body: string;
}

export class MetricsPage {
  private registry: Promise<Registry> | null = null;
  private readonly metrics: Metrics;
  private readonly gauges: readonly Gauge[];

  constructor(metrics: Metrics, gauges: readonly Gauge[]) {
    this.metrics = metrics;
    this.gauges = gauges;
  }

  /** The page of /stats/prometheus. */
  async render(): Promise<Exposition> {
    this.registry ??= this.load();
    const registry = await this.registry;
    this.metrics.countOpenSessions();
    return { type: registry.contentType, body: await registry.metrics() };
  }

  /** The same numbers as plain data, for `mergePages`. */
  async collect(): Promise<MetricData[]> {
    this.registry ??= this.load();
    const registry = await this.registry;
    this.metrics.countOpenSessions();
    const all = (await registry.getMetricsAsJSON()) as unknown as MetricData[];
    return all.map((metric) => ({ ...metric, values: metric.values.map(withAllLabels) }));
  }

  private async load(): Promise<Registry> {
    // By `default`: a bundle of a CommonJS package, loaded lazily, has no other export.
    const { Registry } = (await import('prom-client')).default;
    const registry = new Registry();
    const { http, tcp } = this.metrics;
    for (const metric of [
      counter(http, 'istio_requests_total', 'Requests handled by the proxy.', (base) =>
        countOf(http.cells, base + httpCells.durationMs),
      ),
      histogram(http, 'istio_request_duration_milliseconds', httpCells.durationMs),
      histogram(http, 'istio_request_bytes', httpCells.requestBytes),
      histogram(http, 'istio_response_bytes', httpCells.responseBytes),
      ...tcpMetrics(tcp),
      gauge(seriesGauge(http, tcp)),
      ...this.gauges.map(gauge),
    ]) {
      // A Registry only calls get(); its type asks for one of prom-client's own classes.
      registry.registerMetric(metric as unknown as Counter);
    }
    return registry;
  }
}

/** One metric as data that can be sent to another thread. */
export interface MetricData {
  readonly name: string;
  readonly values: readonly Value[];
}

/** One page of the numbers of several workers: everything is summed. */
export async function mergePages(pages: readonly MetricData[][]): Promise<Exposition> {
  const { AggregatorRegistry } = (await import('prom-client')).default;
  const merged = AggregatorRegistry.aggregate(pages as unknown as object[]);
  return { type: merged.contentType, body: await merged.metrics() };
}

function withAllLabels({ sharedLabels, labels, ...value }: Value): Value {
  return { ...value, labels: { ...sharedLabels, ...labels } };
}

/** What prom-client's Registry asks of a metric. */
interface Collected {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly aggregator: 'sum';
  get(): Promise<Omit<Collected, 'get'> & { values: Value[] }>;
}

interface Value {
  value: number;
  labels: Record<string, string | number>;
  metricName?: string;
  /** Formatted once for each object and remembered by prom-client. */
  sharedLabels?: SeriesLabels;
}

const help: Readonly<Record<string, string>> = {
  istio_request_duration_milliseconds: 'Duration of requests in milliseconds.',
  istio_request_bytes: 'Request body sizes in bytes.',
  istio_response_bytes: 'Response body sizes in bytes.',
};

function collected(
  name: string,
  type: Collected['type'],
  helpText: string,
  values: () => Value[],
): Collected {
  const head = { name, help: helpText, type, aggregator: 'sum' as const };
  return { ...head, get: async () => ({ ...head, values: values() }) };
}

function counter(
  table: SeriesTable<SeriesLabels>,
  name: string,
  helpText: string,
  read: (base: number) => number,
): Collected {
  return collected(name, 'counter', helpText, () =>
    eachSeries(table, (base, labels) => {
      const value = read(base);
      return value === 0 && base === 0 ? [] : [{ value, labels: {}, sharedLabels: labels }];
    }),
  );
}

function histogram(table: SeriesTable<SeriesLabels>, name: string, offset: number): Collected {
  const bucket = `${name}_bucket`;
  return collected(name, 'histogram', help[name] ?? name, () =>
    eachSeries(table, (base, sharedLabels) => {
      const first = base + offset;
      const values: Value[] = [];
      let count = 0;
      for (let i = 0; i <= bucketBounds.length; i++) {
        count += table.cells[first + 1 + i] ?? 0;
        const le = bucketBounds[i] ?? '+Inf';
        values.push({ metricName: bucket, labels: { le }, value: count, sharedLabels });
      }
      if (count === 0) return [];
      const sum = table.cells[first] ?? 0;
      values.push({ metricName: `${name}_sum`, labels: {}, value: sum, sharedLabels });
      values.push({ metricName: `${name}_count`, labels: {}, value: count, sharedLabels });
      return values;
    }),
  );
}

function tcpMetrics(table: SeriesTable<SeriesLabels>): Collected[] {
  const rows: readonly [string, string, number][] = [
    ['istio_tcp_connections_opened_total', 'TCP connections opened.', tcpCells.opened],
    ['istio_tcp_connections_closed_total', 'TCP connections closed.', tcpCells.closed],
    ['istio_tcp_sent_bytes_total', 'Bytes sent downstream.', tcpCells.sentBytes],
    ['istio_tcp_received_bytes_total', 'Bytes received from downstream.', tcpCells.receivedBytes],
  ];
  return rows.map(([name, text, offset]) =>
    counter(table, name, text, (base) => table.cells[base + offset] ?? 0),
  );
}

function seriesGauge(http: SeriesTable<SeriesLabels>, tcp: SeriesTable<SeriesLabels>): Gauge {
  return {
    name: 'selvage_metric_series_overflowed_total',
    help: 'New label sets counted under reporter="overflow" because the series limit was reached.',
    type: 'counter',
    read: () => [
      { labels: { table: 'http' }, value: http.overflows },
      { labels: { table: 'tcp' }, value: tcp.overflows },
    ],
  };
}

function gauge(source: Gauge): Collected {
  return collected(source.name, source.type, source.help, () =>
    source.read().map(({ labels, value }) => ({ labels: { ...labels }, value })),
  );
}

function eachSeries(
  table: SeriesTable<SeriesLabels>,
  render: (base: number, labels: SeriesLabels) => Value[],
): Value[] {
  const stride = table.stride;
  const values: Value[] = [];
  table.labels.forEach((labels, row) => {
    for (const value of render(row * stride, labels)) values.push(value);
  });
  return values;
}

function countOf(cells: Float64Array, histogramBase: number): number {
  let count = 0;
  for (let i = 0; i <= bucketBounds.length; i++) count += cells[histogramBase + 1 + i] ?? 0;
  return count;
}
