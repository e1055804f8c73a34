// CPU that tracing costs a request, by what it brings and whether it is sampled: `node test/bench/tracing.ts`.
import { Exchange } from '#sidecar/exchange.ts';
import { Tracer, type SpanSink } from '#sidecar/telemetry/tracing/tracer.ts';
import { WallClock } from '#sidecar/telemetry/wall-clock.ts';
import { unknownWorkload } from '#sidecar/telemetry/workload-labels.ts';
import { http1Limits } from '#sidecar/wire/http1/limits.ts';
import { RequestHead } from '#sidecar/wire/http1/request-head.ts';
import { makeDownstream, makeExchange } from '#test/sidecar/telemetry/exchanges.ts';

const ids = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'].join('-');
const [traceId, spanId] = ids.split('-');
const rounds = 15;
const perRound = 100_000;

/** What a request says of its trace. */
const contexts: Readonly<Record<string, string>> = {
  'no context': '',
  'traceparent, not sampled': `traceparent: 00-${ids}-00\r\n`,
  'b3, not sampled': `b3: ${ids}-0\r\n`,
  'x-b3-*, not sampled': `x-b3-traceid: ${traceId}\r\nx-b3-spanid: ${spanId}\r\nx-b3-sampled: 0\r\n`,
  'traceparent, sampled': `traceparent: 00-${ids}-01\r\n`,
};

function main(): void {
  const on = tracer(() => undefined);
  const rows = Object.entries(contexts).map(([context, lines]) => ({
    context,
    ns: cost(on, lines),
  }));
  console.table([{ context: 'tracing off', ns: cost(tracer(null), '') }, ...rows]);
}

function tracer(sink: SpanSink | null): Tracer {
  return new Tracer({
    ratio: 0,
    withoutSink: false,
    clock: new WallClock(),
    owner: {
      labels: () => unknownWorkload,
      node: 'sidecar~10.0.0.9~a.b~b',
      meshId: 'cluster.local',
    },
    reasons: null,
    mayDebug: () => false,
    environment: () => undefined,
    sinksFor: (wanted) => wanted.map(() => sink),
    warn: () => undefined,
  });
}

/** Nanoseconds of CPU between a request that is traced and one that is not; the least of several rounds of each. */
function cost(traced: Tracer, lines: string): string {
  const text = Buffer.from(
    'POST /api/v1/charges HTTP/1.1\r\nhost: payments.payments:8080\r\nuser-agent: node\r\naccept: */*\r\n' +
      'accept-encoding: gzip\r\ncontent-type: application/json\r\nauthorization: Bearer abc\r\n' +
      `x-request-id: 4b0e7b0e-6a4c-4d8b-8f5e-2f8d5a4c1a2b\r\n${lines}content-length: 12\r\n\r\n`,
  );
  const head = new RequestHead(http1Limits);
  const downstream = makeDownstream();
  const { stream } = makeExchange();
  const run = (by: Tracer | null): number => {
    const from = process.cpuUsage();
    for (let i = 0; i < perRound; i++) {
      head.clear();
      head.feed(text, 0, text.length);
      const x = new Exchange(downstream, head, stream, 'HTTP/1.1');
      if (by === null) continue;
      by.begin(x);
      if (x.trace !== null) by.end(x);
    }
    const { user, system } = process.cpuUsage(from);
    return ((user + system) * 1000) / perRound;
  };
  let without = Infinity;
  let withIt = Infinity;
  for (let round = 0; round < rounds; round++) {
    without = Math.min(without, run(null));
    withIt = Math.min(withIt, run(traced));
  }
  return (withIt - without).toFixed(0);
}

if (import.meta.main) main();
