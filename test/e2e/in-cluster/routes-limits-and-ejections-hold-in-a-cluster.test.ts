import { afterAll, beforeAll, expect, test } from 'vitest';

import { caller, service } from './apps.ts';
import { describeInCluster, kubectl, kubectlOutcome, Place, until } from './cluster.ts';

const networking = 'networking.istio.io/v1';
const own = 'selvage.dev/v1alpha1';

/** Of one of two it is a bad day: each answer a 503. */
const failing = `
require('node:http').createServer((request, response) => {
  if (request.url !== '/') response.statusCode = 503;
  request.resume().on('end', () => response.end(process.env.HOSTNAME));
}).listen(8080);
`;

function version(name: string): object[] {
  return service({ name: `web-${name}`, labels: { shared: 'web', version: name } });
}

interface Calls {
  readonly statuses: Record<string, number>;
  readonly pods: string[];
}

describeInCluster('traffic policy in a cluster', () => {
  let place: Place;

  beforeAll(async () => {
    place = await Place.create('traffic');
    await place.apply(
      ...version('v1'),
      ...version('v2'),
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'web' },
        spec: {
          selector: { shared: 'web' },
          ports: [{ name: 'http', port: 80, targetPort: 8080 }],
        },
      },
      ...caller({ name: 'client' }),
      {
        apiVersion: networking,
        kind: 'DestinationRule',
        metadata: { name: 'web' },
        spec: {
          host: 'web',
          subsets: ['v1', 'v2'].map((name) => ({ name, labels: { version: name } })),
        },
      },
      {
        apiVersion: networking,
        kind: 'VirtualService',
        metadata: { name: 'web' },
        spec: {
          hosts: ['web'],
          http: [
            {
              match: [{ headers: { 'x-canary': { exact: 'yes' } } }],
              route: [{ destination: { host: 'web', subset: 'v2' } }],
            },
            { match: [{ uri: { exact: '/healthz' } }], directResponse: { status: 204 } },
            { route: [{ destination: { host: 'web', subset: 'v1' } }] },
          ],
        },
      },
      {
        apiVersion: own,
        kind: 'RateLimit',
        metadata: { name: 'few' },
        spec: {
          selector: { matchLabels: { app: 'web-v1' } },
          limits: [
            {
              name: 'few',
              match: [{ paths: ['/limited'] }],
              key: [{ from: 'identity' }],
              fixedWindow: { limit: 5, window: '1h' },
            },
          ],
        },
      },
    );
    await place.ready('deployment/web-v1', 'deployment/web-v2', 'deployment/client');
    await place.enforced('virtualservice/web');
    await place.enforced('destinationrule/web');
    await place.enforced('ratelimit/few');
  });
  afterAll(() => place.remove());

  /** Calls one after the other; the application tells its pod. */
  async function calls(count: number, path: string, headers: object = {}): Promise<Calls> {
    const script = `(async () => {
      const statuses = {}, pods = [];
      for (let i = 0; i < ${count}; i++) {
        const reply = await fetch('http://web${path}', { headers: ${JSON.stringify(headers)} });
        statuses[reply.status] = (statuses[reply.status] ?? 0) + 1;
        const text = await reply.text();
        if (reply.status === 200) pods.push(text.startsWith('{') ? JSON.parse(text).pod : text);
      }
      console.log(JSON.stringify({ statuses, pods }));
    })()`;
    return JSON.parse(await place.exec('deployment/client', 'node', '-e', script)) as Calls;
  }

  test('a VirtualService routes by header to a subset, and answers by itself', async () => {
    const { pods } = await calls(6, '/');
    expect(new Set(pods)).toEqual(new Set([await place.podOf('web-v1')]));
    const canary = await calls(6, '/', { 'x-canary': 'yes' });
    expect(new Set(canary.pods)).toEqual(new Set([await place.podOf('web-v2')]));
    expect((await calls(2, '/healthz')).statuses).toEqual({ 204: 2 });
  });

  test('a RateLimit lets through what it says, and no more', async () => {
    expect((await calls(8, '/limited')).statuses).toEqual({ 200: 5, 429: 3 });
    expect((await calls(2, '/')).statuses).toEqual({ 200: 2 });
  });

  test('a mistake is refused by kubectl apply with the words of selvage check', async () => {
    const wrong = JSON.stringify({
      apiVersion: networking,
      kind: 'VirtualService',
      metadata: { name: 'wrong', namespace: place.namespace },
      spec: { hosts: ['web'], http: [{ route: [{ destination: { host: 'web' }, weight: -1 }] }] },
    });
    const { status, stderr } = await kubectlOutcome(['apply', '-f', '-'], wrong);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/weight/);
  });

  test('an endpoint that fails is ejected, and its calls go to the other', async () => {
    await place.apply(
      ...service({ name: 'ill', labels: { shared: 'some' }, script: failing }),
      ...service({ name: 'well', labels: { shared: 'some' } }),
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'some' },
        spec: {
          selector: { shared: 'some' },
          ports: [{ name: 'http', port: 80, targetPort: 8080 }],
        },
      },
      {
        apiVersion: networking,
        kind: 'DestinationRule',
        metadata: { name: 'some' },
        spec: {
          host: 'some',
          trafficPolicy: {
            outlierDetection: {
              consecutive5xxErrors: 3,
              interval: '1s',
              baseEjectionTime: '10m',
              maxEjectionPercent: 50,
            },
          },
        },
      },
    );
    await place.ready('deployment/ill', 'deployment/well');
    await place.enforced('destinationrule/some');
    const ask = async (): Promise<number[]> => {
      const script = `(async () => {
        const all = [];
        for (let i = 0; i < 20; i++) all.push((await fetch('http://some/work')).status);
        console.log(JSON.stringify(all));
      })()`;
      return JSON.parse(await place.exec('deployment/client', 'node', '-e', script)) as number[];
    };
    await until('the ejection', ask, (all) => all.every((status) => status === 200));
    const proxy = ['logs', 'deployment/client', '-c', 'selvage-proxy'];
    expect(await kubectl('-n', place.namespace, ...proxy)).toContain('endpoint ejected');
  });
});
