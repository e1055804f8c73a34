// Telemetry resources: metrics that are switched off, labels that go, come and have values of the call.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { MetricOverride } from '#api/telemetry.ts';
import { compileCel } from '#sidecar/cel/compile.ts';
import { tagCharsMax } from '#sidecar/telemetry/metric-plan.ts';
import { PageReader } from '#sidecar/scrape/page-reader.ts';
import type { RunningTelemetry } from '#sidecar/telemetry/telemetry.ts';

import { cashier, makeDownstream, makeExchange, makeSession } from './exchanges.ts';
import { labels, overrides, samples, snapshot, telemetry } from './samples.ts';

function told(metrics: readonly MetricOverride[], seriesMax = 100): RunningTelemetry {
  const t = telemetry({ compileCel, seriesMax });
  t.apply(snapshot({ telemetry: overrides(metrics) }));
  return t;
}

const first = (all: Map<string, number>): Record<string, string> =>
  labels([...all.keys()][0] ?? '');

test('a metric that is disabled is not on the page, the others are', () => {
  const t = told([{ metric: 'REQUEST_SIZE', disabled: true }]);
  t.end(makeExchange());
  expect(samples(t, 'istio_request_bytes_count').size).toBe(0);
  expect(samples(t, 'istio_requests_total').size).toBe(1);
  expect(samples(t, 'istio_response_bytes_count').size).toBe(1);
});

test('all metrics can be disabled, and a later word on one of them counts', () => {
  const t = told([
    { metric: 'ALL_METRICS', disabled: true },
    { metric: 'REQUEST_COUNT', disabled: false },
  ]);
  t.end(makeExchange());
  t.tcpOpened(makeSession());
  expect(samples(t, 'istio_requests_total').size).toBe(1);
  expect(samples(t, 'istio_request_duration_milliseconds_count').size).toBe(0);
  expect(samples(t, 'istio_tcp_connections_opened_total').size).toBe(0);
});

test('a label is cut from the metric that is named, and series that no longer differ are one', () => {
  const t = told([{ metric: 'REQUEST_COUNT', tags: { response_code: null, source_app: null } }]);
  for (const status of [200, 404, 500]) t.end(makeExchange({ status }));
  const counted = samples(t, 'istio_requests_total');
  expect([...counted.values()]).toEqual([3]);
  expect(first(counted)).not.toHaveProperty('response_code');
  expect(samples(t, 'istio_request_bytes_count').size).toBe(3);
});

test('a label can have a value of the call, a fixed one, or none that is known', () => {
  const t = told([
    {
      metric: 'ALL_METRICS',
      tags: { request_method: 'request.method', team: "'blue'", missing: 'x.y' },
    },
    { metric: 'REQUEST_COUNT', tags: { source_app: "'renamed'" } },
  ]);
  const downstream = makeDownstream();
  for (const method of ['GET', 'POST', 'GET']) t.end(makeExchange({ downstream, method }));
  const counted = samples(t, 'istio_requests_total');
  expect([...counted.values()]).toEqual([2, 1]);
  expect(first(counted)).toMatchObject({
    request_method: 'GET',
    team: 'blue',
    missing: 'unknown',
    source_app: 'renamed',
  });
  expect(first(samples(t, 'istio_response_bytes_sum'))).toMatchObject({
    request_method: 'GET',
    source_app: 'unknown',
  });
});

const xfcc = 'By=spiffe://a/b;Hash=0a1b;Subject="CN=web";URI=spiffe://c/d';

test('a connection is no call: values of calls are unknown there', () => {
  const t = told([
    {
      metric: 'TCP_OPENED_CONNECTIONS',
      tags: { request_method: 'request.method', took: 'string(request.duration)' },
    },
  ]);
  t.tcpOpened(makeSession());
  expect(first(samples(t, 'istio_tcp_connections_opened_total'))).toMatchObject({
    request_method: 'unknown',
    // It has not ended.
    took: 'unknown',
  });
  expect(first(samples(t, 'istio_tcp_sent_bytes_total'))).not.toHaveProperty('request_method');
});

