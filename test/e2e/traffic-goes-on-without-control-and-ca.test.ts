// The control plane and the CA may be gone for hours; callers must not notice.
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { eventually, TestMesh } from './local-mesh.ts';

let mesh: TestMesh;
beforeAll(async () => {
  mesh = await TestMesh.start();
});
afterAll(() => mesh.stop());

test('killing control and the CA in the middle of traffic fails no request', async () => {
  const outage = async (): Promise<void> => {
    for (const name of ['control/control', 'ca/ca', 'control/control', 'ca/ca']) {
      const pid = mesh.running.pids().get(name);
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
      await sleep(400);
    }
  };
  const statuses = await mesh.chargeUntil(outage());
  expect(statuses.length).toBeGreaterThan(20);
  expect(new Set(statuses)).toEqual(new Set([201]));
});

test('with both gone for good, allowed calls pass and denied ones are denied', async () => {
  await mesh.running.halt('control/control');
  await mesh.running.halt('ca/ca');
  expect((await mesh.charge()).status).toBe(201);
  expect(
    (await mesh.call('web', 'POST', 'http://payments.payments:8080/api/v1/charges')).status,
  ).toBe(403);
});

test('a sidecar that is killed then comes back with the snapshot and the certificate it had on disk', async () => {
  const pid = mesh.running.pids().get('sidecar/payments-0');
  process.kill(pid ?? 0, 'SIGKILL');
  const between = await mesh.charge();
  expect([503, 201]).toContain(between.status);
  await eventually(
    () => mesh.charge(),
    ({ status }) => status === 201,
  );
  expect(mesh.running.pids().get('sidecar/payments-0')).not.toBe(pid);
});
