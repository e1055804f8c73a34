// What `selvage explain` prints, and what it answers to the shell.
import { expect, test } from 'vitest';

import { loadText } from '#api/load.ts';
import { explainCall } from '#cli/calls/explain-call.ts';
import { modelOf } from '#cli/calls/model.ts';
import { explain } from '#cli/explain.ts';

import { testIo } from './output.ts';

async function run(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const io = testIo();
  const status = await explain([...args, 'shop'], io);
  return { status, out: io.out(), err: io.err() };
}

const call = ['--from', 'shop/web', '--to', 'billing/payments'];

test('an allowed call names the rule, its line and the mTLS mode', async () => {
  const { status, out } = await run(...call, '--method', 'POST', '--path', '/v1/charges');
  expect(status).toBe(0);
  expect(out).toBe(
    [
      '✓ ALLOWED  POST /v1/charges from shop/web to billing/payments:8080',
      '  allowed by billing/admit rule 0 (shop/policies.yaml:19)',
      '  mutual TLS: STRICT by billing/default (shop/policies.yaml:4)',
      '',
    ].join('\n'),
  );
});

test('a denial by default names the nearest rule, what matched and what did not', async () => {
  const { status, out } = await run(...call, '--method', 'POST', '--path', '/v2/charges');
  expect(status).toBe(1);
  expect(out).toMatch('✗ DENIED 403  POST /v2/charges from shop/web to billing/payments:8080');
  expect(out).toMatch('nearest: billing/admit rule 0 (shop/policies.yaml:19)');
  expect(out).toMatch('✓ from.source.principals');
  expect(out).toMatch(
    /✗ to\.operation\.paths \(shop\/policies\.yaml:\d+\)\n +wanted {2}\/v1\/charges/,
  );
  expect(out).toMatch('got     /v2/charges');
});

test('a DENY rule is named', async () => {
  const { status, out } = await run(...call, '--method', 'TRACE');
  expect(status).toBe(1);
  expect(out).toMatch('denied by billing/no-traces rule 0 (shop/policies.yaml:');
});

test('plaintext is refused where PeerAuthentication is STRICT, and it says by which', async () => {
  const { status, out } = await run('--from', 'none', '--to', 'billing/payments');
  expect(status).toBe(1);
  expect(out).toMatch('✗ CLOSED  GET / from none');
  expect(out).toMatch('PeerAuthentication billing/default wants mutual TLS (STRICT)');
});

test('JSON output has the verdict, the policy, the rule and its place', async () => {
  const { status, out } = await run(...call, '--method', 'TRACE', '--output', 'json');
  expect(status).toBe(1);
  expect(JSON.parse(out)).toMatchObject({
    decision: 'deny',
    status: 403,
    policy: 'billing/no-traces',
    rule: 0,
    details: 'rbac_access_denied_matched_policy[ns[billing]-policy[no-traces]-rule[0]]',
  });
});

test('claims count as signed; a token that no key signed does not', async () => {
  const claims = JSON.stringify({ iss: 'https://login.shop', sub: 'alice' });
  expect((await run(...call, '--path', '/me', '--token', claims)).status).toBe(0);
  const forged = await run(...call, '--path', '/me', '--token', 'a.b.c');
  expect(forged.status).toBe(1);
  expect(forged.out).toMatch('UNAUTHENTICATED 401');
});

test('headers, host, address and port reach the rules', async () => {
  const args = ['--header', 'x-a=1', '--header', 'x-a: 2', '--host', 'h', '--ip', '192.0.2.1'];
  const { out } = await run(...call, ...args, '--port', '9999', '--output', 'json');
  expect(JSON.parse(out)).toMatchObject({
    call: {
      host: 'h',
      headers: [
        ['x-a', '1'],
        ['x-a', '2'],
      ],
      source: { ip: '192.0.2.1' },
      destination: { port: 9999 },
    },
  });
});

test('TCP goes to the port that carries it, with the name that a client would use', async () => {
  const { status, out } = await run(...call, '--tcp', '--output', 'json');
  expect(status).toBe(0);
  expect(JSON.parse(out)).toMatchObject({
    protocol: 'tcp',
    call: {
      destination: { port: 5432 },
      sni: 'outbound_.5432_._.pay.billing.svc.cluster.local',
    },
  });
});

