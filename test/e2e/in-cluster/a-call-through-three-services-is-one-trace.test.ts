// A real Jaeger beside a cluster: what Telemetry resources make of the calls of its pods, and of their access logs.
import { randomBytes } from 'node:crypto';
import { networkInterfaces } from 'node:os';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { wait } from '#cli/wait.ts';
import { testIo } from '#test/cli/output.ts';
import { findJaeger, Jaeger } from '#test/process/jaeger.ts';
import { chainOf, tagOf, traceparent } from '#test/process/trace-chain.ts';

import { service } from './apps.ts';
import { describeInCluster, kubeconfig, kubectl, Place, until } from './cluster.ts';
import { MeshConfigMap } from './mesh-config-map.ts';

const nodeAddress = kubeconfig === '' ? null : await ownNodeAddress();
const found = nodeAddress === null ? null : await findJaeger();
if (kubeconfig !== '' && found !== 'program') {
  console.warn(
    'no Jaeger that pods reach: traces are not looked for. Set JAEGER to a program that runs it, on a node.',
  );
}

/** Asks the next one, and hands the trace on as an application does. */
function relay(next: string): string {
  return `
const http = require('node:http');
const handed = (headers) => Object.fromEntries(
  ['traceparent', 'tracestate'].filter((name) => name in headers).map((name) => [name, headers[name]]));
http.createServer((request, response) => {
  request.resume();
  fetch('${next}', { method: 'POST', headers: handed(request.headers) })
    .then((reply) => response.writeHead(reply.status).end(), () => response.writeHead(502).end());
}).listen(8080);
process.on('SIGTERM', () => process.exit(0));
`;
}

describeInCluster('a cluster with a Jaeger', () => {
  describe.skipIf(found !== 'program')('(skipped where JAEGER names none)', () => {
    let jaeger: Jaeger;
    let place: Place;
    const mesh = new MeshConfigMap();
    const traceId = randomBytes(16).toString('hex');

    beforeAll(async () => {
      jaeger = await Jaeger.start(nodeAddress ?? '');
      place = await Place.create('traced');
      await mesh.set({ extensionProviders: providersOf(jaeger, place.namespace) });
      await place.apply(
        ...service({ name: 'web', script: relay('http://billing/invoices') }),
        ...service({ name: 'billing', script: relay('http://payments/charges') }),
        ...service({ name: 'payments' }),
        ...outside('collector', jaeger.grpc),
        admitBilling(place.namespace),
        telemetry('traces', {
          tracing: [
            {
              providers: [{ name: 'jaeger' }],
              randomSamplingPercentage: 100,
              customTags: { team: { literal: { value: 'money' } } },
            },
          ],
        }),
      );
      await place.ready('deployment/web', 'deployment/billing', 'deployment/payments');
      await place.enforced('authorizationpolicy/admit-billing');
    });
    afterAll(async () => {
      await mesh.restore();
      await place?.remove();
      await jaeger?.stop();
    });

    /** A POST from the application of a workload: its status, by the trace that the caller has begun. */
    async function call(from: string, url: string, trace = ''): Promise<number> {
      const headers = trace === '' ? {} : { traceparent: traceparent(trace, true) };
      const script = `fetch('${url}', { method: 'POST', headers: ${JSON.stringify(headers)} })
        .then((reply) => console.log(reply.status), () => console.log(0))`;
      return Number(await place.exec(`deployment/${from}`, 'node', '-e', script));
    }

    /** As `selvage wait` tells. */
    async function waitFor(name: string): Promise<string> {
      const io = testIo();
      const status = await wait([`Telemetry/${name}`, '-n', place.namespace], io);
      if (status !== 0) throw new Error(io.err());
      return io.out();
    }

    test('selvage wait returns when all sidecars have the Telemetry resource', async () => {
      expect(await waitFor('traces')).toMatch(/enforced by 3 of 3 sidecars/);
    });

    test('a request through three services is six spans, each below the one that caused it', async () => {
      const { namespace } = place;
      await until(
        'the three applications answer',
        () => call('web', 'http://web/checkout'),
        (status) => status === 200,
      );
      expect(await call('web', 'http://web/checkout', traceId)).toBe(200);
      const trace = await until(
        'the trace is whole',
        () => jaeger.trace(traceId),
        (one) => one?.spans.length === 6,
      );
      const host = (name: string): string => `POST ${name}.${namespace}.svc.cluster.local`;
      expect(chainOf(trace)).toEqual([
        [`web.${namespace}`, 'client', host('web'), 200],
        [`web.${namespace}`, 'server', host('web'), 200],
        [`web.${namespace}`, 'client', host('billing'), 200],
        [`billing.${namespace}`, 'server', host('billing'), 200],
        [`billing.${namespace}`, 'client', host('payments'), 200],
        [`payments.${namespace}`, 'server', host('payments'), 200],
      ]);
    });

    test('it is found by service, by operation and by tag', async () => {
      const { namespace } = place;
      const asked = {
        service: `payments.${namespace}`,
        operation: `POST payments.${namespace}.svc.cluster.local`,
      };
      const tags = {
        team: 'money',
        'selvage.policy': `${namespace}/admit-billing`,
        'selvage.source_principal': `spiffe://cluster.local/ns/${namespace}/sa/billing`,
        'http.status_code': '200',
      };
      for (const one of [asked, { ...asked, tags }]) {
        const ids = (await jaeger.find(one)).map(({ traceID }) => traceID);
        expect(ids).toContain(traceId);
      }
      const others = await jaeger.find({ ...asked, tags: { team: 'others' } });
      expect(others).toEqual([]);
    });

    test('a denied call is found by selvage.verdict=denied, and says why', async () => {
      const deniedId = randomBytes(16).toString('hex');
      expect(await call('web', 'http://payments/charges', deniedId)).toBe(403);
      const asked = {
        service: `payments.${place.namespace}`,
        tags: { 'selvage.verdict': 'denied' },
      };
      const traces = await until(
        'the denied call is found',
        () => jaeger.find(asked),
        (some) => some.some(({ traceID, spans }) => traceID === deniedId && spans.length === 2),
      );
      expect(traces.map(({ traceID }) => traceID)).not.toContain(traceId);
      const spans = traces.find(({ traceID }) => traceID === deniedId)?.spans ?? [];
      const server = spans.find((span) => tagOf(span, 'span.kind') === 'server');
      expect(tagOf(server, 'selvage.why')).toContain(
        `nearest is ${place.namespace}/admit-billing rule 0`,
      );
    });

    test('calls that nobody has traced are sampled as the resource says, and another provider gets them by a Service', async () => {
      const count = async (): Promise<number> =>
        (await jaeger.find({ service: `web.${place.namespace}` })).length;
      const before = await count();
      await call('web', 'http://web/checkout');
      await until('one trace more', count, (now) => now === before + 1);
      await place.apply(
        telemetry('traces', {
          tracing: [{ providers: [{ name: 'jaeger' }], randomSamplingPercentage: 0 }],
        }),
      );
      await waitFor('traces');
      await call('web', 'http://web/checkout');
      const after = randomBytes(16).toString('hex');
      await place.apply(
        telemetry('traces', {
          tracing: [{ providers: [{ name: 'by-service' }], randomSamplingPercentage: 100 }],
        }),
      );
      await waitFor('traces');
      await call('web', 'http://web/checkout', after);
      await until(
        'a later trace is there',
        () => jaeger.trace(after),
        (one) => one?.spans.length === 6,
      );
      expect(await count()).toBe(before + 2);
    });

    test('a filter of a Telemetry resource changes what the pods log', async () => {
      const log = (): Promise<string> =>
        place.kubectl('logs', 'deployment/payments', '-c', 'selvage-proxy');
      expect(await call('billing', 'http://payments/before')).toBe(200);
      await until('all calls are logged', log, isThere('"/before"'), 15_000);
      await place.apply(
        telemetry('logs', {
          // Of a namespace without a selector one counts, the oldest.
          selector: { matchLabels: { app: 'payments' } },
          accessLogging: [
            { providers: [{ name: 'envoy' }], filter: { expression: 'response.code >= 400' } },
          ],
        }),
      );
      await waitFor('logs');
      expect(await call('billing', 'http://payments/quiet')).toBe(200);
      expect(await call('web', 'http://payments/refused')).toBe(403);
      const text = await until('a refusal is logged', log, isThere('/refused'), 15_000);
      expect(text).not.toContain('/quiet');
      await place.kubectl('delete', 'telemetry', 'logs');
      await until(
        'all calls are logged again',
        async () => {
          await call('billing', 'http://payments/again');
          return log();
        },
        isThere('"/again"'),
        30_000,
      );
    });
  });
});