test('labels of a connection have what is known of connections, as they are counted', () => {
  const downstream = makeDownstream({ forwardedClientCert: xfcc });
  const t = told([
    {
      metric: 'ALL_METRICS',
      tags: {
        from: 'source.address',
        to: 'destination.port',
        mtls: 'connection.mtls',
        sni: 'connection.requested_server_name',
        peer: 'connection.uri_san_peer_certificate',
        own: 'connection.uri_san_local_certificate',
        subject: 'connection.subject_peer_certificate',
        digest: 'connection.sha256_peer_certificate_digest',
        direction: 'xds.listener_direction',
        namespace: 'filter_state.downstream_peer.namespace',
        upstream: 'upstream.address',
        method: 'request.method',
      },
    },
    { metric: 'TCP_CLOSED_CONNECTIONS', tags: { why: 'connection.termination_details' } },
  ]);
  const session = makeSession({ downstream });
  t.tcpOpened(session);
  const known = {
    from: '10.0.0.7:41000',
    to: '8080',
    mtls: 'true',
    sni: downstream.facts.sni,
    peer: cashier,
    own: 'spiffe://a/b',
    subject: 'CN=web',
    digest: '0a1b',
    direction: '1',
    namespace: 'shop',
    upstream: '127.0.0.1:9000',
    method: 'unknown',
  };
  expect(first(samples(t, 'istio_tcp_connections_opened_total'))).toMatchObject(known);
  session.sentBytes = 7;
  const sent = samples(t, 'istio_tcp_sent_bytes_total');
  expect([first(sent), [...sent.values()]]).toMatchObject([known, [7]]);
  session.details = 'idle_timeout';
  session.closedAtMs = performance.now();
  t.tcpClosed(session);
  const closed = samples(t, 'istio_tcp_connections_closed_total');
  expect([...closed].map(([text, count]) => [labels(text)['why'], count])).toContainEqual([
    'idle_timeout',
    1,
  ]);
  expect([...samples(t, 'istio_tcp_connections_opened_total').values()]).toEqual([1]);
});

test('without mutual TLS a label of who called is unknown, and addresses make no more series than there is room for', () => {
  const t = told(
    [
      {
        metric: 'TCP_OPENED_CONNECTIONS',
        tags: { from: 'source.port', peer: 'connection.uri_san_peer_certificate' },
      },
    ],
    20,
  );
  const { facts } = makeDownstream();
  for (let remotePort = 1; remotePort <= 200; remotePort++) {
    const plain = { ...facts, mtls: false, identities: [], sni: '' };
    t.tcpOpened(makeSession({ downstream: makeDownstream({ facts: plain, remotePort }) }));
  }
  const opened = samples(t, 'istio_tcp_connections_opened_total');
  // Metrics that were not named have a series too; what there is no room for is counted in one.
  expect(opened.size).toBe(20);
  expect([...opened.values()].reduce((sum, count) => sum + count)).toBe(200);
  expect(labels([...opened.keys()][1] ?? '')).toMatchObject({ from: '1', peer: 'unknown' });
});

test("gRPC's messages follow too", () => {
  const t = told([{ metric: 'GRPC_REQUEST_MESSAGES', tags: { request_method: 'request.method' } }]);
  const headers: [string, string][] = [['content-type', 'application/grpc']];
  const x = makeExchange({ protocol: 'HTTP/2', headers, method: 'POST' });
  t.begin(x);
  t.end(x);
  expect(first(samples(t, 'istio_request_messages_total'))['request_method']).toBe('POST');
  expect(first(samples(t, 'istio_response_messages_total'))).not.toHaveProperty('request_method');
});

test('a change counts at once on connections that are open, and leaves nothing behind', () => {
  const t = telemetry({ compileCel });
  const downstream = makeDownstream();
  t.end(makeExchange({ downstream }));
  t.apply(snapshot({ telemetry: overrides([{ metric: 'ALL_METRICS', tags: { team: "'a'" } }]) }));
  t.end(makeExchange({ downstream }));
  expect(first(samples(t, 'istio_requests_total'))['team']).toBe('a');
  expect([...samples(t, 'istio_requests_total').values()]).toEqual([1]);
  t.apply(snapshot());
  t.end(makeExchange({ downstream }));
  expect(first(samples(t, 'istio_requests_total'))).not.toHaveProperty('team');
});

test('a snapshot that says the same keeps what was counted', () => {
  const metrics = [{ metric: 'ALL_METRICS', tags: { team: "'a'" } }];
  const t = told(metrics);
  t.end(makeExchange());
  t.apply(snapshot({ telemetry: overrides(structuredClone(metrics)) }));
  t.end(makeExchange());
  expect([...samples(t, 'istio_requests_total').values()]).toEqual([2]);
});

test('values are cut, and those of a caller make no more series than there is room for', () => {
  const t = told([{ metric: 'ALL_METRICS', tags: { request_method: 'request.method' } }], 20);
  for (let i = 0; i < 200; i++) t.end(makeExchange({ method: `${i}${'x'.repeat(5000)}` }));
  const counted = samples(t, 'istio_requests_total');
  expect(counted.size).toBe(21);
  expect(labels([...counted.keys()][1] ?? '')['request_method']).toHaveLength(tagCharsMax);
});

test('whatever names and values are told, the page can be read', () => {
  const tag = fc.tuple(fc.string(), fc.option(fc.string().map((text) => `'${text}'`)));
  fc.assert(
    fc.property(fc.array(tag), fc.string({ unit: 'binary' }), (tags, method) => {
      const t = told([
        { metric: 'ALL_METRICS', tags: { m: 'request.method', ...Object.fromEntries(tags) } },
      ]);
      t.end(makeExchange({ method }));
      for (const format of ['text', 'openmetrics'] as const) {
        const reader = new PageReader(format);
        reader.push(Buffer.from(t.scrape(format).body));
        expect(reader.end()).toContain('istio_requests_total{');
      }
    }),
  );
});
