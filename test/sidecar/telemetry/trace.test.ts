// Tracing: W3C context is joined or started, sampled calls reach a collector, and a bad one costs nothing.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import * as fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';

import { failures } from '#sidecar/failures.ts';
import { createTelemetry, type RunningTelemetry } from '#sidecar/telemetry/telemetry.ts';
import { isTraceparent, joinTrace, startTrace, Trace } from '#sidecar/telemetry/trace-context.ts';
import { OtlpExporter } from '#sidecar/telemetry/otlp.ts';

import { eventually, makeDownstream, makeExchange, workload } from './exchanges.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A collector that keeps what it is sent. */
async function collector(answer: number | 'never' = 200): Promise<{ url: string; got: Otlp[] }> {
  const got: Otlp[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (part: Buffer) => {
      text += part.toString();
    });
    request.on('end', () => {
      if (request.url === '/v1/traces') got.push(JSON.parse(text) as Otlp);
      if (answer !== 'never') response.writeHead(answer).end('{}');
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, got };
}

interface Otlp {
  resourceSpans: {
    resource: { attributes: { key: string; value: { stringValue?: string } }[] };
    scopeSpans: { spans: OtlpSpan[] }[];
  }[];
}

interface OtlpSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  status: { code: number };
  attributes: { key: string; value: Record<string, unknown> }[];
}

function telemetry(otlpEndpoint: string, traceSampling: number): RunningTelemetry {
  return createTelemetry({
    workload,
    identity: () => '',
    accessLog: '',
    accessLogFormat: 'text',
    reasons: null,
    otlpEndpoint,
    traceSampling,
    warn: () => {},
  });
}

const traceId = '0af7651916cd43dd8448eb211c80319c';
const parentId = 'b7ad6b7169203331';

test('a sampled call becomes a server span, child of the caller\u2019s, and the application its child', async () => {
  const { url, got } = await collector();
  const t = telemetry(url, 0);
  const x = makeExchange({
    path: '/charges?access_token=secret',
    headers: [
      ['traceparent', `00-${traceId}-${parentId}-01`],
      ['tracestate', 'a=b'],
    ],
    status: 403,
  });
  x.verdict = {
    allowed: false,
    decidedBy: 'DENY',
    namespace: 'billing',
    policy: 'no-charges',
    rule: 1,
    details: '',
  };
  x.failure = failures.denied;
  t.begin(x);
  const sent = x.request.values('traceparent');
  expect(sent).toHaveLength(1);
  expect(sent[0]).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
  expect(x.request.values('tracestate')).toEqual(['a=b']);
  t.end(x);
  await t.close(3000);
  const group = got[0]?.resourceSpans[0];
  const span = group?.scopeSpans[0]?.spans[0];
  expect(span).toMatchObject({
    traceId,
    parentSpanId: parentId,
    spanId: sent[0]?.slice(36, 52),
    kind: 2,
    name: 'GET payments.billing.svc.cluster.local',
  });
  const nanos = BigInt(span?.endTimeUnixNano ?? 0) - BigInt(span?.startTimeUnixNano ?? 0);
  expect(Number(nanos) / 1e6).toBeCloseTo(3, 1);
  expect(
    Math.abs(Number(BigInt(span?.startTimeUnixNano ?? 0) / 1_000_000n) - Date.now()),
  ).toBeLessThan(60_000);
  const attributes = Object.fromEntries(
    (span?.attributes ?? []).map(({ key, value }) => [key, Object.values(value)[0]]),
  );
  expect(attributes).toMatchObject({
    'http.request.method': 'GET',
    'url.path': '/charges',
    'http.response.status_code': 403,
    'selvage.verdict': 'deny',
    'selvage.policy': 'billing/no-charges',
    'selvage.rule': 1,
    'error.type': 'denied',
  });
  expect(JSON.stringify(got)).not.toContain('secret');
  expect(group?.resource.attributes).toContainEqual({
    key: 'service.name',
    value: { stringValue: 'payments.billing' },
  });
});

test('a call that its caller does not sample is passed on unsampled, even at ratio 1', async () => {
  const { url, got } = await collector();
  const t = telemetry(url, 1);
  const x = makeExchange({ headers: [['traceparent', `00-${traceId}-${parentId}-00`]] });
  t.begin(x);
  expect(x.request.values('traceparent')[0]).toMatch(new RegExp(`^00-${traceId}-.{16}-00$`));
  t.end(x);
  await t.close(1000);
  expect(got).toEqual([]);
});

test('without context a trace starts; outbound the span is the client\u2019s', async () => {
  const { url, got } = await collector();
  const t = telemetry(url, 1);
  const x = makeExchange({ downstream: makeDownstream({ direction: 'outbound' }), status: 404 });
  t.begin(x);
  expect(isTraceparent(x.request.values('traceparent')[0] ?? '')).toBe(true);
  t.end(x);
  await t.close(3000);
  const span = got[0]?.resourceSpans[0]?.scopeSpans[0]?.spans[0];
  expect(span).toMatchObject({ kind: 3, status: { code: 2 } });
  expect(span?.parentSpanId ?? '').toBe('');
});