/** The same Jaeger twice: OTLP over HTTP at its address, and over gRPC at a Service of the cluster. */
function providersOf(jaeger: Jaeger, namespace: string): object[] {
  const { hostname, port } = new URL(jaeger.http);
  const http = { path: '/v1/traces' };
  const service = `collector.${namespace}.svc.cluster.local`;
  return [
    { name: 'jaeger', opentelemetry: { service: hostname, port: Number(port), http } },
    { name: 'by-service', opentelemetry: { service, port: 4317 } },
  ];
}

/** A Service whose one endpoint is no pod. @param url where that is */
function outside(name: string, url: string): object[] {
  const { hostname, port } = new URL(url);
  const labels = { 'kubernetes.io/service-name': name };
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { ports: [{ name: 'grpc', port: 4317, targetPort: Number(port) }] },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: `${name}-1`, labels },
      addressType: 'IPv4',
      ports: [{ name: 'grpc', port: Number(port) }],
      endpoints: [{ addresses: [hostname], conditions: { ready: true } }],
    },
  ];
}

function isThere(text: string): (all: string) => boolean {
  return (all) => all.includes(text);
}

function telemetry(name: string, spec: object): object {
  return { apiVersion: 'telemetry.istio.io/v1', kind: 'Telemetry', metadata: { name }, spec };
}

function admitBilling(namespace: string): object {
  const source = { principals: [`cluster.local/ns/${namespace}/sa/billing`] };
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'admit-billing' },
    spec: { selector: { matchLabels: { app: 'payments' } }, rules: [{ from: [{ source }] }] },
  };
}

/** Where pods reach a server of this process; null: it runs on no node. */
async function ownNodeAddress(): Promise<string | null> {
  const path = '{.items[*].status.addresses[?(@.type=="InternalIP")].address}';
  const nodes = (await kubectl('get', 'nodes', '-o', `jsonpath=${path}`)).split(' ');
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return own.find(({ address }) => nodes.includes(address))?.address ?? null;
}
