// A mesh without processes: sidecars that answer as real ones do, with traffic that a seed decides.
import type { CallRecord, EdgeCount } from '#api/call-record.ts';
import type { AskableSidecar, Sidecars } from '#cli/sidecars/source.ts';
import { bucketBounds } from '#sidecar/telemetry/series.ts';

export interface FakeWorkload {
  readonly namespace: string;
  readonly name: string;
  /** Whom it calls, by index. */
  readonly calls: readonly number[];
}

export class FakeMesh {
  readonly workloads: readonly FakeWorkload[];
  /** Paths that sidecars were asked, with their pods. */
  readonly asked: string[] = [];
  readonly posted: unknown[] = [];
  /** What sidecars answer in place of all else, by `pod path`. */
  readonly answers = new Map<string, unknown>();
  records: CallRecord[] = [];
  /** Of `/tap`, told once it is opened. */
  tapped: CallRecord[] = [];
  tapsOpen = 0;
  readonly sidecars: Sidecars = {
    title: 'the mesh of fixtures',
    list: () => Promise.resolve(this.workloads.map((one) => this.#sidecar(one))),
    control: () => this.#control(),
    close: () => Promise.resolve(),
  };
  /** How often edges were read: each time there are more calls. */
  #tick = 0;

  constructor(workloads: readonly FakeWorkload[]) {
    this.workloads = workloads;
  }

  #control(): Promise<unknown> {
    const rows = this.workloads.map(({ namespace, name }, i) => ({
      namespace,
      workload: name,
      pod: `${name}-0`,
      version: '0.1.0',
      connectedSince: '2026-11-27T12:00:00.000Z',
      ackedVersion: 40 + i,
      ackedAt: '2026-11-27T13:00:00.000Z',
      inSync: i % 17 !== 5,
      refused:
        i % 34 === 5 ? 'route 3: its regular expression has more than 1,000 instructions' : '',
      replica: `selvage-control-${i % 2}`,
    }));
    return Promise.resolve(rows);
  }

  #sidecar(workload: FakeWorkload): AskableSidecar {
    const { namespace, name } = workload;
    const pod = `${name}-0`;
    const ask = (path: string): Promise<unknown> => {
      this.asked.push(`${pod} ${path}`);
      const given = this.answers.get(`${pod} ${path.split('?')[0]}`);
      if (given instanceof Error) return Promise.reject(given);
      return given === undefined ? this.#answer(workload, path) : Promise.resolve(given);
    };
    return {
      namespace,
      workload: name,
      pod,
      ask,
      post: async (path, body) => {
        this.posted.push({ pod, path, body });
        return ask(path);
      },
      follow: (_, onLine, signal) => {
        this.tapsOpen += 1;
        for (const record of this.tapped)
          if (
            record.reporter === 'inbound'
              ? record.destination.workload === name
              : record.source.workload === name
          )
            onLine(record);
        return new Promise((end) => {
          signal.addEventListener('abort', () => {
            this.tapsOpen -= 1;
            end();
          });
        });
      },
    };
  }

