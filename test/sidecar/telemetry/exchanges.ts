// Exchanges and connections made by hand, for tests of telemetry.
import type { Endpoint, Service } from '#api/snapshot.ts';
import type { ConnectionFacts } from '#policy/facts.ts';
import { Exchange, type Downstream, type RequestView } from '#sidecar/exchange.ts';
import type { TcpSession } from '#sidecar/telemetry/types.ts';

export const cashier = 'spiffe://cluster.local/ns/shop/sa/cashier';

export const workload = {
  name: 'payments',
  namespace: 'billing',
  labels: { app: 'payments', version: 'v2' },
  serviceAccount: 'payments',
  ports: [],
};

export const endpoint: Endpoint = {
  address: '10.0.0.9',
  port: 8080,
  identity: 'spiffe://cluster.local/ns/billing/sa/payments',
  workload: 'payments',
  namespace: 'billing',
  labels: { app: 'payments', version: 'v2' },
};

export const service: Service = {
  name: 'payments',
  namespace: 'billing',
  hosts: ['payments.billing.svc.cluster.local', 'payments.billing'],
  addresses: [],
  ports: [{ port: 80, name: 'http', protocol: 'http', endpoints: [endpoint] }],
};

export function makeDownstream(changes: Partial<Downstream> = {}): Downstream {
  const facts: ConnectionFacts = {
    mtls: true,
    identities: [cashier],
    sourceIp: '10.0.0.7',
    destinationIp: '10.0.0.9',
    destinationPort: 8080,
    sni: 'outbound_.80_._.payments.billing.svc.cluster.local',
  };
  return {
    facts,
    direction: 'inbound',
    remoteAddress: '10.0.0.7',
    remotePort: 41000,
    localAddress: '10.0.0.9',
    localPort: 8080,
    forwardedClientCert: '',
    telemetry: null,
    ...changes,
  };
}

/** A request view over a list of header lines. */
export class FakeRequest implements RequestView {
  readonly rawTarget: string;
  readonly minor = 1;
  readonly upgrade = '';
  readonly hasBody = false;
  method: string;
  path: string;
  authority = 'payments.billing';
  scheme = 'http';
  token = null;
  headers: [string, string][];

  constructor(method: string, path: string, headers: [string, string][]) {
    this.method = method;
    this.path = path;
    this.rawTarget = path;
    this.headers = headers;
  }

  values(name: string): readonly string[] {
    const found: string[] = [];
    for (const header of this.headers) if (header[0] === name) found.push(header[1]);
    return found;
  }

  setPath(path: string): void {
    this.path = path;
  }

  setAuthority(authority: string): void {
    this.authority = authority;
  }

  callGrpc(path: string): void {
    this.method = 'POST';
    this.path = path;
  }

  remove(name: string): void {
    this.headers = this.headers.filter((header) => header[0] !== name);
  }

  hasPrefix(prefix: string): boolean {
    return this.lines().some(([name]) => name.startsWith(prefix));
  }
  removeSpellings(name: string): void {
    this.remove(name);
  }

  append(name: string, value: string): void {
    this.headers.push([name, value]);
  }

  lines(): [string, string][] {
    return this.headers;
  }
}

export function makeExchange(
  options: {
    downstream?: Downstream;
    method?: string;
    path?: string;
    headers?: [string, string][];
    status?: number;
    protocol?: string;
    durationMs?: number;
  } = {},
): Exchange & { request: FakeRequest } {
  const x = new Exchange(
    options.downstream ?? makeDownstream(),
    new FakeRequest(options.method ?? 'GET', options.path ?? '/charges', options.headers ?? []),
    {
      reply() {},
      forward() {},
      tunnel() {},
      serveInside() {},
      cutOff() {},
      readBody: async () => 'gone',
      bodyStart: () => Buffer.alloc(0),
      replaceBody() {},
      limitTime() {},
    },
    options.protocol ?? 'HTTP/1.1',
  );
  x.startedAtMs = performance.now();
  x.finishedAtMs = x.startedAtMs + (options.durationMs ?? 3);
  x.forwardedAtMs = x.startedAtMs + 1;
  x.respondedAtMs = x.startedAtMs + 2;
  x.status = options.status ?? 200;
  x.responseBodyBytes = 1024;
  x.service = service;
  x.servicePort = 80;
  x.upstreamAddress = '127.0.0.1:9000';
  x.requestId = 'a-request';
  return x as Exchange & { request: FakeRequest };
}

export function makeSession(changes: Partial<TcpSession> = {}): TcpSession {
  return {
    downstream: makeDownstream(),
    openedAtMs: performance.now(),
    closedAtMs: 0,
    receivedBytes: 0,
    sentBytes: 0,
    service,
    servicePort: 80,
    endpoint: null,
    upstreamAddress: '127.0.0.1:9000',
    verdict: null,
    enforced: null,
    flag: '-',
    details: '',
    id: '',
    reason: null,
    ...changes,
  };
}

/** Polls until `check` gives something. */
export async function eventually<T>(check: () => T | null | undefined | false): Promise<T> {
  for (let i = 0; i < 400; i++) {
    const found = check();
    if (found) return found;
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
  throw new Error('nothing came within 4 s');
}
