// The CA's root is replaced while calls flow: old and new are trusted side by side, and nobody notices.
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { eventually, TestMesh } from './local-mesh.ts';

let mesh: TestMesh;
let caAdmin = 0;
beforeAll(async () => {
  mesh = await TestMesh.start();
  caAdmin = mesh.running.caAdminPort;
});
afterAll(() => mesh.stop());

function ask(
  port: number,
  method: string,
  path: string,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, method, path, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    call.once('error', reject);
    call.end();
  });
}

test('publish, switch and a restart of every sidecar keep all calls going', async () => {
  const statuses = await mesh.chargeUntil(rotate());
  expect(statuses.length).toBeGreaterThan(10);
  expect(new Set(statuses)).toEqual(new Set([201]));
});

test('a sidecar that gets a certificate of the new root still talks to those of the old', async () => {
  const roots = JSON.parse((await ask(caAdmin, 'GET', '/roots')).body) as { role: string }[];
  expect(roots.length).toBe(2);
  process.kill(mesh.running.pids().get('sidecar/payments-0') ?? 0, 'SIGKILL');
  await eventually(
    () => mesh.charge(),
    ({ status }) => status === 201,
  );
  process.kill(mesh.running.pids().get('sidecar/billing-0') ?? 0, 'SIGKILL');
  await eventually(
    () => mesh.charge(),
    ({ status }) => status === 201,
  );
});

/** Both steps of a rotation, each with time to spread. */
async function rotate(): Promise<void> {
  for (const step of ['publish', 'switch']) {
    expect((await ask(caAdmin, 'POST', `/rotate?step=${step}`)).status).toBe(200);
    await sleep(500);
  }
}
