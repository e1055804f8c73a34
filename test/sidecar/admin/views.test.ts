import { expect, test } from 'vitest';

import type { Snapshot } from '#api/snapshot.ts';
import { snapshotOf } from '#sidecar/admin/views.ts';
import { InForce } from '#sidecar/in-force.ts';

import { webSnapshot } from '../../control/push/fixtures.ts';

test('what collectors ask for is in no dump, and all else is', () => {
  const base = webSnapshot(1, ['x']);
  const opentelemetry = {
    service: 'otel.example',
    port: 4318,
    http: { path: '/v1/traces', headers: [{ name: 'x-key', value: 'hunter2' }] },
  };
  const headers = [['x-key', 'hunter2']] as const;
  const provider = {
    name: 'otel',
    protocol: 'http',
    host: 'otel.example',
    port: 4318,
    headers,
  } as const;
  const snapshot: Snapshot = {
    ...base,
    mesh: { ...base.mesh, extensionProviders: [{ name: 'otel', opentelemetry }] },
    telemetry: { inbound: { tracing: { provider } }, outbound: {} },
  };
  const inForce = new InForce();
  inForce.apply(snapshot);
  const text = JSON.stringify(snapshotOf(inForce.current()));
  expect(text).not.toContain('hunter2');
  expect(text.match(/"name":"x-key"/g)).toHaveLength(2);
  expect(text).toContain('/v1/traces');
});
