import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { injectPod } from '#api/injection/inject-pod.ts';
import { diffJson, equalJson } from '#api/injection/json-patch.ts';

import { patched } from './json-patched.ts';
import { anyPod, config, context, environmentOf, injected, pod, refusal } from './pods.ts';

const inject = (value: unknown, over: object = {}): ReturnType<typeof injectPod> =>
  injectPod(value, { ...context, ...over }, config);

test('a pod that asks has an init container, then the sidecar, then its own', () => {
  const { spec } = injected(pod({ initContainers: [{ name: 'migrate' }] }));
  expect(spec.initContainers?.map(({ name }) => name)).toEqual([
    'selvage-init',
    'selvage-proxy',
    'migrate',
  ]);
});

test.each([
  ['it says no', pod({}, { labels: { 'sidecar.istio.io/inject': 'false' } }), {}],
  ['its namespace is kept out', pod(), { stance: 'kept-out' }],
  ['it does not ask', pod({}, { annotations: {} }), {}],
  ['it does not ask rightly', pod({}, { annotations: { inject: 'True' } }), {}],
  ['it lives where the cluster lives', pod(), { namespace: 'kube-system' }],
  ['it is of the mesh itself', pod(), { namespace: 'selvage-system', stance: 'opted-in' }],
])('a pod is left as it is because %s', (_, value, over) => {
  expect(inject(value, over)).toMatchObject({ outcome: 'left', pod: value });
});

test.each([
  [{ hostNetwork: true }, /hostNetwork: true.*remove hostNetwork, or write inject: "false"/],
  [{ nodeSelector: { 'kubernetes.io/os': 'windows' } }, /Windows/],
  [{ os: { name: 'windows' } }, /Windows/],
  [{ containers: [{ name: 'selvage-proxy' }] }, /container selvage-proxy of its own.*rename it/],
  [{ containers: [{ name: 'a' }, { name: 'istio-proxy' }] }, /sidecar of Istio already/],
  [{ volumes: [{ name: 'selvage-token' }] }, /volume selvage-token of its own/],
  [{ containers: [{ name: 'a', ports: [{ containerPort: 15_006 }] }] }, /a listens on port 15006/],
  [{ securityContext: { runAsUser: 1337 } }, /container web runs as the user 1337/],
  [
    { containers: [{ name: 'a', securityContext: { runAsUser: 1337 } }] },
    /a runs as the user 1337/,
  ],
  [{ securityContext: { runAsGroup: 1337 } }, /container web runs as the group 1337/],
  [{ containers: 'none' }, /cannot be read: spec\.containers/],
])('a pod with %j cannot have a sidecar, and hears why', (spec, reason) => {
  expect(refusal(inject(pod(spec)))).toMatch(reason);
});

test.each([
  { containers: [{ name: 'a', ports: [{ containerPort: 15_006, protocol: 'UDP' }] }] },
  {
    securityContext: { runAsUser: 1337 },
    containers: [{ name: 'a', securityContext: { runAsUser: 1 } }],
  },
])('a pod with %j may have one', (spec) => {
  expect(inject(pod(spec)).outcome).toBe('injected');
});

test('in a namespace that opts in, a pod of the node is let through with a warning', () => {
  const value = pod({ hostNetwork: true }, { annotations: {} });
  const left = inject(value, { stance: 'opted-in' });
  expect(left).toMatchObject({ outcome: 'left', pod: value });
  expect(left).toHaveProperty('warnings', [
    expect.stringContaining('no sidecar: it has hostNetwork'),
  ]);
});

test('all that is wrong with the annotations is said at once', () => {
  const annotations = {
    inject: 'true',
    'selvage.dev/concurrency': 'many',
    'sidecar.istio.io/proxyCPU': 'lots',
    'traffic.sidecar.istio.io/excludeOutboundIPRanges': '10.0.0.0/99',
  };
  expect(refusal(inject(pod({}, { annotations }))).split('; ')).toEqual([
    'the annotation traffic.sidecar.istio.io/excludeOutboundIPRanges: "10.0.0.0/99" is not a list of CIDRs as 10.0.0.0/8,192.168.0.0/16',
    'the annotation sidecar.istio.io/proxyCPU: "lots" is not an amount as 100m or 128Mi',
    'the annotation selvage.dev/concurrency: "many" is not a whole number from 0 to 256',
  ]);
});

