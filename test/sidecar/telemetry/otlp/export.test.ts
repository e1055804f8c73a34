// Export of spans: over HTTP and gRPC, to good collectors and bad ones; nothing waits for them and no loss goes uncounted.
import { createServer, type AddressInfo, type Server } from 'node:net';

import { afterEach, expect, test } from 'vitest';

import { MessageWriter } from '#sidecar/authorizer/protobuf.ts';
import { Exporters } from '#sidecar/telemetry/otlp/exporters.ts';
import { SpanQueue, SpansRefused } from '#sidecar/telemetry/otlp/span-queue.ts';
import { readOtlpEndpoint } from '#sidecar/telemetry/otlp/target.ts';
import type { FinishedSpan } from '#sidecar/telemetry/tracing/span.ts';
import { startTrace } from '#sidecar/telemetry/trace-context.ts';

import { eventually } from '../exchanges.ts';
import { grpcCollector, httpCollector, type Collector } from './collector.ts';

const collectors: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of collectors.splice(0)) await one.close();
});

function kept<T extends { close(): Promise<void> }>(collector: T): T {
  collectors.push(collector);
  return collector;
}

function makeSpan(name = 'GET shop'): FinishedSpan {
  return {
    name,
    kind: 'server',
    trace: startTrace(),
    startedAtMs: 1000.25,
    finishedAtMs: 1003.5,
    clockMs: 1_700_000_000_000,
    failed: true,
    attributes: { text: 'ü', number: 7, fraction: 0.5, truth: true },
    events: [{ name: 'selvage.retry', atMs: 1001, attributes: { 'selvage.reason': '503' } }],
  };
}

function partialSuccess(rejected: number, message: string): Buffer {
  const said = new MessageWriter().number(1, rejected).text(2, message);
  return new MessageWriter().message(1, said).finish();
}

function exportersTo(endpoint: string, warned: string[] = []): Exporters {
  return new Exporters({
    endpoint,
    resource: { 'service.name': 'payments.billing' },
    meshWay: () => null,
    warn: (message) => warned.push(message),
  });
}

