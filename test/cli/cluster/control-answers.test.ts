// The commands read what control really answers: both ends of the admin endpoint, without the way between.
import { expect, test } from 'vitest';

import { enforcementOf, isEnforced } from '#cli/cluster/enforcement.ts';
import { sidecarsOf } from '#cli/cluster/sidecars.ts';
import type { Census } from '#control/status/census.ts';
import type { SidecarPolicies } from '#control/status/report.ts';
import { statusRoutes } from '#control/status/routes.ts';
import type { MeshReport } from '#control/status/tally.ts';

const key = 'AuthorizationPolicy/shop/admit';

function sidecar(pod: string, acked: number): SidecarPolicies {
  return {
    namespace: 'shop',
    workload: 'web',
    pod,
    version: '0.1.0',
    connectedSince: '2026-01-01T00:00:00.000Z',
    ackedVersion: 7,
    ackedAt: '2026-01-01T01:00:00.000Z',
    wantedVersion: 7,
    inSync: true,
    refused: '',
    wanted: new Map([[key, 2]]),
    acked: new Map([[key, acked]]),
  };
}

const mesh: MeshReport = {
  reports: [
    { id: '1', replica: 'a', known: new Map([[key, 2]]), sidecars: [sidecar('web-1', 2)] },
    { id: '2', replica: 'b', known: new Map([[key, 2]]), sidecars: [sidecar('web-2', 1)] },
  ],
  lost: [],
  unreachable: ['10.0.0.9:15011'],
};

async function answer(path: string): Promise<unknown> {
  const url = new URL(path, 'http://control');
  const census = { take: async () => mesh } as Census;
  const route = statusRoutes(census).find((one) => one.path === url.pathname);
  const reply = await route?.handler(url.searchParams, '', {});
  return JSON.parse(reply?.body ?? '');
}

test('each sidecar is read whole, with its replica', async () => {
  const [first, second] = sidecarsOf(await answer('/sidecars'));
  expect(first).toEqual({
    namespace: 'shop',
    workload: 'web',
    pod: 'web-1',
    version: '0.1.0',
    connectedSinceMs: Date.parse('2026-01-01T00:00:00Z'),
    snapshot: 7,
    snapshotSinceMs: Date.parse('2026-01-01T01:00:00Z'),
    inSync: true,
    refused: '',
    replica: 'a',
  });
  expect(second?.replica).toBe('b');
});

test('enforcement is read whole, and is not there while one sidecar has an older generation', async () => {
  const path = '/enforced?kind=AuthorizationPolicy&namespace=shop&name=admit';
  const read = enforcementOf(await answer(path));
  expect(read).toEqual({
    generation: 2,
    enforced: 1,
    of: 2,
    missing: ['shop/web-2'],
    unreachable: ['10.0.0.9:15011'],
  });
  expect(isEnforced(read, 2)).toBe(false);
  expect(isEnforced({ ...read, enforced: 2 }, 2)).toBe(true);
  expect(isEnforced({ ...read, enforced: 2 }, 3)).toBe(false);
});
