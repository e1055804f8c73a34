import { expect, test } from 'vitest';

import type { DirectionTelemetry, TelemetrySettings } from '#api/telemetry.ts';

import { document, meshOf, snapshot } from '../traffic/meshes.ts';

const telemetry = (name: string, spec: string): string => document('Telemetry', name, spec);

const mesh = (more: string): string => `apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data:
  mesh: |
    extensionProviders:
    - name: Jaeger
      opentelemetry: { service: tracing/jaeger.tracing.svc.cluster.local, port: 4317, maxTagLength: 64 }
    - name: web
      opentelemetry:
        service: jaeger.tracing.svc.cluster.local
        port: 4318
        http: { path: /v1/traces, timeout: 3s, headers: [{ name: X-Key, value: k }, { name: e, envName: E }] }
    - { name: zip, zipkin: { service: z, port: 9411 } }
    - name: file
      envoyFileAccessLog: { path: /tmp/a.log, logFormat: { labels: { who: "%REQ(X)%", in: { a: "%PROTOCOL%" } } } }
    - name: text
      envoyFileAccessLog: { path: /dev/stdout, logFormat: { text: "%PROTOCOL%\\n" } }
${more}`;

function settings(documents: readonly string[], labels = {}): TelemetrySettings | undefined {
  return snapshot(meshOf(...documents), 'shop', labels).telemetry;
}

function inbound(documents: readonly string[], labels = {}): DirectionTelemetry {
  return settings(documents, labels)?.inbound ?? {};
}

test('where nothing is said, nothing is sent', () => {
  expect(settings([])).toBeUndefined();
  expect(settings([mesh('')])).toBeUndefined();
});

test('each level changes only what it names: mesh, namespace, workload', () => {
  const documents = [
    mesh(''),
    telemetry(
      'istio-system/mesh',
      '{ tracing: [{ providers: [{ name: jaeger }], randomSamplingPercentage: 10, customTags: { a: { literal: { value: x } } } }] }',
    ),
    telemetry('shop/ns', '{ tracing: [{ randomSamplingPercentage: 50 }] }'),
    telemetry(
      'shop/web',
      '{ selector: { matchLabels: { app: web } }, tracing: [{ customTags: { b: { header: { name: X-B, defaultValue: none } } } }] }',
    ),
    telemetry('shop/later', '{ tracing: [{ randomSamplingPercentage: 1 }] }'),
    telemetry('other/ns', '{ tracing: [{ randomSamplingPercentage: 2 }] }'),
  ];
  const provider = {
    name: 'Jaeger',
    protocol: 'grpc',
    host: 'jaeger.tracing.svc.cluster.local',
    port: 4317,
    tagCharsMax: 64,
  };
  expect(inbound(documents).tracing).toEqual({
    provider,
    samplingPercent: 50,
    tags: [{ name: 'a', kind: 'literal', value: 'x' }],
  });
  expect(inbound(documents, { app: 'web' }).tracing).toEqual({
    provider,
    samplingPercent: 50,
    tags: [{ name: 'b', kind: 'header', header: 'x-b', otherwise: 'none' }],
  });
});

test('a match says which side, and the settings of a collector by HTTP arrive', () => {
  const documents = [
    mesh(''),
    telemetry(
      'shop/ns',
      '{ tracing: [{ match: { mode: CLIENT }, providers: [{ name: web }], disableContextPropagation: true, enableIstioTags: false }] }',
    ),
  ];
  expect(settings(documents)).toEqual({
    inbound: {},
    outbound: {
      tracing: {
        provider: {
          name: 'web',
          protocol: 'http',
          host: 'jaeger.tracing.svc.cluster.local',
          port: 4318,
          path: '/v1/traces',
          headers: [['x-key', 'k']],
          timeoutMs: 3000,
        },
        withoutPropagation: true,
        withoutIstioTags: true,
      },
    },
  });
});

test.each(['zip', 'nobody'])('spans for %s, which takes none of ours, go nowhere', (name) => {
  const documents = [
    mesh(''),
    telemetry('shop/ns', `{ tracing: [{ providers: [{ name: ${name} }] }] }`),
  ];
  expect(inbound(documents).tracing).toEqual({ disabled: true });
});

test("the mesh's own provider, sampling and log count where no Telemetry says it", () => {
  const more = `
    defaultProviders: { tracing: [jaeger], accessLogging: [text] }
    defaultConfig: { tracing: { sampling: 12.5 } }`;
  const { tracing, logs } = inbound([mesh(more)]);
  expect(tracing).toMatchObject({ provider: { name: 'Jaeger' }, samplingPercent: 12.5 });
  expect(logs).toEqual([
    { provider: 'text', path: '/dev/stdout', format: { kind: 'text', text: '%PROTOCOL%\n' } },
  ]);
});

