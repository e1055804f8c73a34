import { expect, test } from 'vitest';

import { lint } from './mesh.ts';

const telemetry = (spec: string, name = 't', namespace = 'bar'): string =>
  `apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { name: ${name}, namespace: ${namespace} }
spec: ${spec}`;

const mesh = `apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data:
  mesh: |
    extensionProviders:
    - { name: jaeger, opentelemetry: { service: jaeger.tracing.svc.cluster.local, port: 4317 } }
    - { name: zip, zipkin: { service: z, port: 9411 } }`;

function said(...documents: readonly string[]): string[] {
  return lint(...documents).map(({ message, mend }) => `${message} (${mend})`);
}

test.each([
  '{ tracing: [{ providers: [{ name: Jaeger }] }] }',
  '{ accessLogging: [{ providers: [{ name: envoy }] }], metrics: [{ providers: [{ name: prometheus }] }] }',
])('%s has what it names', (spec) => {
  expect(said(mesh, telemetry(spec))).toEqual([]);
});

test.each([
  [
    '{ tracing: [{ providers: [{ name: jager }] }] }',
    'there is no extension provider "jager": no spans go there (did you mean jaeger?)',
  ],
  [
    '{ tracing: [{ providers: [{ name: zip }] }] }',
    'sidecars send no spans to "zip": it is no opentelemetry (add it to meshConfig.extensionProviders, as opentelemetry)',
  ],
  [
    '{ accessLogging: [{ providers: [{ name: otel }] }] }',
    'there is no extension provider "otel": no logs go there (add it to meshConfig.extensionProviders, as envoyFileAccessLog)',
  ],
])('%s: %s', (spec, words) => {
  expect(said(mesh, telemetry(spec))).toEqual([words]);
});

test('of two for the same workloads the older one counts, and the other is told of', () => {
  const labels = '{ selector: { matchLabels: { app: a } } }';
  expect(said(telemetry('{}'), telemetry('{}', 'u', 'foo'), telemetry(labels, 'v'))).toEqual([]);
  const [general, ...rest] = said(telemetry('{}'), telemetry('{}', 'u'));
  expect(general).toMatch(/^Telemetry bar\/t .* older: this one has no effect/);
  expect(rest).toEqual([]);
  expect(said(telemetry(labels), telemetry(labels, 'u'))).toHaveLength(1);
});
