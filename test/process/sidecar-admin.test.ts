import { request } from 'node:http';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { authorization, Rig, serviceOf, snapshotOf, spiffe, strict } from '#test/sidecar/rig.ts';

import { SidecarProcess } from './sidecar-process.ts';

let rig: Rig;
let sidecar: SidecarProcess;

beforeAll(async () => {
  rig = await Rig.create();
  const payments = spiffe('shop', 'payments');
  const services = [serviceOf('payments', [{ port: 9, identity: payments }])];
  const policies = strict + authorization('everybody', 'ALLOW', '[{}]');
  const snapshot = snapshotOf({ policies, services }, 7);
  const { namespace, serviceAccount } = snapshot.workload;
  const { certPem, keyPem } = await rig.issued(spiffe(namespace, serviceAccount));
  const files = { snapshot, certPem, keyPem, trustBundlePem: rig.ca.certPem };
  const application = await rig.application();
  sidecar = await SidecarProcess.start(files, application.port);
});

afterAll(async () => {
  await sidecar.close();
  await rig.close();
});

interface Answer {
  readonly status: number;
  readonly body: string;
}

function ask(method: string, path: string): Promise<Answer> {
  const port = sidecar.ready.adminPort;
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

async function json(path: string): Promise<unknown> {
  const { status, body } = await ask('GET', path);
  expect(status).toBe(200);
  return JSON.parse(body);
}

test('every route is listed with what it does', async () => {
  const { body } = await ask('GET', '/help');
  const paths = ['/ready', '/certs', '/clusters', '/listeners', '/config_dump', '/logging'];
  for (const path of [...paths, '/server_info', '/quitquitquit', '/drain']) {
    expect(body).toContain(path);
  }
});

test('the certificates in use are told, and never a key', async () => {
  const { body } = await ask('GET', '/certs');
  expect(JSON.parse(body)).toMatchObject({
    chain: [
      { uris: [expect.stringMatching(/^spiffe:/)], serial: expect.stringMatching(/^[0-9a-f]+$/) },
    ],
    trustBundle: [{ issuer: expect.stringContaining('selvage test root') }],
  });
  expect(body).not.toContain('PRIVATE');
});

test('listeners tell protocol, mutual TLS and who decided it', async () => {
  expect(await json('/listeners')).toMatchObject([
    { direction: 'inbound', workloadPort: 8080, mtls: { mode: 'STRICT' } },
    { direction: 'outbound', address: `127.0.0.1:${sidecar.ready.outboundPort}` },
  ]);
});

test('clusters tell endpoints with the identity that is expected of each', async () => {
  expect(await json('/clusters')).toMatchObject([
    {
      endpoints: [{ address: '127.0.0.1:9', identity: spiffe('shop', 'payments'), connections: 0 }],
    },
  ]);
});

test('the snapshot in force is dumped', async () => {
  expect(await json('/config_dump')).toMatchObject({ version: 7 });
});

test('the settings are told without secrets', async () => {
  expect(await json('/server_info')).toMatchObject({ state: 'LIVE', node: process.version });
});

test('metrics have the form of Prometheus', async () => {
  const { status, body } = await ask('GET', '/stats/prometheus');
  expect(status).toBe(200);
  expect(body).toMatch(/^# TYPE \S+ (counter|gauge|histogram)$/m);
});

test('the log level is changed by POST alone, to a level that there is', async () => {
  expect((await ask('GET', '/logging?level=debug')).status).toBe(405);
  expect((await ask('POST', '/logging?level=loud')).status).toBe(400);
  expect(await ask('POST', '/logging?level=debug')).toMatchObject({
    status: 200,
    body: 'level is debug\n',
  });
});

test('drain makes it not ready; quitquitquit ends it in order', async () => {
  expect((await ask('GET', '/healthz/ready')).status).toBe(200);
  expect((await ask('POST', '/drain')).status).toBe(200);
  expect((await ask('GET', '/ready')).status).toBe(503);
  expect((await ask('POST', '/quitquitquit')).status).toBe(200);
  expect(await sidecar.exited).toBe(0);
});