test.each([
  [['--to', 'billing/payments'], 'say who calls'],
  [['--from', 'shop/web'], 'say who is called'],
  [['--from', 'shop/wbe', '--to', 'billing/payments'], 'no service account shop/wbe'],
  [['--from', 'shop/wbe', '--to', 'billing/payments'], 'shop/web'],
  [['--from', 'shop/web', '--to', 'billing/nobody'], 'workloads are billing/payments, shop/web'],
  [['--from', 'shop/web', '--to', 'billing/pay'], 'name a workload behind it: billing/payments'],
  [[...call, '--port', '0'], '--port is a number'],
  [[...call, '--ip', 'x'], '"x" is no IP address'],
  [[...call, '--header', 'x'], '--header is NAME=VALUE'],
  [[...call, '--token', '{'], 'no JSON'],
  [[...call, '--output', 'xml'], '"xml"'],
  [[...call, '--frobnicate'], 'frobnicate'],
])('%j is answered with status 2 and "%s"', async (args, message) => {
  const { status, err, out } = await run(...args);
  expect([status, out]).toEqual([2, '']);
  expect(err).toMatch(message);
});

test('a path that is not there is named', async () => {
  const io = testIo();
  expect(await explain([...call, 'nowhere'], io)).toBe(2);
  expect(io.err()).toMatch('nowhere: there is no such file or folder');
});

test('a workload without a sidecar is said to have none', async () => {
  const { out } = await run(...call, '--output', 'json');
  expect(JSON.parse(out)).toMatchObject({ sidecar: true });
  const bare = await run('--from', 'shop/web', '--to', 'shop/web', '--port', '80');
  expect(bare.status).toBe(0);
  expect(bare.out).toMatch('note: no sidecar is injected into shop/web');
});

test('the limits that an allowed call meets are named with what they allow', async () => {
  const io = testIo();
  const from = ['--from', 'limits/caller', '--to', 'limits/api'];
  const examples = 'manifests/examples/rate-limits';
  expect(await explain([...from, '--path', '/aws/x', examples], { ...io, cwd: '.' })).toBe(0);
  expect(io.out()).toMatch(
    /limit "quota" of limits\/aws \(.*aws\.yaml:\d+\): 100000 a month, for each API key of x-api-key, counted in Redis, by all pods\n/,
  );
  expect(io.out()).toContain('limit "throttle" of limits/aws');
  expect(io.out()).not.toContain('kong');
});

test('each algorithm is said in words, and a limit that is not enforced is marked', async () => {
  const from = ['--from', 'limits/caller', '--to', 'limits/api', '--output', 'json'];
  const said: string[] = [];
  for (const path of [
    '/token-bucket/1',
    '/leaky-bucket/1',
    '/fixed-window/1',
    '/azure/1',
    '/nginx/conn/1',
  ]) {
    const io = testIo();
    await explain([...from, '--path', path, 'manifests/examples/rate-limits'], { ...io, cwd: '.' });
    const { limits } = JSON.parse(io.out()) as { limits: { allows: string; enforced: boolean }[] };
    said.push(...limits.map(({ allows, enforced }) => `${enforced ? '' : 'dry: '}${allows}`));
  }
  expect(said).toEqual([
    '10 in each 1s, at most 20 at once, for each identity, counted by each pod',
    'an even 20 in each 1s, 5 of them ahead and waiting, for all calls together, counted by each pod',
    'dry: 3 in each 1h, for all calls together, counted by each pod',
    '200 in any 60s (counter), for each claim sub, counted by each pod',
    '2 under way, for each peer address, counted by each pod',
  ]);
});

interface Told {
  readonly extensions: { readonly resource: string; readonly at: string; readonly does: string }[];
  readonly way: { readonly exchanges: { readonly resource: string; readonly at: string }[] } | null;
}

/** Of an example folder of `manifests/examples`, whose namespace has its name. */
async function told(folder: string, caller: string, ...more: string[]): Promise<Told> {
  const io = testIo();
  const call = ['--from', `${folder}/${caller}`, '--to', `${folder}/api`, '--output', 'json'];
  await explain([...call, ...more, `manifests/examples/${folder}`], { ...io, cwd: '.' });
  return JSON.parse(io.out()) as Told;
}