  #answer(workload: FakeWorkload, path: string): Promise<unknown> {
    const { namespace, name } = workload;
    const identity = identityOf(workload);
    const at = this.workloads.indexOf(workload);
    switch (path.split('?')[0]) {
      case '/edges':
        return Promise.resolve(this.#edges(workload, at));
      case '/status':
        return Promise.resolve({
          identity,
          certificateNotAfter: '2026-11-28T14:00:00.000Z',
          snapshotVersion: 40 + at,
          control: { connected: true, version: 40 + at, lastError: null },
          connections: { inbound: at % 7, outbound: workload.calls.length },
        });
      case '/certs':
        return Promise.resolve({
          identity,
          chain: [
            {
              uris: [identity],
              subject: '',
              issuer: 'CN=selvage root 787feff5\nO=cluster.local',
              serial: '271a72c542d0a66794691bc4eaba1f30',
              notBefore: '2026-11-27T09:00:00.000Z',
              notAfter: '2026-11-28T09:00:00.000Z',
              daysLeft: 0.8,
            },
          ],
          trustBundle: [
            {
              uris: ['spiffe://cluster.local'],
              subject: 'CN=selvage root 787feff5\nO=cluster.local',
              issuer: 'CN=selvage root 787feff5\nO=cluster.local',
              serial: '5185ca7b4ea2e237b3c755a9e5bcc4dc',
              notBefore: '2026-11-27T09:00:00.000Z',
              notAfter: '2036-11-24T09:00:00.000Z',
              daysLeft: 3649,
            },
          ],
        });
      case '/clusters':
        return Promise.resolve(
          workload.calls.map((to) => {
            const callee = this.workloads[to];
            const address = `10.4.${to % 250}.${at % 250}:8080`;
            return {
              cluster: `${callee?.name}.${callee?.namespace}.svc.cluster.local:8080`,
              protocol: 'http',
              endpoints: [
                {
                  address,
                  identity: null,
                  workload: `${callee?.namespace}/${callee?.name}`,
                  connections: 2,
                  lastError: '',
                  active: 1,
                  health: to % 9 === 2 ? 'ejected' : 'healthy',
                },
              ],
              ejections:
                to % 9 === 2
                  ? [
                      {
                        at: '2026-11-27T13:59:20.000Z',
                        event: 'ejected',
                        address,
                        workload: '',
                        reason: 'consecutive-5xx',
                        forMs: 30_000,
                      },
                    ]
                  : [],
            };
          }),
        );
      case '/limits':
        return Promise.resolve([
          {
            limit: `${namespace}/per-tenant[0]`,
            algorithm: 'tokenBucket',
            scope: 'local',
            keys: 214,
            allowed: 48_213,
            limited: 97,
            errors: 0,
          },
        ]);
      case '/listeners':
        return Promise.resolve([
          {
            direction: 'inbound',
            address: '127.0.0.1:1',
            workloadPort: 8080,
            application: '127.0.0.1:2',
            protocol: 'http',
            mtls: { mode: 'STRICT', policy: `${namespace}/strict`, at: 'policies.yaml:9' },
          },
        ]);
      case '/config_dump':
        return Promise.resolve(snapshotOf(workload, this.workloads));
      case '/recent':
        return Promise.resolve(
          this.records.filter(({ destination }) => destination.workload === name),
        );
      case '/why': {
        const id = new URLSearchParams(path.split('?')[1]).get('id');
        const found = this.records.find(
          (record) => record.id === id && record.destination.workload === name,
        );
        return found === undefined
          ? Promise.reject(new Error('404 {"error":"unknown"}'))
          : Promise.resolve(found);
      }
      default:
        return Promise.reject(new Error(`404 no ${path} here`));
    }
  }

  #edges(workload: FakeWorkload, at: number): EdgeCount[] {
    if (at === 0) this.#tick += 1;
    const self = partyOf(workload);
    const outgoing = workload.calls.map((to) => {
      const callee = this.workloads[to] ?? workload;
      return this.#edge('outbound', self, partyOf(callee), at * 31 + to, callee);
    });
    const incoming = this.workloads.flatMap((caller, from) =>
      caller.calls.includes(at)
        ? [this.#edge('inbound', partyOf(caller), self, from * 31 + at, workload)]
        : [],
    );
    const stranger =
      at === 0
        ? [
            this.#edge(
              'inbound',
              { namespace: 'unknown', workload: 'unknown', principal: 'unknown' },
              self,
              1,
              workload,
            ),
          ]
        : [];
    return [...outgoing, ...incoming, ...stranger];
  }

  #edge(
    reporter: 'inbound' | 'outbound',
    source: EdgeCount['source'],
    destination: EdgeCount['source'],
    seed: number,
    callee: FakeWorkload,
  ): EdgeCount {
    const pace = seed % 6 === 4 ? 0 : 1 + ((seed * 7919) % 97);
    const requests = 50 + (seed % 400) + this.#tick * pace;
    const failures =
      seed % 13 === 3 ? Math.floor(requests / 9) : seed % 11 === 2 ? Math.floor(requests / 120) : 0;
    const middle = 3 + (seed % 7);
    const durations = bucketBounds.map((_, i) =>
      i === middle
        ? Math.floor(requests * 0.8)
        : i === middle + 1
          ? requests - Math.floor(requests * 0.8)
          : 0,
    );
    return {
      reporter,
      source,
      destination,
      service: `${callee.name}.${callee.namespace}.svc.cluster.local`,
      protocol: seed % 5 === 1 ? 'grpc' : 'http',
      security:
        source.workload === 'unknown'
          ? 'none'
          : reporter === 'outbound'
            ? 'unknown'
            : seed % 19 === 6
              ? 'none'
              : 'mutual_tls',
      requests,
      failures,
      refusals: seed % 10 === 7 ? Math.floor(requests / 20) : 0,
      durations: [...durations, 0],
    };
  }
}

