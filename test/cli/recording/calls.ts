// Recorded calls for tests, with as little to write as possible.
import type { CallFacts, CallRecord } from '#api/call-record.ts';
import type { RecordingHeader } from '#cli/recording/format.ts';

export function recorded(
  more: Partial<Omit<CallRecord, 'facts'>> & { readonly facts?: Partial<CallFacts> | null } = {},
): CallRecord {
  const { facts, ...rest } = more;
  const principal = 'spiffe://cluster.local/ns/shop/sa/web-sa';
  return {
    at: '2026-11-27T12:00:00.000Z',
    reporter: 'inbound',
    id: '',
    traceId: '',
    method: 'GET',
    authority: 'cart.shop:8080',
    path: '/api/items',
    protocol: 'HTTP/2',
    status: 200,
    flags: '-',
    details: 'via_upstream',
    grpcStatus: '',
    durationMs: 1,
    requestBytes: 0,
    responseBytes: 0,
    source: { namespace: 'shop', workload: 'web', principal },
    destination: {
      namespace: 'shop',
      workload: 'cart',
      principal: 'spiffe://cluster.local/ns/shop/sa/cart-sa',
    },
    port: 8080,
    service: '',
    mtls: true,
    verdict: 'allow',
    why: 'allowed by shop/wide rule 0 (old.yaml:9)',
    policy: 'shop/wide',
    rule: 0,
    place: 'old.yaml:9',
    endpoint: '',
    attempts: 1,
    route: '',
    ...rest,
    ...(facts !== null && {
      facts: {
        identities: [principal],
        sourceIp: '10.0.0.1',
        destinationIp: '10.0.0.2',
        sni: 'outbound_.8080_._.cart.shop.svc.cluster.local',
        scheme: 'https',
        headers: [['accept', '*/*']],
        token: null,
        ...facts,
      },
    }),
  };
}

export const header: RecordingHeader = {
  selvage: 'recording',
  version: 1,
  mesh: 'a test',
  begunAt: '2026-11-27T12:00:00.000Z',
  workloads: [
    {
      namespace: 'shop',
      name: 'cart',
      labels: { app: 'cart' },
      serviceAccount: 'cart-sa',
      ports: [{ port: 8080, name: 'http', protocol: 'http' }],
    },
  ],
};

export function recordingOf(...calls: readonly CallRecord[]): string {
  return [header, ...calls].map((one) => `${JSON.stringify(one)}\n`).join('');
}
