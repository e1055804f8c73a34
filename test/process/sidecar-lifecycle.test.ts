import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, expect, test } from 'vitest';

import {
  authorization,
  exchange,
  get,
  mutual,
  plain,
  readToEnd,
  Rig,
  serviceOf,
  snapshotOf,
  spiffe,
  strict,
  type SidecarOptions,
} from '#test/sidecar/rig.ts';

import { SidecarProcess, writeProcessFiles, type ProcessFiles } from './sidecar-process.ts';

/** Answers all but /hang. */
const slowApplication = `
  const server = require('node:http').createServer((request, response) => {
    if (request.url !== '/hang') response.end('ok');
  });
  server.listen(Number(process.argv[1]), '127.0.0.1', () => {
    process.send({ port: server.address().port });
  });
`;

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

async function launch(port: number): Promise<{ port: number; kill: () => Promise<unknown> }> {
  const child = spawn(process.execPath, ['-e', slowApplication, String(port)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [message] = (await once(child, 'message')) as [{ port: number }];
  const kill = async (): Promise<unknown> => {
    if (child.exitCode !== null || child.signalCode !== null) return null;
    child.kill('SIGKILL');
    return once(child, 'exit');
  };
  rig.onClose(kill);
  return { port: message.port, kill };
}

async function filesOf(options: SidecarOptions, version = 1): Promise<ProcessFiles> {
  const snapshot = snapshotOf(options, version);
  const { namespace, serviceAccount } = snapshot.workload;
  const { certPem, keyPem } = await rig.issued(spiffe(namespace, serviceAccount));
  return { snapshot, certPem, keyPem, trustBundlePem: rig.ca.certPem };
}

async function start(
  options: SidecarOptions,
  application: number,
  env: Record<string, string> = {},
): Promise<SidecarProcess> {
  const sidecar = await SidecarProcess.start(await filesOf(options), application, env);
  rig.onClose(() => sidecar.close());
  return sidecar;
}

test('a process serves what its files say, is ready, and counts its calls', async () => {
  const application = await rig.application();
  const sidecar = await start({ policies: strict }, application.port);
  const [port = 0] = sidecar.ready.inboundPorts;
  const client = await rig.issued(spiffe('shop', 'web'));
  expect((await exchange(await mutual(port, client), get('/'))).status).toBe(200);
  expect(await readToEnd(await plain(port).then((s) => (s.write(get('/')), s)))).toBe('');
  expect((await sidecar.admin('/ready')).status).toBe(200);
  const { body } = await sidecar.admin('/stats/prometheus');
  expect(body).toMatch(/istio_requests_total\{[^}]*response_code="200"[^}]*\} 1/);
  expect(sidecar.ready.startupMs).toBeLessThan(5000);
  const { adminPort, outboundPort } = sidecar.ready;
  const byProxy = get(`http://127.0.0.1:${adminPort}/snapshot`);
  expect((await exchange(await plain(outboundPort), byProxy)).status).toBe(503);
  expect(await sidecar.end()).toBe(0);
});

test('a call passes two processes', async () => {
  const application = await rig.application();
  const server = await start({ policies: strict }, application.port);
  const [port = 0] = server.ready.inboundPorts;
  const services = [serviceOf('payments', [{ port, identity: spiffe('shop', 'payments') }])];
  const client = await start({ account: 'web', services }, 1);
  const socket = await plain(client.ready.outboundPort);
  const reply = await exchange(socket, get('/through', '', 'payments'));
  expect(reply.status).toBe(200);
  expect(reply.body).toContain('URI=spiffe://cluster.local/ns/shop/sa/web');
});

test('wrong settings are all named at once, and the process ends with status 2', async () => {
  const application = await rig.application();
  const sidecar = await start({}, application.port, {
    SELVAGE_INBOUND: 'nonsense',
    SELVAGE_LOG_LEVEL: 'loud',
    SELVAGE_DRAIN_TIMEOUT_MS: '-1',
  });
  expect(await sidecar.exited).toBe(2);
  for (const name of ['SELVAGE_INBOUND', 'SELVAGE_LOG_LEVEL', 'SELVAGE_DRAIN_TIMEOUT_MS']) {
    expect(sidecar.errors).toContain(name);
  }
});

test('a snapshot file that changes is enforced; a broken one changes nothing', async () => {
  const application = await rig.application();
  const sidecar = await start({}, application.port);
  const [port = 0] = sidecar.ready.inboundPorts;
  const status = async (): Promise<number> => (await exchange(await plain(port), get('/'))).status;
  expect(await status()).toBe(200);
  const policies = authorization('nobody', 'DENY', '[{}]');
  await writeFile(join(sidecar.folder, 'snapshot.json'), '{ "version": ');
  await sidecar.line('snapshot refused; the last one stays in force');
  expect(await status()).toBe(200);
  await writeProcessFiles(sidecar.folder, await filesOf({ policies }, 2));
  for (let i = 0; i < 100 && (await status()) !== 403; i += 1) await sleep(50);
  expect(await status()).toBe(403);
});