test('an annotation that changes nothing is named, with the one that was perhaps meant', () => {
  const annotations = {
    inject: 'true',
    'selvage.dev/drain-timout': '5s',
    'proxy.istio.io/config':
      'concurrency: 2\nproxyMetadata: { ISTIO_META_DNS_CAPTURE: "true", A: b }',
  };
  expect(inject(pod({}, { annotations }))).toHaveProperty('warnings', [
    expect.stringContaining('did you mean selvage.dev/drain-timeout?'),
    expect.stringContaining('proxy.istio.io/config: concurrency, proxyMetadata.A changes nothing'),
  ]);
});

test.each([
  [{ kind: 'ReplicaSet', name: 'web-5d4f' }, { 'pod-template-hash': '5d4f' }, 'web'],
  [{ kind: 'ReplicaSet', name: 'web-own' }, {}, 'web-own'],
  [{ kind: 'StatefulSet', name: 'db' }, {}, 'db'],
  [{ kind: 'Job', name: 'nightly-28493120' }, {}, 'nightly'],
  [{ kind: 'Rollout', name: 'canary' }, {}, 'canary'],
])('the workload of a pod of %j is known', (owner, labels, workload) => {
  const ownerReferences = [
    { kind: 'Other', name: 'x' },
    { ...owner, controller: true },
  ];
  const result = injected(
    pod({}, { ownerReferences, labels, name: undefined, generateName: 'x-' }),
  );
  expect(result.metadata?.annotations).toMatchObject({ 'selvage.dev/workload': workload });
  expect(environmentOf(result, 'selvage-proxy')).toMatchObject({ SELVAGE_WORKLOAD: workload });
});

test('a long name is shortened where it becomes a label', () => {
  const name = `${'a'.repeat(62)}-b`;
  expect(injected(pod({}, { name })).metadata?.labels).toMatchObject({
    'service.istio.io/canonical-name': 'a'.repeat(62),
  });
});

test('labels that are there stay', () => {
  const labels = { app: 'x', version: 'v3', 'service.istio.io/canonical-name': 'mine' };
  expect(injected(pod({}, { labels })).metadata?.labels).toEqual({
    ...labels,
    'security.istio.io/tlsMode': 'istio',
    'service.istio.io/canonical-revision': 'v3',
  });
});

test('nobody drains for longer than the pod may take', () => {
  const annotations = { inject: 'true', 'selvage.dev/drain-timeout': '1m' };
  const env = (spec: object): object =>
    environmentOf(injected(pod(spec, { annotations })), 'selvage-proxy');
  expect(env({})).toMatchObject({ SELVAGE_DRAIN_TIMEOUT_MS: '30000' });
  expect(env({ terminationGracePeriodSeconds: 90 })).toMatchObject({
    SELVAGE_DRAIN_TIMEOUT_MS: '60000',
  });
});

test('a container that another webhook adds later has its probes rewritten, and nothing is doubled', () => {
  const first = injected(
    pod({ containers: [{ name: 'web', livenessProbe: { tcpSocket: { port: 80 } } }] }),
  );
  const late = { name: 'late', readinessProbe: { httpGet: { path: '/$(X)', port: 81 } } };
  const more = { ...first, spec: { ...first.spec, containers: [late, ...first.spec.containers] } };
  const again = inject(more);
  expect(again.outcome).toBe('left');
  const second = injected(more);
  expect(second.spec.containers[0]?.readinessProbe?.httpGet).toEqual({
    path: '/app-health/late/readyz',
    port: 15_020,
    scheme: 'HTTP',
  });
  const probes = environmentOf(second, 'selvage-proxy')['SELVAGE_APP_PROBES'];
  expect(JSON.parse(String(probes))).toEqual({
    '/app-health/web/livez': { tcpSocket: { port: 80 } },
    '/app-health/late/readyz': { httpGet: { path: '/$$(X)', port: 81 } },
  });
  expect(second.spec.initContainers).toHaveLength(2);
  expect(injected(second)).toEqual(second);
});