for (const [protocol, open] of [
  ['HTTP', httpCollector],
  ['gRPC', grpcCollector],
] as const) {
  test(`over ${protocol} a collector gets the whole span`, async () => {
    const collector = kept(await open());
    const exporters = exportersTo(collector.url);
    const [sink] = exporters.use(['own', null]);
    const span = makeSpan();
    sink?.(span);
    await exporters.close(5000);
    expect(collector.spans).toEqual([
      {
        resource: { 'service.name': 'payments.billing' },
        traceId: span.trace.traceId,
        spanId: span.trace.spanId,
        parentId: '',
        name: 'GET shop',
        kind: 2,
        startNs: 1_700_000_001_000_250_000n,
        endNs: 1_700_000_001_003_500_000n,
        attributes: span.attributes,
        events: [
          {
            name: 'selvage.retry',
            timeNs: 1_700_000_001_001_000_000n,
            attributes: { 'selvage.reason': '503' },
          },
        ],
        status: 2,
      },
    ]);
    expect(exporters).toMatchObject({ exported: 1, dropped: 0 });
  });

  test(`over ${protocol} a provider gets its headers; at its end what was queued is sent`, async () => {
    const collector = kept(await open());
    const exporters = exportersTo('');
    expect(exporters.use(['own', null])).toEqual([null, null]);
    const provider = {
      name: 'jaeger',
      protocol: protocol === 'HTTP' ? ('http' as const) : ('grpc' as const),
      host: '127.0.0.1',
      port: collector.port,
      headers: [['x-tenant', 'shop']] as const,
      ...(protocol === 'HTTP' && { path: '/otlp/traces' }),
    };
    const [inbound, outbound] = exporters.use([provider, { ...provider }]);
    expect(inbound).toBe(outbound);
    inbound?.(makeSpan('one'));
    outbound?.(makeSpan('two'));
    // Another one counts from now on, and the first is flushed and closed.
    expect(exporters.use([null, null])).toEqual([null, null]);
    await eventually(() => collector.spans.length === 2);
    expect(collector.heads[0]).toMatchObject({
      'x-tenant': 'shop',
      ':path':
        protocol === 'HTTP'
          ? '/otlp/traces'
          : '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
    });
    inbound?.(makeSpan('too late'));
    await exporters.close(1000);
    expect(collector.spans).toHaveLength(2);
    expect(exporters.exported).toBe(2);
  });

  test(`over ${protocol} a collector that refuses for good is not asked again, and the loss is told once`, async () => {
    const collector = kept(await open(protocol === 'HTTP' ? 400 : 3));
    const warned: string[] = [];
    const exporters = exportersTo(collector.url, warned);
    const [sink] = exporters.use(['own']);
    sink?.(makeSpan());
    await eventually(() => exporters.dropped === 1);
    sink?.(makeSpan());
    await eventually(() => exporters.dropped === 2);
    expect(collector.heads).toHaveLength(2);
    expect(warned).toEqual([
      expect.stringMatching(/^spans lost: SELVAGE_OTLP_ENDPOINT \(127\.0\.0\.1:\d+\) did not take/),
    ]);
    await exporters.close(1000);
  });

  test(`over ${protocol} spans that a collector rejects of a batch are lost, and it is told why`, async () => {
    const collector = kept(await open());
    collector.says = partialSuccess(1, 'too old');
    const warned: string[] = [];
    const exporters = exportersTo(collector.url, warned);
    const [sink] = exporters.use(['own']);
    for (let i = 0; i < 3; i++) sink?.(makeSpan());
    await eventually(() => exporters.exported === 2);
    expect(exporters.dropped).toBe(1);
    // Never more than were sent, and not told again so soon.
    collector.says = partialSuccess(1000, 'too many');
    sink?.(makeSpan());
    await eventually(() => exporters.dropped === 2);
    collector.says = partialSuccess(0, 'this endpoint goes next week');
    sink?.(makeSpan());
    await eventually(() => exporters.exported === 3);
    expect(collector.heads).toHaveLength(3);
    const name = `SELVAGE_OTLP_ENDPOINT (127.0.0.1:${collector.port})`;
    expect(warned).toEqual([
      `spans lost: ${name} rejected 1 of 3: too old`,
      `${name} took the spans, and says: this endpoint goes next week`,
    ]);
    await exporters.close(1000);
  });

  test(`over ${protocol} a collector whose good answer cannot be read has taken the spans`, async () => {
    const collector = kept(await open());
    collector.says = Buffer.from('{"partialSuccess":{}}');
    const exporters = exportersTo(collector.url);
    exporters.use(['own'])[0]?.(makeSpan());
    await eventually(() => exporters.exported === 1);
    expect([exporters.dropped, collector.heads.length]).toEqual([0, 1]);
    await exporters.close(1000);
  });

  test(`over ${protocol} a busy collector is asked again`, async () => {
    const collector = kept(await open(protocol === 'HTTP' ? 503 : 14));
    const exporters = exportersTo(collector.url);
    const [sink] = exporters.use(['own']);
    sink?.(makeSpan());
    await eventually(() => collector.heads.length === 1);
    collector.answer = protocol === 'HTTP' ? 200 : 0;
    await eventually(() => exporters.exported === 1);
    expect([collector.spans.length, exporters.dropped]).toEqual([1, 0]);
    await exporters.close(1000);
  });

  test(`over ${protocol} a collector that hangs holds nothing up`, async () => {
    const collector = kept(await open('never'));
    const exporters = exportersTo(collector.url);
    const [sink] = exporters.use(['own']);
    for (let i = 0; i < 5000; i++) sink?.(makeSpan());
    // 256 are on their way, 2048 wait.
    expect(exporters.dropped).toBe(5000 - 2304);
    await eventually(() => collector.heads.length === 1);
    await exporters.close(50);
    expect(exporters.dropped).toBe(5000 - 256);
  });
}

