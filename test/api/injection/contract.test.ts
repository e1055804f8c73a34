import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { injectPod } from '#api/injection/inject-pod.ts';
import type { PodManifest } from '#api/injection/manifest.ts';
import { readCaptureInitSettings } from '#sidecar/capture/settings.ts';
import { readSidecarSettings } from '#sidecar/settings.ts';

import { anyPod, config, context, environmentOf, injected, pod } from './pods.ts';

/** As the kubelet sets it: fields filled in, `$$(` back to `$(`. */
function environment(manifest: PodManifest, container: string): Record<string, string> {
  const filled = Object.entries(environmentOf(manifest, container)).map(([name, value]) => [
    name,
    typeof value === 'string' ? value.replaceAll('$$(', '$(') : '10.0.0.7',
  ]);
  return Object.fromEntries(filled) as Record<string, string>;
}

test('the sidecar understands what the injector tells it', () => {
  const annotations = {
    inject: 'true',
    'selvage.dev/drain-timeout': '20s',
    'selvage.dev/concurrency': '2',
    'sidecar.istio.io/logLevel': 'warning',
    'traffic.sidecar.istio.io/excludeInboundPorts': '9000',
  };
  const probe = { httpGet: { path: 'ready ü$(X)', port: 'http' }, timeoutSeconds: 5 };
  const lifecycle = { preStop: { httpGet: { path: '/stop', port: 8080 } } };
  const containers = [
    {
      name: 'web',
      ports: [{ name: 'http', containerPort: 8080 }],
      readinessProbe: probe,
      lifecycle,
    },
  ];
  const manifest = injected(pod({ containers }, { annotations }));
  expect(readSidecarSettings(environment(manifest, 'selvage-proxy'), [])).toMatchObject({
    capture: 'transparent',
    podIp: '10.0.0.7',
    workload: 'web',
    drainTimeoutMs: 20_000,
    concurrency: 2,
    logLevel: 'warn',
    health: { port: 15_021 },
    appProbes: [
      {
        path: '/app-health/web/readyz',
        timeoutMs: 5000,
        check: { kind: 'http', port: 8080, target: '/ready%20%c3%bc$(X)' },
      },
      { path: '/app-lifecycle/web/prestopz', timeoutMs: 3_600_000 },
    ],
  });
  expect(readCaptureInitSettings(environment(manifest, 'selvage-init'))).toMatchObject({
    inboundPort: 15_006,
    excludeInboundPorts: [15_020, 15_021, 15_090, 9000],
  });
});

test('the sidecar understands explicit mode, and asks the application on loopback', () => {
  const annotations = { inject: 'true', 'selvage.dev/capture': 'explicit' };
  const containers = [{ name: 'web', ports: [{ containerPort: 8080 }] }];
  const manifest = injected(pod({ containers }, { annotations }));
  expect(readSidecarSettings(environment(manifest, 'selvage-proxy'), [])).toMatchObject({
    capture: 'explicit',
    podIp: '',
    outbound: { host: '127.0.0.1', port: 15_001 },
    inbound: [{ port: 8080, listen: { port: 15_100 }, application: { port: 8080 } }],
  });
});

test('no pod makes a sidecar that cannot start', () => {
  let count = 0;
  fc.assert(
    fc.property(anyPod, (drawn) => {
      const injection = injectPod(JSON.parse(JSON.stringify(drawn)), context, config);
      if (injection.outcome !== 'injected') return;
      count++;
      const manifest = injection.pod as PodManifest;
      readSidecarSettings(environment(manifest, 'selvage-proxy'), []);
      readCaptureInitSettings(environment(manifest, 'selvage-init'));
    }),
    { numRuns: 2000 },
  );

  expect(count).toBeGreaterThan(200);
});