test('certificate files that change are used; broken ones are not', async () => {
  const application = await rig.application();
  const sidecar = await start({}, application.port);
  const [port = 0] = sidecar.ready.inboundPorts;
  const client = await rig.issued(spiffe('shop', 'web'));
  const serial = async (): Promise<string> => {
    const socket = await mutual(port, client);
    const number = socket.getPeerX509Certificate()?.serialNumber ?? '';
    socket.destroy();
    return number;
  };
  const before = await serial();
  await writeFile(join(sidecar.folder, 'cert.pem'), 'broken');
  await sidecar.line('certificate files cannot be used; the last one stays in force');
  expect(await serial()).toBe(before);
  await writeProcessFiles(sidecar.folder, await filesOf({}));
  await sidecar.line('certificate read again');
  expect(await serial()).not.toBe(before);
});

test('on SIGTERM calls under way finish, new connections do not come, and al', async () => {
  const slow = await rig.application((_request, response) => {
    setTimeout(() => response.end('slow'), 600);
  });
  const sidecar = await start({}, slow.port, { SELVAGE_DRAIN_TIMEOUT_MS: '5000' });
  const [port = 0] = sidecar.ready.inboundPorts;
  const socket = await plain(port);
  socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await sleep(100);
  const ending = sidecar.end();
  await sidecar.line('stopping');
  await sleep(50);
  expect(
    await plain(port).then(
      () => 'open',
      () => 'refused',
    ),
  ).toBe('refused');
  expect((await sidecar.admin('/ready')).status).toBe(503);
  const text = await readToEnd(socket);
  expect(text).toMatch(/^HTTP\/1\.1 200 /);
  expect(text).toMatch(/connection: close/i);
  expect(await ending).toBe(0);
});

test('a connection that never ends holds the process up only to the drain timeout', async () => {
  const application = await rig.application();
  const sidecar = await start({}, application.port, { SELVAGE_DRAIN_TIMEOUT_MS: '300' });
  const [port = 0] = sidecar.ready.inboundPorts;
  const socket = await plain(port);
  socket.write(
    'GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
  );
  await once(socket, 'data');
  const startedAtMs = performance.now();
  expect(await sidecar.end()).toBe(0);
  expect(performance.now() - startedAtMs).toBeLessThan(2500);
});

test('an application killed in the middle of a call gives 503, the next one works', async () => {
  const first = await launch(0);
  const sidecar = await start({}, first.port);
  const [port = 0] = sidecar.ready.inboundPorts;
  const pending = exchange(await plain(port), get('/hang'));
  await sleep(150);
  await first.kill();
  expect((await pending).status).toBe(503);
  expect((await exchange(await plain(port), get('/'))).status).toBe(503);
  await launch(first.port);
  expect((await exchange(await plain(port), get('/'))).status).toBe(200);
});

test('callers that do not know of the end yet are served for a while, the application to its end', async () => {
  const application = await rig.application();
  const outside = await rig.application();
  const sidecar = await start({}, application.port, { SELVAGE_MIN_DRAIN_MS: '1000' });
  const [port = 0] = sidecar.ready.inboundPorts;
  const startedAtMs = performance.now();
  const ending = sidecar.end();
  await sidecar.line('stopping');
  await sleep(200);
  expect((await sidecar.admin('/ready')).status).toBe(503);
  const served = await exchange(await plain(port), 'GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  expect(served.status).toBe(200);
  expect(served.headers['connection']).toBe('close');
  // The application's own calls go on as if nothing were: it has not ended yet.
  const proxy = await plain(sidecar.ready.outboundPort);
  const target = `http://127.0.0.1:${outside.port}/`;
  proxy.write(`GET ${target} HTTP/1.1\r\nhost: 127.0.0.1:${outside.port}\r\n\r\n`);
  const [head] = (await once(proxy, 'data')) as [Buffer];
  expect(String(head)).toMatch(/^HTTP\/1\.1 200 /);
  expect(String(head)).not.toMatch(/connection: close/i);
  expect(await ending).toBe(0);
  expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(1000);
});

test('a least time beyond the whole drain is a mistake', async () => {
  const application = await rig.application();
  const sidecar = await start({}, application.port, {
    SELVAGE_MIN_DRAIN_MS: '9000',
    SELVAGE_DRAIN_TIMEOUT_MS: '1000',
  });
  expect(await sidecar.exited).toBe(2);
  expect(sidecar.errors).toContain('SELVAGE_MIN_DRAIN_MS');
});