test.each([
  ['accessLogFile: /dev/stdout', undefined],
  ['accessLogFile: /dev/stdout, accessLogEncoding: TEXT', { kind: 'text' }],
  ['accessLogFile: /dev/stdout, accessLogEncoding: JSON', { kind: 'json' }],
  [
    `accessLogFile: /dev/stdout, accessLogEncoding: JSON, accessLogFormat: '{"a":"%PROTOCOL%"}'`,
    { kind: 'json', fields: { a: '%PROTOCOL%' } },
  ],
  [
    `accessLogFile: /dev/stdout, accessLogFormat: "%PROTOCOL%"`,
    { kind: 'text', text: '%PROTOCOL%' },
  ],
])('the older setting of the mesh: %s', (setting, format) => {
  const lines = setting.split(/, (?=access)/).map((line) => `    ${line}`);
  expect(inbound([mesh(lines.join('\n'))]).logs).toEqual([
    { provider: 'envoy', path: '/dev/stdout', ...(format !== undefined && { format }) },
  ]);
});

test('logs: a filter, a form with nested keys, and the built-in provider', () => {
  const spec =
    '{ accessLogging: [{ providers: [{ name: file }, { name: envoy }], filter: { expression: "response.code >= 400" } }] }';
  expect(inbound([mesh(''), telemetry('shop/ns', spec)]).logs).toEqual([
    {
      provider: 'file',
      path: '/tmp/a.log',
      format: { kind: 'json', fields: { who: '%REQ(X)%', 'in.a': '%PROTOCOL%' } },
      filter: 'response.code >= 400',
    },
    { provider: 'envoy', path: '', filter: 'response.code >= 400' },
  ]);
});

test('logs: what a narrower level disables is gone on that side alone', () => {
  const documents = [
    mesh(''),
    telemetry('istio-system/mesh', '{ accessLogging: [{ providers: [{ name: envoy }] }] }'),
    telemetry('shop/ns', '{ accessLogging: [{ match: { mode: CLIENT }, disabled: true }] }'),
  ];
  const found = settings(documents);
  expect(found?.inbound.logs).toEqual([{ provider: 'envoy', path: '' }]);
  expect(found?.outbound.logs).toEqual([]);
});

test('logs: a narrower level that names other providers takes the place of the wider ones', () => {
  const documents = [
    mesh(''),
    telemetry('istio-system/mesh', '{ accessLogging: [{ providers: [{ name: envoy }] }] }'),
    telemetry('shop/ns', '{ accessLogging: [{ providers: [{ name: text }] }] }'),
  ];
  expect(inbound(documents).logs?.map(({ provider }) => provider)).toEqual(['text']);
});

test('metrics: later overrides win tag by tag, and only on their side', () => {
  const documents = [
    telemetry(
      'istio-system/mesh',
      '{ metrics: [{ overrides: [{ match: { metric: REQUEST_COUNT }, tagOverrides: { host: { value: request.host }, source_app: { operation: REMOVE } } }] }] }',
    ),
    telemetry(
      'shop/ns',
      '{ metrics: [{ overrides: [{ match: { metric: REQUEST_COUNT, mode: SERVER }, tagOverrides: { host: { operation: REMOVE } } }, { match: { metric: REQUEST_SIZE }, disabled: true }] }] }',
    ),
  ];
  const found = settings(documents);
  expect(found?.inbound.metrics).toEqual([
    { metric: 'REQUEST_COUNT', tags: { host: null, source_app: null } },
    { metric: 'REQUEST_SIZE', disabled: true },
  ]);
  expect(found?.outbound.metrics).toEqual([
    { metric: 'REQUEST_COUNT', tags: { host: 'request.host', source_app: null } },
    { metric: 'REQUEST_SIZE', disabled: true },
  ]);
});

test('metrics: all disabled, and what a narrower level says takes that back', () => {
  const none = telemetry(
    'istio-system/mesh',
    '{ metrics: [{ providers: [{ name: prometheus }], overrides: [{ match: { metric: ALL_METRICS }, disabled: true }] }] }',
  );
  expect(inbound([none]).metrics).toEqual([{ metric: 'ALL_METRICS', disabled: true }]);
  const some = telemetry(
    'shop/ns',
    '{ metrics: [{ overrides: [{ match: { metric: REQUEST_SIZE }, disabled: true }] }] }',
  );
  expect(inbound([none, some]).metrics).toEqual([{ metric: 'REQUEST_SIZE', disabled: true }]);
});

test('metrics: an override without a metric is for each of them; other providers are not ours', () => {
  const all = telemetry(
    'shop/ns',
    '{ metrics: [{ overrides: [{ tagOverrides: { a: { value: "1" } } }] }] }',
  );
  expect(inbound([all]).metrics).toHaveLength(10);
  const others = telemetry(
    'shop/ns',
    '{ metrics: [{ providers: [{ name: zip }], overrides: [{ disabled: true }] }] }',
  );
  expect(settings([mesh(''), others])).toBeUndefined();
});

test('a resource with target references is ignored', () => {
  const spec =
    '{ targetRefs: [{ kind: Service, name: web }], tracing: [{ randomSamplingPercentage: 5 }] }';
  expect(settings([telemetry('shop/t', spec)])).toBeUndefined();
});
