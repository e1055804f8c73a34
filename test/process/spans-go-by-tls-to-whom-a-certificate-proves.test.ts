// Spans to collectors outside the mesh, by TLS: who proves not to be the collector gets none, and that is counted and logged.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { exchange, get, plain, Rig, serviceOf } from '#test/sidecar/rig.ts';
import {
  grpcCollector,
  httpCollector,
  type Collector,
} from '#test/sidecar/telemetry/otlp/collector.ts';
import { issue, makeTestCa, type Issued, type TestCa } from '#test/tls/fixtures.ts';

import type { SidecarProcess } from './sidecar-process.ts';
import { sampled, spansOf, tracedSidecar } from './traced-sidecar.ts';

const host = 'collector.shop.svc.cluster.local';

let rig: Rig;
/** Of the collector, and no CA of the mesh. */
let ca: TestCa;
let caFile = '';
beforeEach(async () => {
  rig = await Rig.create();
  ca = await makeTestCa('outside root');
  const folder = await mkdtemp(join(tmpdir(), 'selvage-collector-'));
  rig.onClose(() => rm(folder, { recursive: true }));
  caFile = join(folder, 'ca.pem');
  await writeFile(caFile, ca.certPem);
});
afterEach(() => rig.close());

/** HTTP/1.1 has no scheme. */
const asked = {
  http: { ':path': '/v1/traces' },
  grpc: { ':scheme': 'https', te: 'trailers' },
} as const;

type Protocol = 'http' | 'grpc';

async function collectorWith(protocol: Protocol, issued: Issued): Promise<Collector> {
  const open = protocol === 'http' ? httpCollector : grpcCollector;
  const collector = await open(undefined, issued);
  rig.onClose(() => collector.close());
  return collector;
}

async function call(sidecar: SidecarProcess): Promise<void> {
  const [port = 0] = sidecar.ready.inboundPorts;
  expect((await exchange(await plain(port), get('/', sampled))).status).toBe(200);
}

function lossesIn(sidecar: SidecarProcess): unknown[] {
  return sidecar.lines
    .map((line) => line['msg'])
    .filter((message) => String(message).startsWith('spans lost: '));
}

/** A call's span is lost to a wrong certificate; then there is the right one, and the next span gets through. */
async function expectLossThenSpan(
  sidecar: SidecarProcess,
  collector: Collector,
  right: Issued,
  loss: RegExp,
): Promise<void> {
  await call(sidecar);
  const slow = { timeout: 20_000 };
  await expect.poll(() => spansOf(sidecar), slow).toEqual({ exported: '0', dropped: '1' });
  expect(lossesIn(sidecar)).toEqual([expect.stringMatching(loss)]);
  expect([collector.spans, collector.heads]).toEqual([[], []]);
  collector.present(right);
  await call(sidecar);
  await expect.poll(() => spansOf(sidecar), slow).toEqual({ exported: '1', dropped: '1' });
  expect(collector.spans).toHaveLength(1);
}

for (const protocol of ['http', 'grpc'] as const) {
  const endpoint = protocol === 'http' ? 'https://' : 'grpcs://';

  test(`the sidecar's own endpoint ${endpoint} has to prove its name`, async () => {
    const other = await issue(ca, { dns: ['other.example.com'] });
    const collector = await collectorWith(protocol, other);
    const { port } = await rig.application();
    const env = { SELVAGE_OTLP_ENDPOINT: collector.url, NODE_EXTRA_CA_CERTS: caFile };
    const sidecar = await tracedSidecar(rig, { application: port }, env);
    const right = await issue(ca, { dns: ['localhost'] });
    const loss = /SELVAGE_OTLP_ENDPOINT \(localhost:\d+\).*upstream-tls: .*other\.example\.com/;
    await expectLossThenSpan(sidecar, collector, right, loss);
    expect(collector.heads[0]).toMatchObject(asked[protocol]);
  });

  test(`a provider of the mesh over ${protocol} has to be of the CA that its DestinationRule names`, async () => {
    const names = { dns: [host] };
    const collector = await collectorWith(protocol, await issue(await makeTestCa(), names));
    const { port } = await rig.application();
    const rule = {
      host,
      source: 'DestinationRule shop/collector',
      policy: { tls: { mode: 'simple', caFile } as const },
      ports: {},
      subsets: [],
    };
    const service = serviceOf('collector', [{ port: collector.port }], protocol);
    const sidecar = await tracedSidecar(
      rig,
      { application: port, services: [service], traffic: { destinations: [rule] } },
      {},
      { name: 'outside', protocol, host, port: 80 },
    );
    const right = await issue(ca, names);
    const loss = /outside \(collector\.shop\.svc\.cluster\.local:80\).*upstream-tls: .*certificate/;
    await expectLossThenSpan(sidecar, collector, right, loss);
    expect(collector.heads[0]).toMatchObject(asked[protocol]);
  });
}
