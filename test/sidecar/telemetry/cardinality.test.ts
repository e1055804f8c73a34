// What others say becomes labels only where the values are few: an attacker can grow neither the page nor the memory.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { ownerRowsMin } from '#sidecar/telemetry/series.ts';
import { workloadsPerIdentityMax } from '#sidecar/telemetry/peer-exchange.ts';

import { makeDownstream, makeExchange, makeSession } from './exchanges.ts';
import { labels, samples, telemetry } from './samples.ts';

const names = (n: number): string => `spiffe://cluster.local/ns/evil-${n}/sa/evil-${n}`;

test('statuses that HTTP does not define are one label', () => {
  const t = telemetry({ seriesMax: 10_000 });
  for (let status = 0; status < 2000; status++) t.end(makeExchange({ status }));
  const codes = new Set(
    [...samples(t, 'istio_requests_total').keys()].map((text) => labels(text)['response_code']),
  );
  expect(codes.size).toBeLessThanOrEqual(502);
  expect(codes).toContain('unknown');
  expect([...codes].filter((code) => Number(code) > 599)).toEqual([]);
});

test('one caller with every status, flag, workload and gRPC status leaves room for the others', () => {
  const t = telemetry({ seriesMax: 1000 });
  const downstream = makeDownstream();
  for (let i = 0; i < 5000; i++) {
    const headers: [string, string][] = [
      ['content-type', 'application/grpc'],
      ['x-selvage-peer', `w${i};a${i};v${i};c${i};r${i};k${i}`],
    ];
    const x = makeExchange({ downstream, headers, protocol: 'HTTP/2', status: i % 1000 });
    x.grpcStatus = String(i % 40);
    t.begin(x);
    t.end(x);
  }
  expect(samples(t, 'istio_requests_total').size).toBe(251);
  expect(samples(t, 'istio_request_messages_total').size).toBeLessThanOrEqual(
    workloadsPerIdentityMax + 2,
  );
  const facts = { ...makeDownstream().facts, identities: [names(1)] };
  t.end(makeExchange({ downstream: makeDownstream({ facts }) }));
  const sources = [...samples(t, 'istio_requests_total').keys()].map(
    (text) => labels(text)['source_principal'],
  );
  expect(sources).toContain(names(1));
});

test('callers without a certificate share one part of the table', () => {
  const t = telemetry({ seriesMax: 1000 });
  const facts = { ...makeDownstream().facts, mtls: false, identities: [] };
  for (let status = 100; status < 600; status++) {
    t.end(makeExchange({ downstream: makeDownstream({ facts }), status }));
  }
  expect(samples(t, 'istio_requests_total').size).toBe(Math.max(ownerRowsMin, 250) + 1);
});

test('many identities fill the table and no more, for calls and for connections', () => {
  const t = telemetry({ seriesMax: 50 });
  for (let i = 0; i < 500; i++) {
    const facts = { ...makeDownstream().facts, identities: [names(i)] };
    const downstream = makeDownstream({ facts });
    t.end(makeExchange({ downstream }));
    const session = makeSession({ downstream });
    t.tcpOpened(session);
    t.tcpClosed(session);
  }
  expect(samples(t, 'istio_requests_total').size).toBe(51);
  expect(samples(t, 'istio_tcp_connections_opened_total').size).toBe(51);
  expect(samples(t, 'istio_tcp_connections_opened_total').get('reporter="overflow"')).toBe(450);
});

test('whatever a call has, its labels are few, short, and of the words that they have', () => {
  const text = fc.string({ unit: 'binary', maxLength: 300 });
  fc.assert(
    fc.property(
      fc.record({ method: text, path: text, status: fc.integer(), type: text, peer: text }),
      fc.tuple(text, text, text, fc.boolean()),
      ({ method, path, status, type, peer }, [authority, grpcStatus, identity, mtls]) => {
        const t = telemetry();
        const facts = { ...makeDownstream().facts, mtls, identities: mtls ? [identity] : [] };
        const x = makeExchange({
          downstream: makeDownstream({ facts }),
          method,
          path,
          status,
          protocol: 'HTTP/2',
          headers: [
            ['content-type', type],
            ['x-selvage-peer', peer],
          ],
        });
        x.request.authority = authority;
        x.grpcStatus = grpcStatus;
        x.service = null;
        t.begin(x);
        t.end(x);
        const found = labels([...samples(t, 'istio_requests_total').keys()][0] ?? '');
        expect(Object.keys(found)).toHaveLength(25);
        expect(found['response_code']).toMatch(/^(?:0|[1-5]\d\d|unknown)$/);
        expect(found['grpc_response_status']).toMatch(/^(?:|\d|1[0-6]|unknown)$/);
        for (const value of Object.values(found)) expect(value.length).toBeLessThanOrEqual(512);
      },
    ),
  );
});
