// Istio's metrics: names, labels, buckets, and the bound on what a peer can add.
import { expect, test } from 'vitest';

import { failures } from '#sidecar/failures.ts';
import { labels, samples, snapshot, telemetry } from './samples.ts';
import {
  cashier,
  endpoint,
  makeDownstream,
  makeExchange,
  makeSession,
  service,
} from './exchanges.ts';

test('a request at its destination carries every label that Istio gives it', () => {
  const t = telemetry();
  t.begin(makeExchange());
  t.end(makeExchange());
  const [[text, value] = ['', 0]] = [...samples(t, 'istio_requests_total')];
  expect(value).toBe(1);
  expect(labels(text)).toEqual({
    reporter: 'destination',
    source_workload: 'unknown',
    source_workload_namespace: 'shop',
    source_principal: cashier,
    source_app: 'unknown',
    source_version: 'unknown',
    source_canonical_service: 'unknown',
    source_canonical_revision: 'latest',
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

test('a request at its source names the endpoint that answered and leaves security unknown', () => {
  const t = telemetry();
  const x = makeExchange({ downstream: makeDownstream({ direction: 'outbound' }) });
  x.endpoint = endpoint;
  t.end(x);
  const [[text] = ['']] = [...samples(t, 'istio_requests_total')];
  expect(labels(text)).toMatchObject({
    reporter: 'source',
    source_workload: 'payments',
    destination_workload: 'payments',
    destination_principal: endpoint.identity,
    connection_security_policy: 'unknown',
  });
});

test('plaintext is counted as none, and a call to nowhere as the black hole', () => {
  const t = telemetry();
  const facts = { ...makeDownstream().facts, mtls: false, identities: [] };
  t.end(makeExchange({ downstream: makeDownstream({ facts }) }));
  const lost = makeExchange({ downstream: makeDownstream({ direction: 'outbound' }), status: 502 });
  lost.service = null;
  lost.failure = failures['route-missing'];
  t.end(lost);
  const all = [...samples(t, 'istio_requests_total').keys()].map(labels);
  expect(all).toHaveLength(2);
  expect(all[0]).toMatchObject({ connection_security_policy: 'none', source_principal: 'unknown' });
  expect(all[1]).toMatchObject({
    destination_service_name: 'BlackHoleCluster',
    response_flags: 'NR',
    response_code: '502',
  });
});

test('histograms have cumulative buckets, a sum and a count', () => {
  const t = telemetry();
  const downstream = makeDownstream();
  for (const durationMs of [0.25, 0.5, 7, 7, 4_000_000]) {
    t.end(makeExchange({ downstream, durationMs }));
  }
  const name = 'istio_request_duration_milliseconds';
  const buckets = new Map(
    [...samples(t, `${name}_bucket`)].map(([text, n]) => [labels(text)['le'], n]),
  );
  const inf = [...samples(t, `${name}_bucket`)].find(([text]) => text.includes('+Inf'));
  expect(buckets.size).toBe(20);
  expect(['0.5', '5', '10', '3600000'].map((le) => buckets.get(le))).toEqual([2, 2, 4, 4]);
  expect(inf?.[1]).toBe(5);
  expect([...samples(t, `${name}_count`).values()]).toEqual([5]);
  expect([...samples(t, `${name}_sum`).values()][0]).toBeCloseTo(4_000_014.75);
  expect([...samples(t, 'istio_response_bytes_sum').values()]).toEqual([5 * 1024]);
});

test('two connections of one peer share a series; two statuses do not', () => {
  const t = telemetry();
  t.end(makeExchange());
  t.end(makeExchange());
  t.end(makeExchange({ status: 404 }));
  expect([...samples(t, 'istio_requests_total').values()]).toEqual([2, 1]);
});

test('gRPC is told by its content type on HTTP/2, and odd statuses make no labels', () => {
  const t = telemetry();
  for (const status of ['0', '16', '99', 'x"y', '']) {
    const x = makeExchange({
      protocol: 'HTTP/2',
      headers: [['content-type', 'application/grpc+proto']],
    });
    x.grpcStatus = status;
    t.begin(x);
    t.end(x);
  }
  const all = [...samples(t, 'istio_requests_total')].map(([text, n]) => [
    labels(text)['request_protocol'],
    labels(text)['grpc_response_status'],
    n,
  ]);
  expect(all).toEqual([
    ['grpc', '0', 1],
    ['grpc', '16', 1],
    ['grpc', 'unknown', 2],
    // None was sent: what the HTTP status stands for.
    ['grpc', '2', 1],
  ]);
});

test('series are bounded: what comes later is counted as overflow', () => {
  const t = telemetry({ seriesMax: 3 });
  for (let status = 200; status < 230; status++) t.end(makeExchange({ status }));
  const all = samples(t, 'istio_requests_total');
  expect(all.size).toBe(4);
  expect(all.get('reporter="overflow"')).toBe(27);
  const overflows = samples(t, 'selvage_metric_series_overflowed_total');
  expect(overflows.get('table="http"')).toBe(27);
});

test('neither method, path, host nor headers of a caller become labels', () => {
  const t = telemetry();
  for (let i = 0; i < 50; i++) {
    const x = makeExchange({ method: `M${i}`, path: `/${i}`, headers: [['user-agent', `${i}`]] });
    x.request.authority = `host-${i}`;
    x.service = null;
    t.end(x);
  }
  expect(samples(t, 'istio_requests_total').size).toBe(1);
});

test('a caller with a certificate names its workload; its header never reaches the application', () => {
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
  const [[text] = ['']] = [...samples(t, 'istio_requests_total')];
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

test('without a certificate, or with a name Kubernetes would not give, the header is not believed', () => {
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
  const all = [...samples(t, 'istio_requests_total').keys()].map(labels);
  expect(all.map((one) => one['source_workload'])).toEqual(['unknown', 'unknown']);
});

test('one identity cannot claim workloads without end', () => {
  const t = telemetry({ seriesMax: 1000 });
  for (let i = 0; i < 100; i++) {
    const x = makeExchange({ headers: [['x-selvage-peer', `w${i};a;b;c;d;e`]] });
    t.begin(x);
    t.end(x);
  }
  expect(samples(t, 'istio_requests_total').size).toBe(17);
});

test('bytes of an open TCP session are counted at each scrape, the rest at its end', () => {
  const t = telemetry();
  const session = makeSession();
  t.tcpOpened(session);
  session.sentBytes = 100;
  session.receivedBytes = 7;
  expect([...samples(t, 'istio_tcp_sent_bytes_total').values()]).toEqual([100]);
  expect([...samples(t, 'istio_tcp_connections_closed_total').values()]).toEqual([0]);
  session.sentBytes = 150;
  session.flag = 'UC';
  t.tcpClosed(session);
  const sent = [...samples(t, 'istio_tcp_sent_bytes_total').values()];
  expect(sent.reduce((a, b) => a + b)).toBe(150);
  const closed = [...samples(t, 'istio_tcp_connections_closed_total')];
  expect(closed.find(([, n]) => n === 1)?.[0]).toContain('response_flags="UC"');
  expect(closed[0]?.[0]).toContain('request_protocol="tcp"');
});

test('refused connections are counted by how far they came', () => {
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
  const refused = samples(t, 'selvage_connections_refused_total');
  expect(refused.get('transport="plaintext"')).toBe(2);
});

test('a new snapshot gives new objects for the same service, and still one series', () => {
  const t = telemetry();
  const downstream = makeDownstream();
  t.end(makeExchange({ downstream }));
  const x = makeExchange({ downstream });
  x.service = structuredClone(service);
  t.end(x);
  expect([...samples(t, 'istio_requests_total').values()]).toEqual([2]);
});

test('a port that a Service leads to is that Service, others are in Istio its fallbacks', () => {
  const t = telemetry();
  const at = (destinationPort: number): void => {
    const facts = { ...makeDownstream().facts, destinationPort };
    const x = makeExchange({ downstream: makeDownstream({ facts, localPort: 15006 }) });
    x.service = null;
    t.end(x);
  };
  t.apply(snapshot());
  for (const port of [8080, 9090, 7777]) at(port);
  const named = [...samples(t, 'istio_requests_total').keys()].map(labels).map((one) => ({
    host: one['destination_service'],
    name: one['destination_service_name'],
    namespace: one['destination_service_namespace'],
  }));
  expect(named).toEqual([
    { host: 'payments.billing.svc.cluster.local', name: 'payments', namespace: 'billing' },
    // The workload declares it, no Service leads there.
    { host: 'payments', name: 'payments', namespace: 'billing' },
    { host: 'payments', name: 'InboundPassthroughCluster', namespace: 'billing' },
  ]);
});

test('a Service stays while none of its pods is ready, and goes with its object', () => {
  const t = telemetry();
  const downstream = makeDownstream();
  const call = (): void => {
    const x = makeExchange({ downstream });
    x.service = null;
    t.end(x);
  };
  t.apply(snapshot());
  call();
  t.apply(snapshot({ services: [{ ...service, ports: [] }] }));
  call();
  t.apply(snapshot({ services: [] }));
  call();
  expect(
    [...samples(t, 'istio_requests_total')].map(([text, n]) => [
      labels(text)['destination_service_name'],
      n,
    ]),
  ).toEqual([
    ['payments', 2],
    ['InboundPassthroughCluster', 1],
  ]);
});

test('where an outbound call of no Service went is named as Istio does', () => {
  const t = telemetry();
  const downstream = makeDownstream({ direction: 'outbound' });
  for (const [code, upstreamAddress] of [
    [null, '1.2.3.4:80'],
    ['outside-refused', ''],
    ['upstream-reset', '1.2.3.4:80'],
    ['host-missing', ''],
  ] as const) {
    const x = makeExchange({ downstream });
    x.service = null;
    x.upstreamAddress = upstreamAddress;
    x.failure = code === null ? null : failures[code];
    t.end(x);
  }
  const names = [...samples(t, 'istio_requests_total').keys()].map(
    (text) => labels(text)['destination_service_name'],
  );
  expect(names).toEqual([
    'PassthroughCluster',
    'BlackHoleCluster',
    'PassthroughCluster',
    'unknown',
  ]);
});

test("gRPC's messages are counted with the parties' labels alone", () => {
  const t = telemetry();
  const x = makeExchange({
    protocol: 'HTTP/2',
    headers: [['content-type', 'application/grpc']],
  });
  t.begin(x);
  const message = Buffer.from([0, 0, 0, 0, 3, 1, 2, 3]);
  x.messages?.request.read(message, 0, 8);
  for (const piece of [message.subarray(0, 2), message.subarray(2), message]) {
    x.messages?.response.read(piece, 0, piece.length);
  }
  t.end(x);
  const [[text, sent] = ['', 0]] = samples(t, 'istio_request_messages_total');
  expect(sent).toBe(1);
  expect([...samples(t, 'istio_response_messages_total').values()]).toEqual([2]);
  expect(Object.keys(labels(text))).not.toContain('response_code');
  expect(labels(text)).toMatchObject({ reporter: 'destination', source_principal: cashier });
});

test('what policies decided is counted by rule', () => {
  const t = telemetry();
  const verdict = {
    allowed: false,
    decidedBy: 'DENY',
    namespace: 'billing',
    policy: 'no-admin',
    rule: 1,
    details: '',
  } as const;
  const downstream = makeDownstream();
  for (const said of [verdict, verdict, { ...verdict, allowed: true, rule: -1 }]) {
    const x = makeExchange({ downstream });
    x.verdict = said;
    t.end(x);
  }
  t.tcpClosed(makeSession({ verdict }));
  expect([...samples(t, 'selvage_policy_decisions_total')]).toEqual([
    ['decision="deny",action="DENY",policy_namespace="billing",policy="no-admin",rule="1"', 3],
    ['decision="allow",action="DENY",policy_namespace="billing",policy="no-admin",rule=""', 1],
  ]);
});
