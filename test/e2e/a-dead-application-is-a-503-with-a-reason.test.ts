// kill -9 of a program or of its sidecar: callers get an answer that says what is wrong, and then service again.
import { afterAll, beforeAll, expect, test } from 'vitest';

import { eventually, TestMesh } from './local-mesh.ts';

let mesh: TestMesh;
beforeAll(async () => {
  mesh = await TestMesh.start();
});
afterAll(() => mesh.stop());

test('a program that is killed is a 503 at once, and serves again when it is back', async () => {
  expect((await mesh.charge()).status).toBe(201);
  process.kill(mesh.running.pids().get('app/payments-0') ?? 0, 'SIGKILL');
  const dead = await mesh.charge();
  expect(dead.status).toBe(503);
  expect(dead.body).toMatch(/upstream connect error|upstream reset|no healthy upstream/);
  await eventually(
    () => mesh.charge(),
    ({ status }) => status === 201,
  );
});

test('a program that is gone for good has no endpoints: 503 without a try', async () => {
  await mesh.running.halt('app/payments-0');
  const reply = await eventually(
    () => mesh.charge(),
    ({ status }) => status === 503,
  );
  expect(reply.body).toMatch(/refused unprocessed|upstream connect error|no healthy upstream/);
});

test("a sidecar that is killed is a 503 of the caller's, and serves again when it is back", async () => {
  expect((await mesh.call('web', 'GET', 'http://billing.billing:8080/')).status).toBe(403);
  process.kill(mesh.running.pids().get('sidecar/billing-0') ?? 0, 'SIGKILL');
  const dead = await mesh.call('web', 'GET', 'http://billing.billing:8080/');
  expect(dead.status).toBe(503);
  expect(dead.body).not.toBe('');
  await eventually(
    () => mesh.call('web', 'GET', 'http://billing.billing:8080/'),
    ({ status }) => status === 403,
  );
});