test('a pod that an older injector made stays as it is', () => {
  const older = { ...config, version: '0.0.1', image: 'older', capture: 'explicit' as const };
  const first = injectPod(pod(), context, older);
  if (first.outcome === 'refused') throw new Error(first.refusal);
  expect(diffJson(first.pod, injected(first.pod))).toEqual([]);
});

test('annotations copied from a running pod do not keep the sidecar away', () => {
  const { metadata } = injected(pod());
  expect(inject(pod({}, { annotations: metadata?.annotations })).outcome).toBe('injected');
});

test('any pod is injected, left or refused; a second time changes nothing, and what was given stays', () => {
  let count = 0;
  fc.assert(
    fc.property(anyPod, (drawn) => {
      const value: unknown = JSON.parse(JSON.stringify(drawn));
      const before = JSON.stringify(value);
      const injection = inject(value);
      expect(JSON.stringify(value)).toBe(before);
      if (injection.outcome === 'refused') return;
      const result: unknown = JSON.parse(JSON.stringify(injection.pod));
      expect(equalJson(patched(value, diffJson(value, injection.pod)), result)).toBe(true);
      if (injection.outcome !== 'injected') return;
      count++;
      expect(diffJson(result, injected(result))).toEqual([]);
    }),
    { numRuns: 1000 },
  );

  expect(count).toBeGreaterThan(100);
});

test('what is no pod never throws', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (metadata, spec) => {
      const marked = { metadata: { annotations: { inject: 'true' } }, spec: { containers: spec } };
      for (const value of [metadata, { metadata, spec }, marked]) {
        expect(inject(value).outcome).toMatch(/left|refused|injected/);
      }
    }),
  );
});

test.each([
  [{ 'selvage.dev/dns-capture': 'true' }, true],
  [{}, false],
  [{ 'proxy.istio.io/config': 'proxyMetadata:\n  ISTIO_META_DNS_CAPTURE: "true"\n' }, true],
  [{ 'proxy.istio.io/config': '{"proxyMetadata":{"ISTIO_META_DNS_CAPTURE":true}}' }, true],
  [
    {
      'proxy.istio.io/config': 'proxyMetadata: { ISTIO_META_DNS_CAPTURE: "true" }',
      'selvage.dev/dns-capture': 'false',
    },
    false,
  ],
  [{ 'proxy.istio.io/config': 'proxyMetadata: [' }, false],
])('with %j names are captured: %s', (annotations, captured) => {
  const manifest = injected(pod({}, { annotations: { inject: 'true', ...annotations } }));
  const port = captured ? '15053' : undefined;
  expect(environmentOf(manifest, 'selvage-proxy')['SELVAGE_DNS_PORT']).toBe(port);
  expect(environmentOf(manifest, 'selvage-init')['SELVAGE_INIT_DNS_PORT']).toBe(port);
});

test('where names are captured nobody else has their port, and without iptables they are not', () => {
  const annotations = { inject: 'true', 'selvage.dev/dns-capture': 'true' };
  const containers = [{ name: 'web', ports: [{ containerPort: 15_053, protocol: 'UDP' }] }];
  expect(refusal(inject(pod({ containers }, { annotations })))).toContain('port 15053');
  const explicit = { ...annotations, 'selvage.dev/capture': 'explicit' };
  const result = inject(pod({}, { annotations: explicit }));
  expect(result).toHaveProperty('warnings', [
    expect.stringContaining('DNS capture changes nothing where capture is explicit'),
  ]);
});
