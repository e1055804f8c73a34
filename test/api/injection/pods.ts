// Pods for tests of injection, good ones and any others.
import * as fc from 'fast-check';

import { defaultInjection } from '#api/injection/config.ts';
import { type Injection, injectPod } from '#api/injection/inject-pod.ts';
import type { PodManifest } from '#api/injection/manifest.ts';

export const config = defaultInjection('1.2.3');
export const context = { namespace: 'shop', stance: 'silent' } as const;

export function pod(spec: object = {}, metadata: object = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', annotations: { inject: 'true' }, ...metadata },
    spec: { containers: [{ name: 'web', image: 'web:1' }], ...spec },
  };
}

/** @throws Error where it was refused */
export function injected(value: unknown, over: object = {}): PodManifest {
  const injection = injectPod(value, { ...context, ...over }, config);
  if (injection.outcome === 'refused') throw new Error(injection.refusal);
  return injection.pod as PodManifest;
}

export function refusal(injection: Injection): string {
  return injection.outcome === 'refused' ? injection.refusal : `not refused: ${injection.reason}`;
}

export function environmentOf(manifest: PodManifest, container: string): Record<string, unknown> {
  const { initContainers, containers } = manifest.spec;
  const found = [...(initContainers ?? []), ...containers].find(({ name }) => name === container);
  return Object.fromEntries(
    (found?.env ?? []).map(({ name, value, ...rest }) => [name, value ?? rest]),
  );
}

const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null | undefined> =>
  fc.oneof(value, fc.constantFrom(null, undefined));
const portOrName = fc.oneof(fc.integer({ min: 1, max: 65_535 }), fc.constantFrom('http', 'grpc'));
const httpGet = fc.record(
  { path: fc.string(), port: portOrName, scheme: fc.constantFrom('HTTP', 'HTTPS') },
  { requiredKeys: ['port'] },
);
const probe = fc.oneof(
  fc.record({ httpGet }),
  fc.record({ tcpSocket: fc.record({ port: portOrName }), timeoutSeconds: fc.nat(100) }),
  fc.record({ grpc: fc.record({ port: fc.nat(65_535), service: fc.string() }) }),
  fc.record({ exec: fc.record({ command: fc.array(fc.string()) }) }),
);
const container = fc.record(
  {
    name: fc.oneof(
      { weight: 30, arbitrary: fc.constantFrom('web', 'a', 'b') },
      { weight: 1, arbitrary: fc.constantFrom('selvage-proxy', 'istio-proxy') },
    ),
    env: maybe(
      fc.array(fc.record({ name: fc.constantFrom('A', 'HTTP_PROXY'), value: fc.string() })),
    ),
    ports: maybe(
      fc.array(fc.record({ name: fc.constantFrom('http', 'x'), containerPort: fc.nat(20_000) })),
    ),
    livenessProbe: maybe(probe),
    readinessProbe: maybe(probe),
    lifecycle: maybe(fc.record({ preStop: fc.record({ httpGet }) })),
  },
  { requiredKeys: ['name'] },
);
const goodAnnotations = fc.record(
  {
    'selvage.dev/capture': fc.constantFrom('explicit', 'transparent'),
    'selvage.dev/drain-timeout': fc.constantFrom('5s', '1m'),
    'prometheus.io/scrape': fc.constantFrom('true', 'false'),
    'prometheus.io/path': fc.string(),
    'prometheus.io/port': fc.oneof(fc.constantFrom('80'), fc.string()),
    'sidecar.istio.io/proxyCPU': fc.constantFrom('1', '50m'),
    'sidecar.istio.io/status': fc.string(),
    'sidecar.istio.io/rewriteAppHTTPProbers': fc.constantFrom('true', 'false'),
    'traffic.sidecar.istio.io/excludeInboundPorts': fc.constantFrom('', '80', '1, 2'),
  },
  { requiredKeys: [] },
);
const annotations = fc.oneof(
  { weight: 4, arbitrary: goodAnnotations },
  {
    weight: 1,
    arbitrary: fc.dictionary(
      fc.constantFrom('inject', 'selvage.dev/capture', 'sidecar.istio.io/proxyCPU'),
      fc.string(),
    ),
  },
);

/** Pods with a mark, in all shapes that the API server may send. */
export const anyPod = fc.record({
  metadata: fc.record({ annotations: annotations.map((own) => ({ inject: 'true', ...own })) }),
  spec: fc.record(
    {
      initContainers: maybe(fc.array(container, { maxLength: 3 })),
      containers: fc.array(container, { minLength: 1, maxLength: 3 }),
      volumes: maybe(fc.array(fc.record({ name: fc.constantFrom('data', 'x') }))),
      hostNetwork: fc.boolean(),
      terminationGracePeriodSeconds: maybe(fc.nat(100)),
    },
    { requiredKeys: ['containers'] },
  ),
});
