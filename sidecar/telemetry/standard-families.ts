// Reads the tables of the standard metrics out, under Istio's names.
import { labelText, type Family, type HistogramSample, type Sample } from './families.ts';
import { metricNames } from './metric-plan.ts';
import { grpcCells, httpCells, tcpCells, type Metrics } from './metrics.ts';
import { bucketBounds, type Exemplar, type Series, type SeriesTable } from './series.ts';

export function standardFamilies(metrics: Metrics): Family[] {
  const { http, grpc, tcp } = metrics;
  metrics.countOpenSessions();
  return [
    {
      name: 'istio_requests_total',
      help: 'Requests handled by the proxy.',
      type: 'counter',
      samples: samplesOf(http, bitOf('http', 'REQUEST_COUNT'), (base) =>
        countOf(http.cells, base + httpCells.durationMs),
      ),
    },
    histogram(http, 'REQUEST_DURATION', httpCells.durationMs, [
      'istio_request_duration_milliseconds',
      'Duration of requests in milliseconds.',
    ]),
    histogram(http, 'REQUEST_SIZE', httpCells.requestBytes, [
      'istio_request_bytes',
      'Request body sizes in bytes.',
    ]),
    histogram(http, 'RESPONSE_SIZE', httpCells.responseBytes, [
      'istio_response_bytes',
      'Response body sizes in bytes.',
    ]),
    ...grpcCounters.map(([metric, name, help, cell]) =>
      counter(grpc, bitOf('grpc', metric), cell, [name, help]),
    ),
    ...tcpCounters.map(([metric, name, help, cell]) =>
      counter(tcp, bitOf('tcp', metric), cell, [name, help]),
    ),
    {
      name: 'selvage_metric_series_overflowed_total',
      help: 'New label sets counted under reporter="overflow" because the series limit was reached.',
      type: 'counter',
      samples: Object.entries({ http, grpc, tcp }).map(([table, { overflows }]) => ({
        labels: labelText({ table }),
        value: overflows,
      })),
    },
  ];
}

type Table = keyof typeof metricNames;
type Row<T extends Table> = readonly [
  metric: (typeof metricNames)[T][number],
  name: string,
  help: string,
  cell: number,
];

const grpcCounters: readonly Row<'grpc'>[] = [
  [
    'GRPC_REQUEST_MESSAGES',
    'istio_request_messages_total',
    'gRPC messages sent by clients.',
    grpcCells.request,
  ],
  [
    'GRPC_RESPONSE_MESSAGES',
    'istio_response_messages_total',
    'gRPC messages sent by servers.',
    grpcCells.response,
  ],
];

const tcpCounters: readonly Row<'tcp'>[] = [
  [
    'TCP_OPENED_CONNECTIONS',
    'istio_tcp_connections_opened_total',
    'TCP connections opened.',
    tcpCells.opened,
  ],
  [
    'TCP_CLOSED_CONNECTIONS',
    'istio_tcp_connections_closed_total',
    'TCP connections closed.',
    tcpCells.closed,
  ],
  ['TCP_SENT_BYTES', 'istio_tcp_sent_bytes_total', 'Bytes sent downstream.', tcpCells.sentBytes],
  [
    'TCP_RECEIVED_BYTES',
    'istio_tcp_received_bytes_total',
    'Bytes received from downstream.',
    tcpCells.receivedBytes,
  ],
];

function bitOf<T extends Table>(table: T, metric: (typeof metricNames)[T][number]): number {
  return 1 << (metricNames[table] as readonly string[]).indexOf(metric);
}

function counter(
  table: SeriesTable,
  bit: number,
  cell: number,
  [name, help]: readonly [string, string],
): Family {
  const samples = samplesOf(table, bit, (base) => table.cells[base + cell] ?? 0);
  return { name, help, type: 'counter', samples };
}

function samplesOf(table: SeriesTable, bit: number, read: (base: number) => number): Sample[] {
  return eachShown(table, bit, (base, labels) => {
    const value = read(base);
    return value === 0 && base === 0 ? null : { labels, value };
  });
}

function histogram(
  table: SeriesTable,
  metric: (typeof metricNames)['http'][number],
  offset: number,
  [name, help]: readonly [string, string],
): Family {
  const { cells, exemplars } = table;
  const samples = eachShown(
    table,
    bitOf('http', metric),
    (base, labels): HistogramSample | null => {
      const first = base + offset;
      const counts = [...cells.subarray(first + 1, first + 2 + bucketBounds.length)];
      if (counts.every((count) => count === 0)) return null;
      const sum = cells[first] ?? 0;
      return { labels, sum, counts, exemplars: exemplarsOf(exemplars, first + 1) };
    },
  );
  return { name, help, type: 'histogram', bounds: bucketBounds, samples };
}

function exemplarsOf(
  all: ReadonlyMap<number, Exemplar>,
  firstBucket: number,
): Record<number, Exemplar> {
  const found: Record<number, Exemplar> = {};
  if (all.size === 0) return found;
  for (let i = 0; i <= bucketBounds.length; i++) {
    const exemplar = all.get(firstBucket + i);
    if (exemplar !== undefined) found[i] = exemplar;
  }
  return found;
}

function eachShown<T>(
  table: SeriesTable,
  bit: number,
  make: (base: number, labels: string) => T | null,
): T[] {
  const found: T[] = [];
  table.series.forEach((series, row) => {
    if ((series.shown & bit) === 0) return;
    const made = make(row * table.stride, textOf(series));
    if (made !== null) found.push(made);
  });
  return found;
}

function textOf(series: Series): string {
  if (series.text === '') series.text = labelText(series.labels);
  return series.text;
}

function countOf(cells: Float64Array, histogramBase: number): number {
  let count = 0;
  for (let i = 0; i <= bucketBounds.length; i++) count += cells[histogramBase + 1 + i] ?? 0;
  return count;
}