const does = (one: Told): string[] =>
  one.extensions.map(({ resource, does: what }) => `${resource}: ${what}`);

test('transformations, caches and filters that an allowed call meets are named with what they do', async () => {
  const edited = await told('transformations', 'caller', '--path', '/json/x');
  expect(does(edited)).toEqual([
    'Transformation transformations/json: edits json of the request and json of the response',
  ]);
  expect(edited.extensions[0]?.at).toMatch(/^manifests\/examples\/transformations\/json.yaml:\d+$/);
  expect(does(await told('transformations', 'caller', '--path', '/other'))).toEqual([]);
  const cached = ['caching', 'caller', '--path', '/catalogue/x'] as const;
  expect(does(await told(...cached))).toEqual([
    'ResponseCache caching/proxy-cache: may answer from its cache; what says no time stays fresh for 1m',
  ]);
  expect(does(await told(...cached, '--method', 'POST'))).toEqual([
    'ResponseCache caching/proxy-cache: keeps no answer to POST',
  ]);
  expect(does(await told('caching', 'caller', '--path', '/mine/x'))).toEqual([
    'ResponseCache caching/per-caller: may answer from its cache, for each caller apart; what says no time stays fresh for 30s',
  ]);
  expect(does(await told('filters', 'caller', '--path', '/tenants/x'))).toEqual([
    'Filter filters/tenants: runs tenants.ts on the request and the answer',
  ]);
});

test('API keys and exchanges of tokens that a call meets are named; a refused call meets nothing more', async () => {
  const key = ['--header', 'x-api-key=acme-key-e5b1c6f0'];
  const keyed = await told('edge', 'web', '--path', '/v1/x', ...key);
  expect(does(keyed)).toEqual(['ApiKeyAuthentication edge/partners: wants an API key']);
  expect(keyed.way?.exchanges).toEqual([
    {
      resource: 'TokenExchange edge/web-to-api',
      at: expect.stringMatching(/token-exchange\.yaml:\d+$/) as string,
    },
  ]);
  const without = await told('edge', 'web', '--path', '/v1/x');
  expect(without).toMatchObject({ status: 401, extensions: [] });
  const elsewhere = await told('edge', 'web', '--path', '/v1/health', '--host', 'else.example');
  expect(does(elsewhere)).toEqual([]);
  expect(elsewhere.way?.exchanges).toEqual([]);
  const io = testIo();
  const call = ['--from', 'edge/web', '--to', 'edge/api', '--path', '/v1/x', ...key];
  await explain([...call, 'manifests/examples/edge'], { ...io, cwd: '.' });
  expect(io.out()).toMatch(/\n {4}gets another token: TokenExchange edge\/web-to-api \(.*:\d+\)\n/);
  expect(io.out()).toMatch(
    /\n {2}ApiKeyAuthentication edge\/partners \(.*:\d+\): wants an API key\n/,
  );
});

test('a call to a host outside of the mesh is told of its new token, and bytes are given none', async () => {
  const yaml = `
apiVersion: v1
kind: Pod
metadata: { name: web, namespace: s, annotations: { inject: "true" } }
spec: { containers: [{ name: web }] }
---
apiVersion: selvage.dev/v1alpha1
kind: TokenExchange
metadata: { name: out, namespace: s }
spec: { hosts: ["*.partner.example"], tokenEndpoint: "https://id.example/token" }
`;
  const model = modelOf(loadText(yaml, 's.yaml').resources, []);
  const exchanges = async (host: string, tcp = false): Promise<unknown> => {
    const { way } = await explainCall(model, {
      from: 's/default',
      to: 's/web',
      port: 80,
      host,
      tcp,
    });
    return way?.exchanges;
  };
  expect(await exchanges('api.partner.example:443')).toEqual([
    { resource: 'TokenExchange s/out', at: 's.yaml:10' },
  ]);
  expect(await exchanges('partner.example')).toEqual([]);
  expect(await exchanges('api.partner.example', true)).toEqual([]);
});
