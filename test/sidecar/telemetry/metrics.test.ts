// Istio's metrics: names, labels, buckets, and the bound on what a peer can add.
import { expect, test } from 'vitest';

import { failures } from '#sidecar/failures.ts';
import { createTelemetry, type RunningTelemetry } from '#sidecar/telemetry/telemetry.ts';

import {
  cashier,
  endpoint,
  makeDownstream,
  makeExchange,
  makeSession,
  service,
  workload,
} from './exchanges.ts';

function telemetry(seriesMax = 100): RunningTelemetry {
  return createTelemetry({
    workload,
    identity: () => 'spiffe://cluster.local/ns/billing/sa/payments',
    accessLog: '',
    accessLogFormat: 'text',
    reasons: null,
    otlpEndpoint: '',
    traceSampling: 0,
    seriesMax,
    warn: () => {},
  });
}

/** The samples of a metric: label text -> value. */
async function samples(t: RunningTelemetry, name: string): Promise<Map<string, number>> {
  const page = await t.scrape();
  const found = new Map<string, number>();
  for (const line of page.body.split('\n')) {
    const match = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match !== null && match[1] === name) found.set(match[2] ?? '', Number(match[3]));
  }
  return found;
}

function labels(text: string): Record<string, string> {
  return Object.fromEntries(
    [...text.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map((m) => [m[1], m[2]]),
  );
}

test('a request at its destination carries every label that Istio gives it', async () => {
  const t = telemetry();
  t.begin(makeExchange());
  t.end(makeExchange());
  const [[text, value] = ['', 0]] = [...(await samples(t, 'istio_requests_total'))];
  expect(value).toBe(1);
  expect(labels(text)).toEqual({
    reporter: 'destination',
    source_workload: 'unknown',
    source_workload_namespace: 'shop',
    source_principal: cashier,
    source_app: 'unknown',
    source_version: 'unknown',
    source_canonical_service: 'unknown',
    source_canonical_revision: 'unknown',
    source_cluster: 'unknown',
    destination_workload: 'payments',
    destination_workload_namespace: 'billing',
    destination_principal: 'spiffe://cluster.local/ns/billing/sa/payments',
    destination_app: 'payments',
    destination_version: 'v2',
    destination_canonical_service: 'payments',
    destination_canonical_revision: 'v2',
    destination_cluster: 'Kubernetes',
    destination_service: 'payments.billing.svc.cluster.local',
    destination_service_name: 'payments',
    destination_service_namespace: 'billing',
    request_protocol: 'http',
    response_code: '200',
    grpc_response_status: '',
    connection_security_policy: 'mutual_tls',
    response_flags: '-',
  });
});

test('a request at its source names the endpoint that answered and leaves security unknown', async () => {
  const t = telemetry();
  const x = makeExchange({ downstream: makeDownstream({ direction: 'outbound' }) });
  x.endpoint = endpoint;
  t.end(x);
  const [[text] = ['']] = [...(await samples(t, 'istio_requests_total'))];
  expect(labels(text)).toMatchObject({
    reporter: 'source',
    source_workload: 'payments',
    destination_workload: 'payments',
    destination_principal: endpoint.identity,
    connection_security_policy: 'unknown',
  });
});

test('plaintext is counted as none, and a call to nowhere as the black hole', async () => {
  const t = telemetry();
  const facts = { ...makeDownstream().facts, mtls: false, identities: [] };
  t.end(makeExchange({ downstream: makeDownstream({ facts }) }));
  const lost = makeExchange({ downstream: makeDownstream({ direction: 'outbound' }), status: 502 });
  lost.service = null;
  lost.failure = failures['route-missing'];
  t.end(lost);
  const all = [...(await samples(t, 'istio_requests_total')).keys()].map(labels);
  expect(all).toHaveLength(2);
  expect(all[0]).toMatchObject({ connection_security_policy: 'none', source_principal: 'unknown' });
  expect(all[1]).toMatchObject({
    destination_service_name: 'BlackHoleCluster',
    response_flags: 'NR',
    response_code: '502',
  });
});

test('histograms have cumulative buckets, a sum and a count', async () => {
  const t = telemetry();
  const downstream = makeDownstream();
  for (const durationMs of [0.25, 0.5, 7, 7, 4_000_000]) {
    t.end(makeExchange({ downstream, durationMs }));
  }
  const name = 'istio_request_duration_milliseconds';
  const buckets = new Map(
    [...(await samples(t, `${name}_bucket`))].map(([text, n]) => [labels(text)['le'], n]),
  );
  const inf = [...(await samples(t, `${name}_bucket`))].find(([text]) => text.includes('+Inf'));
  expect(buckets.size).toBe(20);
  expect(['0.5', '5', '10', '3600000'].map((le) => buckets.get(le))).toEqual([2, 2, 4, 4]);
  expect(inf?.[1]).toBe(5);
  expect([...(await samples(t, `${name}_count`)).values()]).toEqual([5]);
  expect([...(await samples(t, `${name}_sum`)).values()][0]).toBeCloseTo(4_000_014.75);
  expect([...(await samples(t, 'istio_response_bytes_sum')).values()]).toEqual([5 * 1024]);
});

test('two connections of one peer share a series; two statuses do not', async () => {
  const t = telemetry();
  t.end(makeExchange());
  t.end(makeExchange());
  t.end(makeExchange({ status: 404 }));
  expect([...(await samples(t, 'istio_requests_total')).values()]).toEqual([2, 1]);
});

test('gRPC is told by its content type on HTTP/2, and odd statuses make no labels', async () => {
  const t = telemetry();
  for (const status of ['0', '16', '99', 'x"y']) {
    const x = makeExchange({
      protocol: 'HTTP/2',
      headers: [['content-type', 'application/grpc+proto']],
    });
    x.grpcStatus = status;
    t.end(x);
  }
  const all = [...(await samples(t, 'istio_requests_total'))].map(([text, n]) => [
    labels(text)['request_protocol'],
    labels(text)['grpc_response_status'],
    n,
  ]);
  expect(all).toEqual([
    ['grpc', '0', 1],
    ['grpc', '16', 1],
    ['grpc', 'unknown', 2],
  ]);
});

test('series are bounded: what comes later is counted as overflow', async () => {
  const t = telemetry(3);
  for (let status = 200; status < 230; status++) t.end(makeExchange({ status }));
  const all = await samples(t, 'istio_requests_total');
  expect(all.size).toBe(4);
  expect(all.get('reporter="overflow"')).toBe(27);
  const overflows = await samples(t, 'selvage_metric_series_overflowed_total');
  expect(overflows.get('table="http"')).toBe(27);
});

test('neither method, path, host nor headers of a caller become labels', async () => {
  const t = telemetry();
  for (let i = 0; i < 50; i++) {
    const x = makeExchange({ method: `M${i}`, path: `/${i}`, headers: [['user-agent', `${i}`]] });
    x.request.authority = `host-${i}`;
    x.service = null;
    t.end(x);
  }
  expect((await samples(t, 'istio_requests_total')).size).toBe(1);
});

test('a caller with a certificate names its workload; its header never reaches the application', async () => {
  const t = telemetry();
  const out = makeExchange({ downstream: makeDownstream({ direction: 'outbound' }) });
  out.endpoint = endpoint;
  t.forwarding(out);
  const [value = ''] = out.request.values('x-selvage-peer');
  expect(value).toBe('payments;payments;v2;payments;v2;Kubernetes');
  const x = makeExchange({
    headers: [
      ['x-selvage-peer', value],
      ['x-envoy-peer-metadata', 'CgA='],
      ['x-envoy-peer-metadata-id', 'sidecar~1.2.3.4~a.b~c'],
    ],
  });
  t.begin(x);
  t.end(x);
  expect(x.request.headers).toEqual([]);
  const [[text] = ['']] = [...(await samples(t, 'istio_requests_total'))];
  expect(labels(text)).toMatchObject({
    source_workload: 'payments',
    source_workload_namespace: 'shop',
    source_principal: cashier,
    source_version: 'v2',
  });
});

test('an endpoint without a sidecar is told nothing', () => {
  const t = telemetry();
  const out = makeExchange({ downstream: makeDownstream({ direction: 'outbound' }) });
  out.endpoint = { ...endpoint, identity: null };
  t.forwarding(out);
  expect(out.request.headers).toEqual([]);
});

test('without a certificate, or with a name Kubernetes would not give, the header is not believed', async () => {
  const t = telemetry();
  const facts = { ...makeDownstream().facts, mtls: false, identities: [] };
  for (const [value, downstream] of [
    ['evil;a;b;c;d;e', makeDownstream({ facts })],
    ['evil"} 1\n;a;b;c;d;e', makeDownstream()],
    ['evil;a;b;c;d', makeDownstream()],
    [`${'x'.repeat(64)};a;b;c;d;e`, makeDownstream()],
  ] as const) {
    const x = makeExchange({ downstream, headers: [['x-selvage-peer', value]] });
    t.begin(x);
    t.end(x);
    expect(x.request.headers).toEqual([]);
  }
  const all = [...(await samples(t, 'istio_requests_total')).keys()].map(labels);
  expect(all.map((one) => one['source_workload'])).toEqual(['unknown', 'unknown']);
});

test('one identity cannot claim workloads without end', async () => {
  const t = telemetry(1000);
  for (let i = 0; i < 100; i++) {
    const x = makeExchange({ headers: [['x-selvage-peer', `w${i};a;b;c;d;e`]] });
    t.begin(x);
    t.end(x);
  }
  expect((await samples(t, 'istio_requests_total')).size).toBe(17);
});

test('bytes of an open TCP session are counted at each scrape, the rest at its end', async () => {
  const t = telemetry();
  const session = makeSession();
  t.tcpOpened(session);
  session.sentBytes = 100;
  session.receivedBytes = 7;
  expect([...(await samples(t, 'istio_tcp_sent_bytes_total')).values()]).toEqual([100]);
  expect([...(await samples(t, 'istio_tcp_connections_closed_total')).values()]).toEqual([0]);
  session.sentBytes = 150;
  session.flag = 'UC';
  t.tcpClosed(session);
  const sent = [...(await samples(t, 'istio_tcp_sent_bytes_total')).values()];
  expect(sent.reduce((a, b) => a + b)).toBe(150);
  const closed = [...(await samples(t, 'istio_tcp_connections_closed_total'))];
  expect(closed.find(([, n]) => n === 1)?.[0]).toContain('response_flags="UC"');
  expect(closed[0]?.[0]).toContain('request_protocol="tcp"');
});

test('refused connections are counted by how far they came', async () => {
  const t = telemetry();
  const refusal = {
    downstream: makeDownstream(),
    destinationPort: 8080,
    transport: 'plaintext' as const,
    sni: '',
    reason: 'plaintext refused: STRICT by billing/default',
    at: 'shop.yaml:3',
  };
  t.connectionRefused(refusal);
  t.connectionRefused(refusal);
  const refused = await samples(t, 'selvage_connections_refused_total');
  expect(refused.get('transport="plaintext"')).toBe(2);
});

test('a new snapshot gives new objects for the same service, and still one series', async () => {
  const t = telemetry();
  const downstream = makeDownstream();
  t.end(makeExchange({ downstream }));
  const x = makeExchange({ downstream });
  x.service = structuredClone(service);
  t.end(x);
  expect([...(await samples(t, 'istio_requests_total')).values()]).toEqual([2]);
});