test('a collector that is not there, or that is none, costs the spans and nothing else', async () => {
  const gone = kept(await httpCollector());
  await gone.close();
  const talker = kept(await chatter());
  for (const url of [gone.url, talker.url]) {
    const exporters = exportersTo(url);
    const [sink] = exporters.use(['own']);
    sink?.(makeSpan());
    await exporters.close(5000);
    expect(exporters).toMatchObject({ exported: 0, dropped: 1 });
  }
});

test('a batch that fails is sent three times, then it is lost', async () => {
  let sent = 0;
  const send = async (): Promise<never> => {
    sent += 1;
    throw new Error('not now');
  };
  const queue = new SpanQueue({ send, name: 'x', warn: () => {}, batchMax: 1, retryAfterMs: 1 });
  queue.push(makeSpan());
  await eventually(() => queue.dropped === 1);
  expect(sent).toBe(3);
  const refused = new SpanQueue({
    send: async () => {
      sent += 1;
      throw new SpansRefused('never');
    },
    name: 'x',
    warn: () => {},
    batchMax: 1,
  });
  refused.push(makeSpan());
  await eventually(() => refused.dropped === 1);
  expect(sent).toBe(4);
});

test('the last spans of a collector that is wanted no more are waited for at the end', async () => {
  const collector = kept(await httpCollector());
  const exporters = exportersTo(collector.url);
  exporters.use(['own'])[0]?.(makeSpan());
  exporters.use([null]);
  await exporters.close(5000);
  expect(exporters).toMatchObject({ exported: 1, dropped: 0 });
});

test('over HTTP an answer too long to be read costs nothing', async () => {
  const collector = kept(await httpCollector());
  collector.says = partialSuccess(1, 'x'.repeat(100_000));
  const exporters = exportersTo(collector.url);
  exporters.use(['own'])[0]?.(makeSpan());
  await eventually(() => exporters.exported === 1);
  expect(exporters.dropped).toBe(0);
  await exporters.close(1000);
});

test('an endpoint says protocol, port, path and whether it is TLS', () => {
  const name = 'SELVAGE_OTLP_ENDPOINT';
  const cases: readonly [string, object | null][] = [
    [
      'http://jaeger:4318',
      { name, protocol: 'http', host: 'jaeger', port: 4318, path: '/v1/traces' },
    ],
    ['http://jaeger/', { name, protocol: 'http', host: 'jaeger', port: 4318, path: '/v1/traces' }],
    ['http://jaeger:80/a', { name, protocol: 'http', host: 'jaeger', port: 80, path: '/a' }],
    [
      'https://o.example',
      { name, protocol: 'http', tls: true, host: 'o.example', port: 4318, path: '/v1/traces' },
    ],
    [
      'https://o.example:443/v1/traces',
      { name, protocol: 'http', tls: true, host: 'o.example', port: 443, path: '/v1/traces' },
    ],
    ['grpc://[::1]', { name, protocol: 'grpc', host: '::1', port: 4317 }],
    ['grpcs://o.example:443', { name, protocol: 'grpc', tls: true, host: 'o.example', port: 443 }],
    ['grpc://jaeger:4317/path', null],
    ['ftp://jaeger', null],
    ['jaeger:4318', null],
    ['http://', null],
    ['http://me:secret@jaeger', null],
    ['', null],
  ];
  for (const [text, wanted] of cases)
    expect([text, readOtlpEndpoint(text)]).toEqual([text, wanted]);
});

/** Answers whatever comes with what is no HTTP. */
async function chatter(): Promise<Pick<Collector, 'url' | 'close'>> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.resume();
    socket.end('SSH-2.0-OpenSSH_9\r\n');
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => new Promise((resolve) => void server.close(() => resolve())),
  };
}