test('a malformed or repeated traceparent starts a new trace and drops its tracestate', () => {
  const t = telemetry('http://127.0.0.1:9', 0);
  const good = `00-${traceId}-${parentId}-01`;
  for (const values of [[good.toUpperCase()], [good, good], ['x'], ['']]) {
    const headers = values.map((value): [string, string] => ['traceparent', value]);
    const x = makeExchange({ headers: [...headers, ['tracestate', 'a=b']] });
    t.begin(x);
    expect(x.request.values('tracestate')).toEqual([]);
    expect(x.request.values('traceparent')).toHaveLength(1);
    expect(x.request.values('traceparent')[0]).not.toContain(traceId);
  }
});

test('with tracing off, trace headers pass untouched', () => {
  const t = telemetry('', 1);
  const headers: [string, string][] = [['traceparent', 'whatever']];
  const x = makeExchange({ headers });
  t.begin(x);
  expect(x.request.headers).toEqual([['traceparent', 'whatever']]);
});

test('traceparent: what the specification allows and forbids', () => {
  const good = `00-${traceId}-${parentId}-01`;
  const cases: readonly [string, boolean][] = [
    [good, true],
    [`00-${traceId}-${parentId}-ff`, true],
    [`01-${traceId}-${parentId}-01-what-comes-later`, true],
    [`01-${traceId}-${parentId}-01.x`, false],
    [`00-${traceId}-${parentId}-01-x`, false],
    [`ff-${traceId}-${parentId}-01`, false],
    [`00-${'0'.repeat(32)}-${parentId}-01`, false],
    [`00-${traceId}-${'0'.repeat(16)}-01`, false],
    [`00-${traceId.toUpperCase()}-${parentId}-01`, false],
    [`00-${traceId}-${parentId}-0`, false],
    [`00_${traceId}-${parentId}-01`, false],
    [good.replace('a', 'g'), false],
  ];
  for (const [value, valid] of cases) expect([value, isTraceparent(value)]).toEqual([value, valid]);
});

test('whatever is read as traceparent has the form of the specification', () => {
  const form = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/s;
  const edited = fc
    .tuple(fc.nat(60), fc.constantFrom('0', 'f', 'F', '-', 'g', '', '00', '\n'))
    .map(([at, text]) => {
      const good = `00-${traceId}-${parentId}-01`;
      return good.slice(0, at) + text + good.slice(at + 1);
    });
  fc.assert(
    fc.property(edited, (value) => {
      const wellFormed = form.test(value) && (value.length === 55 || !value.startsWith('00'));
      expect([value, isTraceparent(value)]).toEqual([value, wellFormed]);
    }),
    { numRuns: 2000, seed: 11 },
  );
});

test('flags are read bit by bit, identifiers are unique and well formed, the ratio is kept', () => {
  for (const [flags, sampled] of [
    ['01', true],
    ['00', false],
    ['03', true],
    ['0a', false],
    ['0b', true],
    ['f8', false],
  ] as const) {
    expect(joinTrace(`00-${traceId}-${parentId}-${flags}`).sampled).toBe(sampled);
  }
  const seen = new Set<string>();
  let sampled = 0;
  for (let i = 0; i < 20_000; i++) {
    const trace = startTrace(0.1);
    expect(trace).toBeInstanceOf(Trace);
    seen.add(trace.traceId).add(trace.spanId);
    if (trace.sampled) sampled++;
  }
  expect(seen.size).toBe(40_000);
  expect(isTraceparent(startTrace(1).header())).toBe(true);
  expect(sampled).toBeGreaterThan(1700);
  expect(sampled).toBeLessThan(2300);
  expect(startTrace(0).sampled).toBe(false);
  expect(startTrace(1).sampled).toBe(true);
});

test('a collector that never answers holds up nothing: the queue is bounded, drops are counted', async () => {
  const { url } = await collector('never');
  const otlp = new OtlpExporter({
    endpoint: url,
    resource: {},
    queueMax: 10,
    batchMax: 5,
    timeoutMs: 300,
    warn: () => {},
  });
  const span = {
    name: 'x',
    kind: 'server' as const,
    trace: startTrace(1),
    startMs: Date.now(),
    durationMs: 1,
    failed: false,
    attributes: {},
  };
  for (let i = 0; i < 1000; i++) otlp.push(span);
  expect(otlp.dropped).toBe(985);
  const startedAtMs = performance.now();
  await otlp.close(200);
  expect(performance.now() - startedAtMs).toBeLessThan(1000);
});

test('spans that a collector refuses are counted, and the failure is told once', async () => {
  const told: string[] = [];
  const { url } = await collector(400);
  const otlp = new OtlpExporter({
    endpoint: url,
    resource: {},
    batchMax: 1,
    warn: (message) => told.push(message),
  });
  const span = {
    name: 'x',
    kind: 'client' as const,
    trace: startTrace(1),
    startMs: Date.now(),
    durationMs: 1,
    failed: true,
    attributes: {},
  };
  for (let i = 0; i < 3; i++) otlp.push(span);
  await eventually(() => otlp.dropped === 3);
  expect(told).toHaveLength(1);
  await otlp.close(500);
});
