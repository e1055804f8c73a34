// Tracing: contexts are joined or started, sampled calls become spans that say who, what and why.
import { inspect } from 'node:util';

import { afterEach, expect, test } from 'vitest';

import type { DirectionTelemetry, TelemetrySettings, TracingSettings } from '#api/telemetry.ts';
import { failures } from '#sidecar/failures.ts';
import { createTelemetry, type RunningTelemetry } from '#sidecar/telemetry/telemetry.ts';
import { isTraceparent } from '#sidecar/telemetry/trace-context.ts';
import type { ReasonSource } from '#sidecar/telemetry/types.ts';
import { noteFailedTry } from '#sidecar/telemetry/tracing/failed-try.ts';

import {
  cashier,
  endpoint,
  makeDownstream,
  makeExchange,
  makeSession,
  service,
  workload,
} from '../exchanges.ts';
import { httpCollector, type Collector } from '../otlp/collector.ts';
import type { SentSpan } from '../otlp/spans.ts';
import { snapshot } from '../samples.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const parentId = 'b7ad6b7169203331';
const sampled = `00-${traceId}-${parentId}-01`;
const unsampled = `00-${traceId}-${parentId}-00`;

let collector: Collector | null = null;
afterEach(async () => {
  await collector?.close();
  collector = null;
});

interface Said {
  readonly sampling?: number;
  /** Of both directions. */
  readonly tracing?: TracingSettings;
  /** No collector, but traces all the same. */
  readonly withoutSink?: boolean;
  readonly debuggers?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly warned?: string[];
  readonly explain?: ReasonSource['explain'];
}

async function start(said: Said = {}): Promise<RunningTelemetry> {
  collector = await httpCollector();
  const {
    withoutSink = false,
    sampling = 0,
    tracing,
    debuggers = [],
    environment = {},
    warned = [],
    explain = () => null,
  } = said;
  const t = createTelemetry({
    workload,
    identity: () => 'spiffe://cluster.local/ns/billing/sa/payments',
    accessLog: '',
    accessLogFormat: 'text',
    reasons: {
      describe: ({ policy }) => `denied by ${policy} (billing.yaml:7)`,
      explain,
      explainTcp: () => null,
    },
    otlpEndpoint: withoutSink ? '' : collector.url,
    traceSampling: sampling,
    tracing: {
      node: 'sidecar~10.0.0.9~payments-0.billing~billing.svc.cluster.local',
      meshId: 'cluster.local',
      withoutSink,
      mayDebug: (identity) => debuggers.includes(identity),
      environment: (name) => environment[name],
      meshWay: () => null,
    },
    warn: (message) => warned.push(message),
  });
  if (tracing !== undefined) t.apply(snapshot({ telemetry: both({ tracing }) }));
  return t;
}

function both(direction: DirectionTelemetry): TelemetrySettings {
  return { inbound: direction, outbound: direction };
}

/** Ends telemetry. @return what the collector got */
async function spansOf(t: RunningTelemetry): Promise<SentSpan[]> {
  await t.close(5000);
  return collector?.spans ?? [];
}

/** One call from its begin to its end. */
function run(t: RunningTelemetry, x: ReturnType<typeof makeExchange>): void {
  t.begin(x);
  t.end(x);
}

function outbound(): ReturnType<typeof makeDownstream> {
  return makeDownstream({ direction: 'outbound' });
}

function debugging(value: string): [string, string][] {
  return [
    ['traceparent', unsampled],
    ['x-selvage-trace', value],
  ];
}

const denial = {
  allowed: false,
  decidedBy: 'DENY',
  namespace: 'billing',
  policy: 'no-charges',
  rule: 1,
  details: 'rbac_access_denied_matched_policy[none]',
} as const;

