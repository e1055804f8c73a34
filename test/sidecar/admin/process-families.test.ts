// What a sidecar tells of itself as a whole, and the page that an operator gets by hand or by Prometheus.
import { expect, test } from 'vitest';

import type { AdminReply } from '#runtime/admin.ts';
import { pageRoute } from '#sidecar/admin/page-route.ts';
import { processFamilies, type ProcessParts } from '#sidecar/admin/process-families.ts';
import { InForce } from '#sidecar/in-force.ts';
import { readNaively } from '#test/sidecar/scrape/naive-page.ts';
import { HandIdentity, snapshotOf } from '#test/sidecar/rig.ts';

const svid = {
  keyPem: '',
  chainPem: '',
  trustBundlePem: '',
  identity: 'spiffe://cluster.local/ns/a/sa/b',
  notAfterMs: 1_800_000_000_000,
};

function parts(connected: boolean | null): ProcessParts {
  const state = connected === null ? null : { connected, version: 7, lastError: '' };
  return {
    identity: new HandIdentity(svid),
    inForce: new InForce(),
    configuration: { start: async () => {}, stop: async () => {}, state: () => state },
  };
}

async function pageOf(told: ProcessParts, accept?: string): Promise<AdminReply> {
  const families = processFamilies(told);
  const headers = accept === undefined ? {} : { accept };
  return pageRoute(async () => families()).handler(new URLSearchParams(), '', headers);
}

test('certificate, snapshot, control and the process are told', async () => {
  const told = parts(true);
  const families = processFamilies(told);
  told.inForce.apply({ ...snapshotOf({}), version: 7 });
  const { body } = await pageRoute(async () => families()).handler(new URLSearchParams(), '', {});
  expect(readNaively(body, 'text')).toHaveLength(8);
  expect(body).toMatch(/^istio_build\{component="proxy",tag="selvage-[\d.]+.*"\} 1$/m);
  expect(body).toContain('\nselvage_certificate_expiry_timestamp_seconds 1800000000\n');
  expect(body).toContain('\nselvage_snapshot_version 7\n');
  expect(body).toContain('\nselvage_control_connected 1\n');
  expect(Number(/^selvage_process_cpu_seconds_total (\S+)$/m.exec(body)?.[1])).toBeGreaterThan(0);
  // Names of applications are left to them: of two on one page only ours would stay.
  expect(body).not.toMatch(/^process_/m);
});

test('a lost control is 0, and a sidecar without control says nothing of it', async () => {
  expect((await pageOf(parts(false))).body).toContain('\nselvage_control_connected 0\n');
  expect((await pageOf(parts(null))).body).not.toMatch(/^selvage_control_connected/m);
});

test('who asks for OpenMetrics gets it', async () => {
  const { body, type } = await pageOf(parts(null), 'application/openmetrics-text; version=1.0.0');
  expect(type).toContain('application/openmetrics-text');
  readNaively(body, 'openmetrics');
});