export function partyOf(workload: FakeWorkload): EdgeCount['source'] {
  return {
    namespace: workload.namespace,
    workload: workload.name,
    principal: identityOf(workload),
  };
}

function identityOf({ namespace, name }: FakeWorkload): string {
  return `spiffe://cluster.local/ns/${namespace}/sa/${name}-sa`;
}

/** web calls billing, billing calls payments; and one that nobody calls. */
export const shop: readonly FakeWorkload[] = [
  { namespace: 'web', name: 'web', calls: [1] },
  { namespace: 'billing', name: 'billing', calls: [2] },
  { namespace: 'payments', name: 'payments', calls: [] },
  { namespace: 'tools', name: 'nightly-report', calls: [] },
];

/** Layers of services that call some of the next layers, as shops that have grown do. */
export function manyWorkloads(count: number): FakeWorkload[] {
  const spaces = [
    'front',
    'catalog',
    'checkout',
    'payments',
    'fulfilment',
    'a-namespace-with-quite-a-long-name',
  ];
  const nouns = [
    'gateway',
    'cart',
    'search',
    'pricing-and-promotions',
    'ledger',
    'recommendations-training-orchestrator-experimental',
    'stock',
    'mail',
  ];
  return Array.from({ length: count }, (_, i) => {
    const layer = Math.floor(Math.sqrt(i / count) * 6);
    const calls = [1, 2, 3]
      .map((k) => i + 1 + ((i * 37 + k * 53) % Math.max(1, Math.floor(count / 4))))
      .filter((to, k) => to < count && (i * 7 + k * 3) % 4 !== 0);
    return {
      namespace: spaces[layer] ?? 'front',
      name: `${nouns[(i * 5) % nouns.length]}-${i}`,
      calls: [...new Set(calls)],
    };
  });
}

/** What the callee's sidecar refused. */
export function refusal(id: string, changes: Partial<CallRecord> = {}): CallRecord {
  return {
    at: '2026-11-27T13:59:42.118Z',
    reporter: 'inbound',
    id,
    traceId: '49422c2154bec7546c19338eb172cf6c',
    method: 'POST',
    authority: 'payments.payments:8080',
    path: '/api/v1/charges',
    protocol: 'HTTP/2',
    status: 403,
    flags: '-',
    details: 'rbac_access_denied_matched_policy[none]',
    grpcStatus: '',
    durationMs: 2,
    requestBytes: 20,
    responseBytes: 19,
    source: {
      namespace: 'web',
      workload: 'web',
      principal: 'spiffe://cluster.local/ns/web/sa/web-sa',
    },
    destination: {
      namespace: 'payments',
      workload: 'payments',
      principal: 'spiffe://cluster.local/ns/payments/sa/payments-sa',
    },
    port: 8080,
    service: 'payments.payments.svc.cluster.local',
    mtls: true,
    verdict: 'deny',
    why: 'denied: no rule of the one ALLOW policy that applies matches; nearest is payments/admit-billing rule 0 (policies.yaml:32): from.source.principals is cluster.local/ns/web/sa/web-sa, not cluster.local/ns/billing/sa/billing-sa',
    policy: null,
    rule: null,
    place: null,
    nearest: {
      policy: 'payments/admit-billing',
      rule: 0,
      at: 'policies.yaml:32',
      matched: ['to.operation.methods', 'to.operation.paths'],
      missed: [
        {
          field: 'from.source.principals',
          wanted: ['cluster.local/ns/billing/sa/billing-sa'],
          got: 'cluster.local/ns/web/sa/web-sa',
          at: 'policies.yaml:34',
        },
      ],
    },
    endpoint: '',
    attempts: 0,
    route: '',
    ...changes,
  };
}

