// Access logs that Telemetry asks for, in a real sidecar with two threads: files, formats, filters, and a change while it runs.
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import type { AccessLogSettings } from '#api/telemetry.ts';
import { authorization, exchange, get, plain, Rig, snapshotOf, spiffe } from '#test/sidecar/rig.ts';

import { SidecarProcess } from './sidecar-process.ts';

let rig: Rig;
let folder: string;

beforeEach(async () => {
  rig = await Rig.create();
  folder = await mkdtemp(join(tmpdir(), 'selvage-access-logs-'));
});
afterEach(async () => {
  await rig.close();
  await rm(folder, { recursive: true, force: true });
});

const denyAdmin = authorization(
  'no-admin',
  'DENY',
  '[{ to: [{ operation: { paths: ["/admin"] } }] }]',
);

async function linesOf(name: string): Promise<string[]> {
  const text = await readFile(join(folder, name), 'utf8').catch(() => '');
  return text.split('\n').slice(0, -1);
}

test('each log has its calls in its form, and an edit changes which', async () => {
  const { port } = await rig.application((_request, response) => {
    response.setHeader('x-answer', 'yes');
    response.end('ok');
  });
  const snapshot = (version: number, ...logs: Omit<AccessLogSettings, 'provider'>[]) => ({
    ...snapshotOf({ application: port, policies: denyAdmin }, version),
    telemetry: {
      inbound: { logs: logs.map((log) => ({ provider: 'envoy', ...log })) },
      outbound: {},
    },
  });
  const told = {
    code: '%RESPONSE_CODE%',
    answer: '%RESP(X-ANSWER)%',
    server: '%RESP(SERVER)%',
    call: '%REQ(:METHOD)% %REQ(:PATH)%',
    details: '%RESPONSE_CODE_DETAILS%',
    why: '%SELVAGE_WHY%',
    id: '%SELVAGE_ID%',
  };
  const refusals = {
    path: join(folder, 'refusals.json'),
    format: { kind: 'json', fields: told },
    filter: "response.code >= 400 || request.path.matches('^/v[0-9]+/')",
  } as const;
  const all = {
    path: join(folder, 'all.txt'),
    format: { kind: 'text', text: '%RESPONSE_CODE% %REQ(:PATH)%' },
  } as const;
  const { certPem, keyPem } = await rig.issued(spiffe('shop', 'payments'));
  const files = { certPem, keyPem, trustBundlePem: rig.ca.certPem };
  const sidecar = await SidecarProcess.start(
    { snapshot: snapshot(1, refusals, all), ...files },
    port,
    { SELVAGE_CONCURRENCY: '2' },
  );
  rig.onClose(() => sidecar.close());
  const call = async (path: string) =>
    exchange(await plain(sidecar.ready.inboundPorts[0] ?? 0), get(path));

  for (const path of ['/a', '/v2/b', '/admin']) await call(path);
  await expect.poll(() => linesOf('all.txt')).toHaveLength(3);
  expect((await linesOf('all.txt')).toSorted()).toEqual(['200 /a', '200 /v2/b', '403 /admin']);
  await expect.poll(() => linesOf('refusals.json')).toHaveLength(2);
  const logged = (await linesOf('refusals.json')).map((line) => JSON.parse(line) as object);
  expect(logged).toContainEqual({
    code: 200,
    answer: 'yes',
    server: 'selvage',
    call: 'GET /v2/b',
    details: 'via_upstream',
    why: expect.any(String),
    id: null,
  });
  expect(logged).toContainEqual({
    code: 403,
    answer: null,
    server: 'selvage',
    call: 'GET /admin',
    details: 'rbac_access_denied_matched_policy[ns[shop]-policy[no-admin]-rule[0]]',
    why: expect.stringContaining('shop/no-admin'),
    id: expect.any(String),
  });

  // Written beside and moved, so that no half of it is read.
  const file = join(sidecar.folder, 'snapshot.json');
  await writeFile(
    `${file}.new`,
    JSON.stringify(snapshot(2, { ...all, filter: 'response.code == 403' })),
  );
  await rename(`${file}.new`, file);
  // Until both threads have it: the refusals are written nowhere else any more.
  await expect
    .poll(async () => {
      const [before, other] = [await linesOf('all.txt'), await linesOf('refusals.json')];
      for (let i = 0; i < 8; i++) await call('/admin');
      await call('/c');
      const after = await expect
        .poll(() => linesOf('all.txt'))
        .toSatisfy((lines: string[]) => lines.length >= before.length + 8)
        .then(() => linesOf('all.txt'));
      const more = after.slice(before.length);
      return [more.includes('200 /c'), (await linesOf('refusals.json')).length > other.length];
    })
    .toEqual([false, false]);
  expect(await sidecar.end()).toBe(0);
});
