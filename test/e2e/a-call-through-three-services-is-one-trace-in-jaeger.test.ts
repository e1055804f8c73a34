// The shop with a real Jaeger: what a person finds there of a call, and of one that was denied.
import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { findJaeger, Jaeger } from '#test/process/jaeger.ts';
import { chainOf, tagOf, traceparent } from '#test/process/trace-chain.ts';

import { eventually, TestMesh } from './local-mesh.ts';

const found = await findJaeger();
if (found === null) {
  console.warn('no Jaeger: traces are not looked for. Set JAEGER to a program that runs it.');
}

const shop = join(import.meta.dirname, '../../manifests/examples/shop');
const tags = `
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { name: tags, namespace: payments }
spec:
  tracing:
    - match: { mode: SERVER }
      customTags: { team: { literal: { value: money } } }
`;

describe.skipIf(found === null).each(['http', 'grpc'] as const)('over %s', (protocol) => {
  let jaeger: Jaeger;
  let mesh: TestMesh;
  let folder: string;
  const traceId = randomBytes(16).toString('hex');
  const deniedId = randomBytes(16).toString('hex');

  beforeAll(async () => {
    jaeger = await Jaeger.start();
    folder = await mkdtemp(join(tmpdir(), 'selvage-traced-'));
    await cp(shop, folder, { recursive: true });
    await writeFile(join(folder, 'telemetry.yaml'), tags);
    mesh = await TestMesh.start(folder, jaeger[protocol]);
    const login = await mesh.call('web', 'GET', 'http://web.web:8080/login?user=ada', [
      ['traceparent', traceparent(randomBytes(16).toString('hex'), false)],
    ]);
    const { token } = JSON.parse(login.body) as { token: string };
    await mesh.call('web', 'POST', 'http://web.web:8080/checkout', [
      ['traceparent', traceparent(traceId, true)],
      ['authorization', `Bearer ${token}`],
    ]);
    await mesh.call('web', 'POST', 'http://payments.payments:8080/api/v1/charges?card=4111', [
      ['traceparent', traceparent(deniedId, true)],
    ]);
  });

  afterAll(async () => {
    await mesh.stop();
    await jaeger.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test('a request through three services is six spans, each below the one that caused it', async () => {
    const trace = await eventually(
      async () => jaeger.trace(traceId),
      (one) => one?.spans.length === 6,
    );
    const chain = chainOf(trace);
    expect(chain).toEqual([
      ['web.web', 'client', 'POST web.web.svc.cluster.local', 201],
      ['web.web', 'server', 'POST web.web.svc.cluster.local', 201],
      ['web.web', 'client', 'POST billing.billing.svc.cluster.local', 201],
      ['billing.billing', 'server', 'POST billing.billing.svc.cluster.local', 201],
      ['billing.billing', 'client', 'POST payments.payments.svc.cluster.local', 201],
      ['payments.payments', 'server', 'POST payments.payments.svc.cluster.local', 201],
    ]);
  });

  test('it is found by service, by operation and by tag', async () => {
    const operation = 'POST payments.payments.svc.cluster.local';
    const wanted = {
      'selvage.policy': 'payments/admit-billing',
      'selvage.verdict': 'allowed',
      'selvage.source_principal': 'spiffe://cluster.local/ns/billing/sa/billing-sa',
      'http.status_code': '201',
      'istio.canonical_service': 'payments',
      // Of a Telemetry resource.
      team: 'money',
    };
    for (const asked of [{}, { operation }, { operation, tags: wanted }]) {
      const traces = await eventually(
        () => jaeger.find({ service: 'payments.payments', ...asked }),
        (some) => some.some(({ traceID }) => traceID === traceId),
      );
      expect(traces.length).toBeGreaterThan(0);
    }
  });

  test('a denied call is found by selvage.verdict=denied, and says why', async () => {
    const traces = await eventually(
      () => jaeger.find({ service: 'payments.payments', tags: { 'selvage.verdict': 'denied' } }),
      (some) => some.some(({ traceID, spans }) => traceID === deniedId && spans.length === 2),
    );
    const trace = traces.find(({ traceID }) => traceID === deniedId);
    const server = trace?.spans.find((span) => tagOf(span, 'span.kind') === 'server');
    expect(tagOf(server, 'selvage.why')).toMatch(
      /^denied: .*nearest is payments\/admit-billing rule 0 \(.*from\.source\.principals is/,
    );
    const [event] = server?.logs ?? [];
    expect(event?.fields).toContainEqual(
      expect.objectContaining({ key: 'event', value: 'selvage.denied' }),
    );
    expect(JSON.stringify(trace)).not.toContain('4111');
    const allowed = await jaeger.find({
      service: 'payments.payments',
      tags: { 'selvage.verdict': 'allowed' },
    });
    expect(allowed.map(({ traceID }) => traceID)).not.toContain(deniedId);
  });
});
