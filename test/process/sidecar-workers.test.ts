import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { Agent, get as httpGet } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { Rig, snapshotOf, spiffe, type SidecarOptions } from '#test/sidecar/rig.ts';
import { freePort } from '#test/free-port.ts';

import { SidecarProcess, type ProcessFiles } from './sidecar-process.ts';

const run = promisify(execFile);
let rig: Rig;
let folder: string;

beforeEach(async () => {
  rig = await Rig.create();
  folder = await mkdtemp(join(tmpdir(), 'selvage-upgrade-'));
});
afterEach(async () => {
  await rig.close();
  await rm(folder, { recursive: true, force: true });
});

async function filesOf(options: SidecarOptions): Promise<ProcessFiles> {
  const snapshot = snapshotOf(options, 1);
  const { namespace, serviceAccount } = snapshot.workload;
  const { certPem, keyPem } = await rig.issued(spiffe(namespace, serviceAccount));
  return { snapshot, certPem, keyPem, trustBundlePem: rig.ca.certPem };
}

async function start(application: number, env: Record<string, string>): Promise<SidecarProcess> {
  const sidecar = await SidecarProcess.start(await filesOf({ application }), application, env);
  rig.onClose(() => sidecar.close());
  return sidecar;
}

/** Calls, one after the other, until told to stop. */
class Caller {
  readonly failures: string[] = [];
  calls = 0;
  #over = false;
  readonly #done: Promise<void>;

  /** @param agent false: a new connection for each call */
  constructor(port: number, agent: Agent | false) {
    this.#done = this.#run(port, agent);
  }

  async stop(): Promise<void> {
    this.#over = true;
    await this.#done;
  }

  async #run(port: number, agent: Agent | false): Promise<void> {
    while (!this.#over) {
      const outcome = await call(port, agent);
      this.calls += 1;
      if (outcome !== 'ok') this.failures.push(outcome);
    }
  }
}

function call(port: number, agent: Agent | false): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const request = httpGet({ host: '127.0.0.1', port, agent, path: '/' }, (response) => {
    let body = '';
    response.on('data', (chunk: Buffer) => (body += chunk.toString()));
    response.on('end', () =>
      resolve(response.statusCode === 200 ? body : `${response.statusCode}`),
    );
    response.on('error', (error) => resolve(error.message));
  });
  request.on('error', (error) => resolve(error.message));
  return promise;
}

test('--concurrency 2: one admin endpoint, one log of whole lines, the calls of both on one page', async () => {
  const application = await rig.application((_request, response) => response.end('ok'));
  const accessLog = join(folder, 'access.log');
  const sidecar = await start(application.port, {
    SELVAGE_CONCURRENCY: '2',
    SELVAGE_ACCESS_LOG: accessLog,
    SELVAGE_ACCESS_LOG_FORMAT: 'json',
  });
  const [port = 0] = sidecar.ready.inboundPorts;
  const callers = Array.from({ length: 8 }, () => new Caller(port, false));
  await expect.poll(() => callers.reduce((sum, one) => sum + one.calls, 0)).toBeGreaterThan(400);
  await Promise.all(callers.map((one) => one.stop()));
  const calls = callers.reduce((sum, one) => sum + one.calls, 0);
  expect(callers.flatMap((one) => one.failures)).toEqual([]);
  expect((await sidecar.admin('/ready')).status).toBe(200);
  const { body } = await sidecar.admin('/stats/prometheus');
  const counted = body
    .split('\n')
    .filter((line) => line.startsWith('istio_requests_total{'))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  expect(counted).toBe(calls);
  expect(JSON.parse((await sidecar.admin('/listeners')).body)).toMatchObject([
    { address: `127.0.0.1:${port}` },
    {},
  ]);
  expect(await sidecar.end()).toBe(0);
  const lines = (await readFile(accessLog, 'utf8')).trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line) as unknown).length).toBe(calls);
});

/** Without it the kernel resets what waits to be accepted when one of several listeners closes. */
const migrates = await run('sysctl', ['-w', 'net.ipv4.tcp_migrate_req=1']).then(
  () => true,
  () => false,
);
if (!migrates) {
  console.log('skipped: a hot upgrade under new connections needs net.ipv4.tcp_migrate_req (root)');
}

test.skipIf(!migrates).each(['1', '2'])(
  'the next version takes the ports over, and no call fails; workers: %s',
  async (workers) => {
    const application = await rig.application((_request, response) => response.end('ok'));
    const port = await freePort();
    const env = {
      SELVAGE_INBOUND: `127.0.0.1:${port}=8080>127.0.0.1:${application.port}`,
      SELVAGE_ADMIN: `127.0.0.1:${await freePort()}`,
      SELVAGE_UPGRADE_SOCKET: join(folder, 'upgrade.sock'),
      SELVAGE_CONCURRENCY: workers,
    };
    const before = await start(application.port, env);
    const agent = new Agent({ keepAlive: true });
    rig.onClose(() => agent.destroy());
    const callers = [false, false, agent, agent].map((one) => new Caller(port, one as Agent));
    const after = await start(application.port, env);
    expect(after.ready.inboundPorts).toEqual([port]);
    expect(await before.exited).toBe(0);
    await before.line('the next version takes over');
    await after.line('took the ports over; the version before drains');
    const soFar = callers.map(({ calls }) => calls);
    await expect
      .poll(() => callers.every(({ calls }, i) => calls > (soFar[i] ?? 0) + 20))
      .toBe(true);
    await Promise.all(callers.map((one) => one.stop()));
    expect(callers.flatMap((one) => one.failures)).toEqual([]);
    expect((await after.admin('/ready')).status).toBe(200);
    const info = JSON.parse((await after.admin('/server_info')).body) as { uptimeSeconds: number };
    expect(info.uptimeSeconds).toBeLessThan(30);
  },
);
