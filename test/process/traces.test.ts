// Traces of real sidecar processes: by several workers, to a collector of the mesh, with retries, for those who may debug.
import { afterEach, beforeEach, expect, test } from 'vitest';

import type { TraceProvider } from '#api/telemetry.ts';
import {
  exchange,
  get,
  inTurn,
  mutual,
  plain,
  Rig,
  serviceOf,
  spiffe,
  strict,
} from '#test/sidecar/rig.ts';
import type { SidecarOptions } from '#test/sidecar/rig.ts';
import {
  grpcCollector,
  httpCollector,
  type Collector,
} from '#test/sidecar/telemetry/otlp/collector.ts';
import { freePort } from '#test/free-port.ts';

import type { SidecarProcess } from './sidecar-process.ts';
import { sampled, spansOf, traceId, tracedSidecar } from './traced-sidecar.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

function kept(collector: Collector): Collector {
  rig.onClose(() => collector.close());
  return collector;
}

function start(
  options: SidecarOptions,
  env: Record<string, string>,
  provider?: TraceProvider,
): Promise<SidecarProcess> {
  return tracedSidecar(rig, options, env, provider);
}

test('two workers report all calls; what is queued at the end is sent', async () => {
  const collector = kept(await httpCollector());
  const application = await rig.application();
  const sidecar = await start(
    { application: application.port },
    { SELVAGE_CONCURRENCY: '2', SELVAGE_OTLP_ENDPOINT: collector.url },
  );
  const [port = 0] = sidecar.ready.inboundPorts;
  const calls = 40;
  for (let i = 0; i < calls; i++) {
    expect((await exchange(await plain(port), get('/', sampled))).status).toBe(200);
  }
  await expect.poll(() => spansOf(sidecar)).toEqual({ exported: String(calls), dropped: '0' });
  for (let i = 0; i < calls; i++) await exchange(await plain(port), get('/', sampled));
  expect(await sidecar.end()).toBe(0);
  expect(collector.spans).toHaveLength(2 * calls);
  expect(new Set(collector.spans.map((span) => span.traceId))).toEqual(new Set([traceId]));
  expect(new Set(collector.spans.map((span) => span.spanId)).size).toBe(2 * calls);
});

for (const protocol of ['http', 'grpc'] as const) {
  test(`a collector that is a service of the mesh gets spans by mutual TLS, over ${protocol}`, async () => {
    const collector = kept(await (protocol === 'http' ? httpCollector() : grpcCollector()));
    const before = await rig.sidecar({
      account: 'jaeger',
      application: collector.port,
      protocol,
      policies: strict,
    });
    const endpoint = { port: before.inboundPort, identity: spiffe('shop', 'jaeger') };
    const application = await rig.application();
    const sidecar = await start(
      {
        application: application.port,
        services: [serviceOf('jaeger', [endpoint], protocol)],
      },
      {},
      { name: 'jaeger', protocol, host: 'jaeger.shop.svc.cluster.local', port: 80 },
    );
    const [port = 0] = sidecar.ready.inboundPorts;
    await exchange(await plain(port), get('/', sampled));
    await expect.poll(() => collector.spans.length).toBe(1);
    const version = protocol === 'http' ? 'HTTP/1.1' : 'HTTP/2';
    await expect.poll(() => before.telemetry.protocols).toEqual([version]);
    // Also at the very end, when connections are about to be closed.
    await exchange(await plain(port), get('/', sampled));
    expect(await sidecar.end()).toBe(0);
    expect(collector.spans).toHaveLength(2);
  });
}

test('a call that is tried again tells of each try that failed', async () => {
  const collector = kept(await httpCollector());
  const application = await rig.application();
  const gone = await freePort();
  const endpoints = [{ port: gone }, { port: application.port }];
  const sidecar = await start(
    { services: [serviceOf('billing', endpoints)], traffic: inTurn },
    { SELVAGE_OTLP_ENDPOINT: collector.url, SELVAGE_INBOUND: '' },
  );
  for (let i = 0; i < 2; i++) {
    const socket = await plain(sidecar.ready.outboundPort);
    const reply = await exchange(socket, get('http://billing.shop/', sampled, 'billing.shop'));
    expect(reply.status).toBe(200);
  }
  await expect.poll(() => collector.spans.length).toBe(2);
  const retried = collector.spans.filter(({ events }) => events.length > 0);
  expect(retried).toHaveLength(1);
  expect(retried[0]).toMatchObject({
    name: 'GET billing.shop.svc.cluster.local',
    kind: 3,
    status: 0,
    attributes: {
      'http.request.resend_count': 1,
      'selvage.endpoint': `127.0.0.1:${application.port}`,
      'network.peer.port': application.port,
    },
    events: [
      {
        name: 'selvage.retry',
        attributes: {
          'selvage.endpoint': `127.0.0.1:${gone}`,
          'selvage.reason': 'upstream-connect',
        },
      },
    ],
  });
});

test('only those whom the setting names have their calls traced by a header', async () => {
  const collector = kept(await httpCollector());
  const application = await rig.application();
  const sidecar = await start(
    { application: application.port },
    {
      SELVAGE_OTLP_ENDPOINT: collector.url,
      SELVAGE_TRACE_SAMPLING: '0',
      SELVAGE_TRACE_DEBUG_IDENTITIES: 'cluster.local/ns/ops/*, cluster.local/ns/shop/sa/web',
    },
  );
  const [port = 0] = sidecar.ready.inboundPorts;
  const seen: (string | undefined)[] = [];
  for (const [namespace, account] of [
    ['shop', 'web'],
    ['ops', 'anna'],
    ['shop', 'other'],
  ] as const) {
    const socket = await mutual(port, await rig.issued(spiffe(namespace, account)));
    const reply = await exchange(socket, get('/', 'x-selvage-trace: on\r\n'));
    const { headers } = JSON.parse(reply.body) as { headers: Record<string, string | undefined> };
    expect(headers['x-selvage-trace']).toBeUndefined();
    seen.push(headers['traceparent']?.slice(-2));
  }
  expect(seen).toEqual(['01', '01', '00']);
  expect(await sidecar.end()).toBe(0);
  expect(collector.spans.map(({ attributes }) => attributes['selvage.source_principal'])).toEqual([
    spiffe('shop', 'web'),
    spiffe('ops', 'anna'),
  ]);
});
