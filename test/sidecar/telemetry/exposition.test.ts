// The page in both formats: who gets which, exemplars, and the numbers of several workers as one.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { formatFor, writePage } from '#sidecar/telemetry/exposition.ts';
import { mergeFamilies } from '#sidecar/telemetry/families.ts';
import type { RunningTelemetry } from '#sidecar/telemetry/telemetry.ts';
import { Trace } from '#sidecar/telemetry/trace-context.ts';
import { readNaively } from '#test/sidecar/scrape/naive-page.ts';

import { makeDownstream, makeExchange } from './exchanges.ts';
import { samples, telemetry } from './samples.ts';

const traceOf = (digit: string, sampled = true): Trace =>
  new Trace(digit.repeat(32), digit.repeat(16), '', sampled);

function traced(t: RunningTelemetry, trace: Trace, durationMs = 3): void {
  const x = makeExchange({ downstream: makeDownstream(), durationMs });
  x.trace = trace;
  t.end(x);
}

const exemplars = (page: string): string[] =>
  page.split('\n').filter((line) => line.includes(' # {'));

test.each([
  ['', 'text'],
  ['*/*', 'text'],
  ['text/plain', 'text'],
  ['application/openmetrics-text', 'openmetrics'],
  ['application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.4,*/*;q=0.1', 'openmetrics'],
  ['application/openmetrics-text;q=0.3,text/plain;version=0.0.4', 'text'],
  ['application/openmetrics-text;q=0', 'text'],
  ['application/openmetrics-text;q=much', 'text'],
  ['application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily', 'text'],
])('%s gets %s', (accept, format) => {
  expect(formatFor(accept)).toBe(format);
});

test('whatever a scraper says, it gets one of them', () => {
  const part = fc.constantFrom(
    'application/openmetrics-text',
    'text/plain',
    '*/*',
    ';',
    ',',
    'q=',
    '0.5',
    '=',
    ' ',
    'NaN',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(part, fc.string())), (parts) => {
      expect(['text', 'openmetrics']).toContain(formatFor(parts.join('')));
    }),
  );
});

test('both formats say the same, and only OpenMetrics ends with its end', () => {
  const t = telemetry();
  t.end(makeExchange());
  const text = t.scrape('text');
  const open = t.scrape('openmetrics');
  expect(readNaively(open.body, 'openmetrics')).toEqual(readNaively(text.body, 'text'));
  expect(open.body).toContain('# TYPE istio_requests counter\nistio_requests_total{');
  expect(text.body).toContain('# TYPE istio_requests_total counter\n');
  expect(open.type).toContain('application/openmetrics-text; version=1.0.0');
  expect(`${text.body}${open.body}`).not.toMatch(/_created|# UNIT/);
});

test('a sampled call is the exemplar of its bucket; others and the text format have none', () => {
  const t = telemetry();
  traced(t, traceOf('a'), 3);
  traced(t, traceOf('b', false), 300);
  traced(t, traceOf('c'), 3000);
  expect(exemplars(t.scrape('text').body)).toEqual([]);
  const found = exemplars(t.scrape('openmetrics').body);
  expect(found).toHaveLength(2);
  expect(found[0]).toMatch(
    /_milliseconds_bucket\{.*le="5"\} 1 # \{trace_id="a{32}"\} 3(\.\d+)? \d+\.\d{3}$/,
  );
  expect(found[1]).toMatch(/le="5000"\} 3 # \{trace_id="c{32}"\}/);
});

test('however many calls are sampled, a bucket keeps one', () => {
  const t = telemetry();
  for (let i = 0; i < 100; i++) traced(t, traceOf((i % 10).toString()));
  expect(exemplars(t.scrape('openmetrics').body)).toHaveLength(1);
});

test('the numbers of workers are summed, and the newest exemplar of a bucket stays', () => {
  const [one, other] = [telemetry(), telemetry()];
  traced(one, traceOf('a'));
  one.end(makeExchange({ status: 404 }));
  traced(other, traceOf('b'), 3.5);
  const newer = structuredClone(other.collect());
  for (const family of newer) {
    if (family.type !== 'histogram') continue;
    for (const { exemplars: kept } of family.samples) {
      for (const exemplar of Object.values(kept)) Object.assign(exemplar, { atSeconds: 4e9 });
    }
  }
  const { body } = writePage(mergeFamilies([one.collect(), newer]), 'openmetrics');
  readNaively(body, 'openmetrics');
  const merged = { scrape: () => ({ type: '', body }) } as unknown as RunningTelemetry;
  expect([...samples(merged, 'istio_requests_total').values()]).toEqual([2, 1]);
  expect([...samples(merged, 'istio_request_duration_milliseconds_count').values()]).toEqual([
    2, 1,
  ]);
  const kept = exemplars(body);
  expect(kept).toHaveLength(1);
  expect(kept[0]).toContain(`le="5"} 2 # {trace_id="${'b'.repeat(32)}"} 3.5`);
});