function at(ms: number): string {
  return new Date(Date.parse('2026-11-27T13:59:50.000Z') + ms).toISOString();
}

/** web calls billing, which calls payments twice: four sidecars' views and two refusals. */
export function tracedCalls(traceId: string): CallRecord[] {
  const call = (
    from: number,
    to: number,
    startMs: number,
    durationMs: number,
    status: number,
  ): CallRecord[] => {
    const [source, destination] = [shop[from], shop[to]];
    if (source === undefined || destination === undefined) return [];
    const base = {
      traceId,
      method: 'POST',
      path: `/${destination.name}`,
      status,
      id: '',
      verdict: null,
      why: '',
      details: 'via_upstream',
      source: partyOf(source),
      destination: partyOf(destination),
      service: '',
    };
    return [
      refusal('', { ...base, reporter: 'outbound', at: at(startMs), durationMs }),
      refusal('', {
        ...base,
        id: status === 403 ? 'r-1' : '',
        reporter: 'inbound',
        at: at(startMs + 1),
        durationMs: durationMs - 2,
        verdict: status === 403 ? 'deny' : 'allow',
        details: status === 403 ? 'rbac_access_denied_matched_policy[none]' : 'via_upstream',
        why: status === 403 ? 'denied: no rule of the one ALLOW policy that applies matches' : '',
      }),
    ];
  };
  return [...call(0, 1, 0, 84, 200), ...call(1, 2, 8, 31, 201), ...call(1, 2, 44, 12, 403)];
}

function snapshotOf(
  { namespace, name, calls }: FakeWorkload,
  all: readonly FakeWorkload[],
): object {
  const lines = {
    spec: 26,
    'spec.rules': 31,
    'spec.rules[0]': 32,
    'spec.rules[0].from[0].source.principals': 34,
    'spec.rules[0].to[0].operation.paths': 38,
    'metadata.name': 24,
  };
  const origin = { file: 'manifests/examples/shop/policies.yaml', line: 21, lines };
  const policy = (kind: string, metadata: object, spec: object): object => ({
    apiVersion: 'security.istio.io/v1',
    kind,
    metadata: { namespace, labels: {}, annotations: {}, ...metadata },
    spec,
    origin,
  });
  return {
    version: 4,
    mesh: {
      trustDomain: 'cluster.local',
      trustDomainAliases: [],
      rootNamespace: 'istio-system',
      pathNormalization: { normalization: 'DEFAULT' },
      extensionProviders: [],
      accessLogFile: '',
      accessLogEncoding: 'TEXT',
    },
    workload: {
      namespace,
      name,
      labels: { app: name },
      serviceAccount: `${name}-sa`,
      ports: [{ port: 8080, name: 'http', protocol: 'http' }],
    },
    policies: [
      policy(
        'AuthorizationPolicy',
        { name: 'admit-billing' },
        {
          action: 'ALLOW',
          rules: [
            {
              from: [{ source: { principals: ['cluster.local/ns/billing/sa/billing-sa'] } }],
              to: [{ operation: { methods: ['POST'], paths: ['/api/v1/charges'] } }],
            },
          ],
        },
      ),
      policy(
        'AuthorizationPolicy',
        { name: 'no-admin' },
        { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/admin', '/admin/*'] } }] }] },
      ),
      policy('PeerAuthentication', { name: 'strict' }, { mtls: { mode: 'STRICT' } }),
      policy(
        'RequestAuthentication',
        { name: 'customers' },
        { jwtRules: [{ issuer: 'https://shop.example', jwks: '(120 characters left out)' }] },
      ),
    ],
    services: calls.map((to) => ({
      name: all[to]?.name ?? '',
      namespace: all[to]?.namespace ?? '',
      hosts: [`${all[to]?.name}.${all[to]?.namespace}.svc.cluster.local`],
      addresses: [],
      ports: [],
    })),
  };
}