test('without a collector a call has a trace all the same, where a setting says so', async () => {
  const t = await start({ sampling: 1, withoutSink: true });
  const x = makeExchange({});
  run(t, x);
  expect(isTraceparent(x.request.values('traceparent')[0] ?? '')).toBe(true);
  const quiet = makeExchange({});
  t.apply(snapshot({ telemetry: both({ tracing: { disabled: true } }) }));
  run(t, quiet);
  expect(quiet.request.values('traceparent')).toEqual([]);
  expect(await spansOf(t)).toEqual([]);
});

test('a sampled call becomes a server span, child of the caller\u2019s, and the application its child', async () => {
  const t = await start();
  const x = makeExchange({
    path: '/charges?access_token=secret',
    headers: [
      ['traceparent', sampled],
      ['tracestate', 'a=b'],
      ['user-agent', 'curl/8'],
    ],
  });
  x.service = null;
  t.begin(x);
  const [sent = '', ...more] = x.request.values('traceparent');
  expect(more).toEqual([]);
  expect(sent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
  expect(x.request.values('tracestate')).toEqual(['a=b']);
  t.end(x);
  const [span, ...others] = await spansOf(t);
  expect(others).toEqual([]);
  expect(span).toMatchObject({
    traceId,
    parentId,
    spanId: sent.slice(36, 52),
    kind: 2,
    name: 'GET payments.billing.svc.cluster.local',
    status: 0,
    events: [],
    resource: { 'service.name': 'payments.billing' },
  });
  expect(Number((span?.endNs ?? 0n) - (span?.startNs ?? 0n)) / 1e6).toBeCloseTo(3, 1);
  expect(Math.abs(Number((span?.startNs ?? 0n) / 1_000_000n) - Date.now())).toBeLessThan(60_000);
  expect(span?.attributes).toMatchObject({
    'http.request.method': 'GET',
    'url.path': '/charges',
    'url.scheme': 'http',
    'server.address': 'payments.billing',
    'client.address': '10.0.0.7',
    'network.peer.address': '10.0.0.7',
    'network.peer.port': 41000,
    'network.protocol.name': 'http',
    'network.protocol.version': '1.1',
    'http.response.status_code': 200,
    'http.response.body.size': 1024,
    'user_agent.original': 'curl/8',
    component: 'proxy',
    node_id: 'sidecar~10.0.0.9~payments-0.billing~billing.svc.cluster.local',
    'guid:x-request-id': 'a-request',
    'http.method': 'GET',
    'http.url': 'http://payments.billing/charges',
    'http.status_code': '200',
    response_flags: '-',
    response_size: '1024',
    'peer.address': '10.0.0.7',
    'upstream_cluster.name': 'inbound|8080||',
    'istio.canonical_service': 'payments',
    'istio.canonical_revision': 'v2',
    'istio.namespace': 'billing',
    'istio.cluster_id': 'Kubernetes',
    'istio.mesh_id': 'cluster.local',
    'selvage.source_principal': cashier,
    'selvage.destination_principal': 'spiffe://cluster.local/ns/billing/sa/payments',
    'selvage.endpoint': '127.0.0.1:9000',
  });
  expect(JSON.stringify(span?.attributes)).not.toContain('secret');
});

test('a call that its caller does not sample passes on as it came, even at ratio 1', async () => {
  const t = await start({ sampling: 1 });
  const headers: [string, string][] = [
    ['traceparent', unsampled],
    ['tracestate', 'a=b'],
  ];
  const x = makeExchange({ headers: [...headers] });
  run(t, x);
  expect(x.request.headers).toEqual(headers);
  expect(await spansOf(t)).toEqual([]);
});

test('without context a trace starts; outbound the span is the client\u2019s and names the endpoint', async () => {
  const t = await start({ sampling: 1 });
  const path = 'http://payments.billing/charges';
  const x = makeExchange({ downstream: outbound(), status: 404, path });
  x.endpoint = endpoint;
  t.begin(x);
  expect(isTraceparent(x.request.values('traceparent')[0] ?? '')).toBe(true);
  t.end(x);
  const [span] = await spansOf(t);
  expect(span).toMatchObject({
    kind: 3,
    status: 2,
    parentId: '',
    name: 'GET payments.billing.svc.cluster.local',
  });
  expect(span?.attributes).toMatchObject({
    'network.peer.address': '127.0.0.1',
    'network.peer.port': 9000,
    'url.full': 'http://payments.billing/charges',
    upstream_cluster: 'outbound|80||payments.billing.svc.cluster.local',
    'selvage.destination_principal': endpoint.identity,
  });
});

test('a denial is a tag, a reason and an event', async () => {
  const t = await start();
  const x = makeExchange({ headers: [['traceparent', sampled]], status: 403 });
  x.verdict = denial;
  x.failure = failures.denied;
  x.id = 'an-id';
  run(t, x);
  const [span] = await spansOf(t);
  expect(span?.attributes).toMatchObject({
    'selvage.verdict': 'denied',
    'selvage.policy': 'billing/no-charges',
    'selvage.rule': 1,
    'selvage.id': 'an-id',
    'selvage.why': 'denied by no-charges (billing.yaml:7)',
    'error.type': 'denied',
  });
  expect(span?.events).toMatchObject([
    {
      name: 'selvage.denied',
      attributes: {
        'selvage.reason': 'denied by no-charges (billing.yaml:7)',
        'selvage.code': 'denied',
      },
    },
  ]);
  // A server that refuses has not failed.
  expect(span?.status).toBe(0);
});

test('what a denial says of credentials is cut from spans as from logs', async () => {
  const missed = {
    field: 'when[request.headers[x-api-key]]',
    wanted: ['the-right-key'],
    got: 'a-stolen-key',
    at: null,
  };
  const place = { namespace: 'billing', policy: 'keys', rule: 0, at: null };
  const said = `${missed.field} is ${missed.got}, not ${missed.wanted[0]}`;
  const t = await start({
    explain: () => ({
      verdict: denial,
      summary: `denied; nearest is billing/keys rule 0: ${said}`,
      at: null,
      nearest: { ...place, matched: [], missed: [missed] },
      audited: [],
      dryRun: [],
    }),
  });
  const x = makeExchange({ headers: [['traceparent', sampled]], status: 403 });
  x.verdict = denial;
  x.failure = failures.denied;
  run(t, x);
  const [span] = await spansOf(t);
  expect(span?.attributes).toMatchObject({
    'selvage.why': expect.stringContaining('is (redacted), not (redacted)') as string,
  });
  const told = inspect(span, { depth: 9 });
  expect(told).not.toMatch(/the-right-key|a-stolen-key/);
});

test('a refusal that no policy made is denied too; one by a limit names the limit', async () => {
  const t = await start({ sampling: 1 });
  const token = makeExchange({ status: 401 });
  token.failure = failures['token-refused'];
  token.details = 'jwt_expired';
  run(t, token);
  const limited = makeExchange({ status: 429 });
  limited.verdict = { ...denial, allowed: true, decidedBy: 'ALLOW' };
  limited.failure = {
    ...failures['rate-limited'],
    why: 'refused by the limit "all"',
    limit: 'billing/payments/all',
  };
  run(t, limited);
  const [first, second] = await spansOf(t);
  expect(first?.attributes).toMatchObject({
    'selvage.verdict': 'denied',
    'selvage.why': 'token-refused: jwt_expired',
  });
  expect(second?.attributes).toMatchObject({
    'selvage.verdict': 'allowed',
    'selvage.limit': 'billing/payments/all',
    'selvage.why': 'refused by the limit "all"',
  });
  expect(second?.events.map(({ name }) => name)).toEqual(['selvage.limited']);
});

test('each try that failed is an event', async () => {
  const t = await start({ sampling: 1 });
  const x = makeExchange({ downstream: outbound() });
  t.begin(x);
  noteFailedTry(x, '10.0.0.9:8080', 'upstream-connect');
  noteFailedTry(x, '10.0.0.10:8080', '503');
  x.attempts = 3;
  t.end(x);
  const [span] = await spansOf(t);
  expect(span?.attributes['http.request.resend_count']).toBe(2);
  expect(span?.events.map(({ attributes }) => attributes)).toEqual([
    {
      'selvage.endpoint': '10.0.0.9:8080',
      'selvage.reason': 'upstream-connect',
      'http.request.resend_count': 1,
    },
    {
      'selvage.endpoint': '10.0.0.10:8080',
      'selvage.reason': '503',
      'http.request.resend_count': 2,
    },
  ]);
});

test('gRPC: the operation is the method, and its status counts', async () => {
  const t = await start({ sampling: 1 });
  const call = (grpcStatus: string, direction: 'inbound' | 'outbound'): void => {
    const x = makeExchange({
      method: 'POST',
      path: '/shop.Payments/Charge',
      protocol: 'HTTP/2',
      headers: [['content-type', 'application/grpc+proto']],
      downstream: makeDownstream({ direction }),
    });
    x.grpcStatus = grpcStatus;
    run(t, x);
  };
  call('0', 'inbound');
  call('5', 'inbound');
  call('5', 'outbound');
  call('14', 'inbound');
  const spans = await spansOf(t);
  expect(spans.map(({ status }) => status)).toEqual([0, 0, 2, 2]);
  expect(spans[1]?.name).toBe('shop.Payments/Charge');
  expect(spans[1]?.attributes).toMatchObject({
    'rpc.system': 'grpc',
    'rpc.service': 'shop.Payments',
    'rpc.method': 'Charge',
    'rpc.grpc.status_code': 5,
    'network.protocol.version': '2',
  });
});

test('a method that nobody knows is no operation of its own, and long values are cut', async () => {
  const t = await start({ sampling: 1 });
  run(t, makeExchange({ method: 'X-ANY', path: `/${'a'.repeat(999)}` }));
  const [span] = await spansOf(t);
  expect(span?.name).toBe('HTTP payments.billing.svc.cluster.local');
  expect(span?.attributes).toMatchObject({
    'http.request.method': '_OTHER',
    'http.request.method_original': 'X-ANY',
    'url.path': `/${'a'.repeat(255)}`,
  });
});

test('a malformed or repeated traceparent starts a new trace and drops its tracestate', async () => {
  const t = await start();
  for (const values of [[sampled.toUpperCase()], [sampled, sampled], ['x'], ['']]) {
    const headers = values.map((value): [string, string] => ['traceparent', value]);
    const x = makeExchange({ headers: [...headers, ['tracestate', 'a=b']] });
    t.begin(x);
    expect(x.request.values('tracestate')).toEqual([]);
    expect(x.request.values('traceparent')).toHaveLength(1);
    expect(x.request.values('traceparent')[0]).not.toContain(traceId);
  }
});

test('B3 is read in both forms, and answered in the form that came beside traceparent', async () => {
  const t = await start();
  const single = makeExchange({ headers: [['b3', `${traceId}-${parentId}-1`]] });
  run(t, single);
  const own = single.request.values('traceparent')[0]?.slice(36, 52) ?? '';
  expect(single.request.headers).toEqual([
    ['traceparent', `00-${traceId}-${own}-01`],
    ['b3', `${traceId}-${own}-1-${parentId}`],
  ]);
  const several = makeExchange({
    headers: [
      ['x-b3-traceid', traceId.slice(16)],
      ['x-b3-spanid', parentId],
      ['x-b3-parentspanid', '00000000000000aa'],
      ['x-b3-flags', '1'],
    ],
  });
  run(t, several);
  const padded = traceId.slice(16).padStart(32, '0');
  const next = several.request.values('x-b3-spanid')[0] ?? '';
  expect(several.request.headers).toEqual([
    ['traceparent', `00-${padded}-${next}-01`],
    ['x-b3-traceid', padded],
    ['x-b3-spanid', next],
    ['x-b3-parentspanid', parentId],
    ['x-b3-flags', '1'],
  ]);
  const spans = await spansOf(t);
  expect(spans).toMatchObject([
    { traceId, parentId, spanId: own },
    { traceId: padded, parentId, spanId: next },
  ]);
});

test('traceparent counts before B3, and what B3 does not sample is sampled by nobody', async () => {
  const t = await start({ sampling: 1 });
  const x = makeExchange({
    headers: [
      ['traceparent', sampled],
      ['b3', `${'1'.repeat(32)}-${'2'.repeat(16)}-0`],
    ],
  });
  run(t, x);
  expect(x.request.values('b3')[0]).toMatch(new RegExp(`^${traceId}-.{16}-1-${parentId}$`));
  const left = makeExchange({ headers: [['b3', `${traceId}-${parentId}-0`]] });
  run(t, left);
  expect(left.request.headers).toEqual([
    ['b3', `${traceId}-${parentId}-0`],
    ['traceparent', unsampled],
  ]);
  const alone = makeExchange({ headers: [['x-b3-sampled', '0']] });
  run(t, alone);
  expect(alone.request.values('traceparent')[0]).toMatch(/-00$/);
  expect(await spansOf(t)).toHaveLength(1);
});

test('where B3 leaves the decision, it is made here and passed on', async () => {
  const t = await start({ sampling: 0 });
  const x = makeExchange({ headers: [['b3', `${traceId}-${parentId}`]] });
  run(t, x);
  expect(x.request.headers).toEqual([
    ['traceparent', unsampled],
    ['b3', `${traceId}-${parentId}-0`],
  ]);
  expect(await spansOf(t)).toEqual([]);
});

test('a header has a call traced, if its caller may; it ends here either way', async () => {
  const t = await start({ debuggers: [cashier] });
  const stranger = makeDownstream({
    facts: { ...makeDownstream().facts, identities: ['spiffe://cluster.local/ns/shop/sa/other'] },
  });
  const cases: readonly [ReturnType<typeof makeExchange>, boolean][] = [
    [makeExchange({ headers: debugging('on') }), true],
    [makeExchange({ headers: debugging('off') }), false],
    [makeExchange({ headers: [['x-envoy-force-trace', 'true']] }), true],
    [makeExchange({ headers: debugging('on'), downstream: stranger }), false],
    [makeExchange({ headers: debugging('on'), downstream: outbound() }), true],
  ];
  for (const [x, traced] of cases) {
    run(t, x);
    expect(x.request.values('x-selvage-trace')).toEqual([]);
    expect(x.request.values('x-envoy-force-trace')).toEqual([]);
    expect(x.request.values('traceparent')[0]?.endsWith('-01')).toBe(traced);
  }
  expect(await spansOf(t)).toHaveLength(3);
});

test('with tracing off, trace headers pass untouched', async () => {
  const headers: [string, string][] = [
    ['traceparent', 'whatever'],
    ['x-selvage-trace', 'on'],
  ];
  const disabled = await start({ sampling: 1, tracing: { disabled: true } });
  const x = makeExchange({ headers: [...headers] });
  run(disabled, x);
  expect(x.request.headers).toEqual(headers);
  expect(await spansOf(disabled)).toEqual([]);
});

test('the mesh\u2019s share counts before the sidecar\u2019s own, for each direction', async () => {
  const t = await start({ sampling: 1 });
  t.apply(snapshot({ telemetry: { inbound: { tracing: { samplingPercent: 0 } }, outbound: {} } }));
  run(t, makeExchange());
  run(t, makeExchange({ downstream: outbound() }));
  t.apply(
    snapshot({
      telemetry: {
        inbound: { tracing: { samplingPercent: 100 } },
        outbound: { tracing: { disabled: true } },
      },
    }),
  );
  run(t, makeExchange());
  run(t, makeExchange({ downstream: outbound() }));
  expect((await spansOf(t)).map(({ kind }) => kind)).toEqual([3, 2]);
});

test('without propagation the span is reported and no header goes on', async () => {
  const t = await start({ tracing: { withoutPropagation: true } });
  const x = makeExchange({
    headers: [
      ['traceparent', sampled],
      ['tracestate', 'a=b'],
      ['x-b3-sampled', '1'],
      ['accept', '*/*'],
    ],
  });
  run(t, x);
  expect(x.request.headers).toEqual([['accept', '*/*']]);
  expect(await spansOf(t)).toMatchObject([{ traceId, parentId }]);
});

test('custom tags: of every kind, over the usual ones; what is malformed is left out with a warning', async () => {
  const warned: string[] = [];
  const t = await start({
    sampling: 1,
    warned,
    environment: { ZONE: 'eu-1' },
    tracing: {
      withoutIstioTags: true,
      tags: [
        { name: 'team', kind: 'literal', value: 'money' },
        { name: 'zone', kind: 'environment', variable: 'ZONE', otherwise: '?' },
        { name: 'unset', kind: 'environment', variable: 'NONE', otherwise: 'otherwise' },
        { name: 'tenant', kind: 'header', header: 'X-Tenant', otherwise: '' },
        { name: 'absent', kind: 'header', header: 'x-absent', otherwise: '' },
        {
          name: 'component',
          kind: 'formatter',
          format: '%PROTOCOL% %RESPONSE_CODE% %REQ(x-absent)%',
        },
        { name: 'broken', kind: 'formatter', format: '%NO_SUCH_THING%' },
        { name: 'open', kind: 'formatter', format: '100 %' },
      ],
    },
  });
  run(t, makeExchange({ headers: [['x-tenant', 'acme']] }));
  const [span] = await spansOf(t);
  const { attributes = {} } = span ?? {};
  expect(attributes).toMatchObject({
    team: 'money',
    zone: 'eu-1',
    unset: 'otherwise',
    tenant: 'acme',
    component: 'HTTP/1.1 200 -',
  });
  const names = Object.keys(attributes);
  for (const absent of ['absent', 'broken', 'open']) expect(names).not.toContain(absent);
  expect(names.filter((name) => name.startsWith('istio.'))).toEqual([]);
  expect(warned.filter((message) => message.includes('broken'))).not.toEqual([]);
});

test('a connection of bytes is a trace of its own, at the share of the mesh', async () => {
  const t = await start({ sampling: 1 });
  const closed = { openedAtMs: performance.now() - 20, closedAtMs: performance.now() };
  t.tcpClosed(makeSession({ ...closed, receivedBytes: 7, sentBytes: 9 }));
  t.tcpClosed(
    makeSession({
      ...closed,
      service: null,
      upstreamAddress: '',
      downstream: makeDownstream(),
      verdict: denial,
    }),
  );
  t.tcpClosed(makeSession({ ...closed, downstream: outbound(), flag: 'UF', details: 'no_way' }));
  t.apply(snapshot({ telemetry: both({ tracing: { samplingPercent: 0 } }) }));
  t.tcpClosed(makeSession(closed));
  const spans = await spansOf(t);
  expect(spans).toMatchObject([
    { name: 'TCP payments.billing.svc.cluster.local', kind: 2, parentId: '', status: 0 },
    { kind: 2 },
    { kind: 3, status: 2 },
  ]);
  expect(spans[0]?.attributes).toMatchObject({
    'network.transport': 'tcp',
    'server.address': 'payments.billing.svc.cluster.local',
    'server.port': 8080,
    'selvage.received_bytes': 7,
    'selvage.sent_bytes': 9,
    'selvage.source_principal': cashier,
  });
  expect(spans[1]?.attributes).toMatchObject({
    'selvage.verdict': 'denied',
    'selvage.why': 'denied by no-charges (billing.yaml:7)',
  });
  expect(spans[1]?.events.map(({ name }) => name)).toEqual(['selvage.denied']);
  expect(spans[2]?.attributes['error.type']).toBe('no_way');
  expect(service.hosts[0]).toBe(spans[2]?.attributes['server.address']);
});
