// What `selvage why` prints of a refusal or a failure, and what it answers to the shell.
import { expect, test } from 'vitest';

import { why } from '#cli/why.ts';
import { answered, denial, failure, nobody } from '#test/cli/sidecars/call-records.ts';
import { fakeMesh, type FakeSidecar } from '#test/cli/sidecars/fake-sidecars.ts';

import { testIo } from './output.ts';

interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

async function run(
  args: string[],
  sidecars: readonly FakeSidecar[],
  more: { readonly tty?: boolean; readonly columns?: number } = {},
): Promise<Ran> {
  const io = { ...testIo(), ...more };
  const mesh = fakeMesh(...sidecars);
  const status = await why(args, io, mesh.open);
  expect(mesh.closed()).toBe(true);
  return { status, out: io.out(), err: io.err() };
}

const path = '/why?id=k3f92x7q5m';

test('a denial is told with its rule, what was near, and what to do', async () => {
  const { status, out, err } = await run(
    ['k3f92x7q5m'],
    [
      { name: 'shop/web/web-0' },
      { name: 'money/payments/payments-0', answers: { [path]: denial() } },
    ],
  );
  expect([status, err]).toEqual([0, 'asking the mesh of a test\n']);
  expect(out.replace(/\(\d+\w ago\)/, '(3m ago)')).toBe(
    [
      '✗ DENIED 403  POST /charges from shop/web to money/payments:8080',
      '  denied: no rule of the one ALLOW policy that applies matches',
      '  nearest: money/admit rule 0 (shop.yaml:32)',
      '    ✓ to.operation.methods',
      '    ✗ from.source.principals (shop.yaml:34)',
      '        wanted  cluster.local/ns/shop/sa/billing-sa',
      '        got     cluster.local/ns/shop/sa/web-sa',
      '  id       k3f92x7q5m',
      '  when     2026-11-27T14:24:40.935Z (3m ago), after 0.8 ms',
      '  caller   spiffe://cluster.local/ns/shop/sa/web-sa',
      '  callee   spiffe://cluster.local/ns/money/sa/payments-sa',
      '  security mutual TLS',
      '  host     payments.money:8080',
      '  protocol HTTP/2',
      '  details  rbac_access_denied_matched_policy[none]',
      '  trace    06ad36f9d3d2952f55372af1ce825342',
      '  told by  the sidecar of money/payments-0 (inbound)',
      '  next: if the call is right, add what is missing to an ALLOW policy; selvage explain tries that before it is applied',
      '',
    ].join('\n'),
  );
});

test('a failure is told with its endpoint and attempts, and who else heard of it', async () => {
  const passedOn = denial({ status: 503, details: 'via_upstream', reporter: 'outbound' });
  const { out } = await run(
    ['K3F92X7Q5M'],
    [
      { name: 'shop/web/web-0', answers: { [path]: passedOn } },
      { name: 'money/payments/payments-0', answers: { [path]: failure({ id: 'k3f92x7q5m' }) } },
    ],
  );
  expect(out).toMatch(/^✗ FAILED 503 {2}POST \/charges from shop\/web to money\/payments:8080\n/);
  expect(out).toMatch('  flags    UF\n');
  expect(out).toMatch('  endpoint 10.1.0.7:8080, 3 attempts\n');
  expect(out).toMatch('  also: the sidecar of shop/web-0 (outbound) saw 503 via_upstream\n');
  expect(out).toMatch('  next: nothing accepts connections at that endpoint');
});

test('an id that nobody knows ends with 1, and says where else it may be', async () => {
  const { status, out, err } = await run(['k3f92x7q5m'], [{ name: 'shop/web/web-0' }]);
  expect([status, out]).toEqual([1, '']);
  expect(err).toMatch('none of 1 sidecars knows k3f92x7q5m: each keeps its last 256');
  expect(err).toMatch('the access log of the sidecar has the id for longer');
});

test('who did not answer may know it', async () => {
  const away = { [path]: new Error('the sidecar of shop/web-0 does not answer: ECONNREFUSED') };
  const one = await run(
    ['k3f92x7q5m'],
    [{ name: 'shop/web/web-0', answers: away }, { name: 'shop/web/web-1' }],
  );
  expect(one.status).toBe(1);
  expect(one.err).toMatch('ECONNREFUSED\nnone of 2 sidecars knows k3f92x7q5m, and 1 did not say');
  const all = await run(['k3f92x7q5m'], [{ name: 'shop/web/web-0', answers: away }]);
  expect(all.status).toBe(2);
  expect(all.err).toMatch('selvage why: no sidecar could be asked');
});

test('what a client sent does not reach the terminal as it is, and JSON stays what it was', async () => {
  const odd = '/\u001B[2J\u009B1m\u202Egnp.exe\n';
  const sidecars = [
    { name: 'shop/web/web-0', answers: { [path]: denial({ path: odd, authority: odd }) } },
  ];
  const { out } = await run(['k3f92x7q5m'], sidecars);
  expect(out).toMatch(String.raw`POST /\x1b[2J\x9b1m\u{202e}gnp.exe\x0a from`);
  expect(out.replaceAll('\n', '')).not.toMatch(/[\p{C}]/u);
  const json = await run(['k3f92x7q5m', '--output', 'json'], sidecars);
  expect(json.out.replaceAll('\n', '')).not.toMatch(/[\p{C}]/u);
  expect(JSON.parse(json.out)).toMatchObject([{ pod: 'shop/web-0', path: odd }]);
});

test('without an id the newest of all sidecars are listed', async () => {
  const recent = '/recent?limit=3';
  const connection = denial({
    at: ago(5),
    id: 'c000000001',
    method: '',
    path: '',
    status: 0,
    flags: 'NR',
    details: 'connection_refused',
    source: nobody,
    why: 'plaintext to port 8080, where PeerAuthentication money/strict wants mutual TLS (STRICT)',
    place: 'shop.yaml:9',
    nearest: undefined,
  });
  const sidecars = [
    {
      name: 'shop/web/web-0',
      answers: { [recent]: [failure({ at: ago(3) }), failure({ at: ago(6) })] },
    },
    {
      name: 'money/payments/payments-0',
      answers: { [recent]: [denial({ at: ago(4) }), connection] },
    },
  ];
  const { status, out } = await run(['--limit', '3'], sidecars);
  expect(status).toBe(0);
  const nearest = 'no ALLOW rule matches; nearest is money/admit rule 0 (shop.yaml:32)';
  const strict = 'plaintext to port 8080, where PeerAuthentication money/strict wants mutual TLS';
  const reset = 'upstream-connect: upstream_reset_before_response_started{connection_failure}';
  expect(out.split('\n')).toEqual([
    'AGO  ID          CALLER     CALLED          REQUEST        STATUS  WHY',
    `3m   q000000001  shop/web   money/payments  POST /charges  503     ${reset}`,
    `4m   k3f92x7q5m  shop/web   money/payments  POST /charges  403     ${nearest}`,
    `5m   c000000001  anonymous  money/payments  TCP            closed  ${strict} (STRICT) (shop.yaml:9)`,
    '',
  ]);
  const narrow = await run(['--limit', '3'], sidecars, { columns: 80 });
  expect(narrow.out).toMatch(/POST \/charges {2}503\n {4}upstream-connect: /);
  expect(Math.max(...narrow.out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
});

test('a mesh without refusals says so', async () => {
  const sidecars = [{ name: 'shop/web/web-0', answers: { '/recent?limit=20': [] } }];
  expect((await run([], sidecars)).out).toBe('no refusals and no failures\n');
});

test.each([
  [['a b'], 'an id is the value of x-selvage-id'],
  [['k3f92x7q5m', 'more'], 'what is "more"? give one id'],
  [['--limit', '0'], '--limit is a number from 1 to 256'],
  [['--limit', '257'], '--limit is a number from 1 to 256'],
  [['--output', 'xml'], '--output is text or json'],
  [['--idd'], 'there is no option --idd'],
])('%j is wrong usage', async (args, message) => {
  const io = testIo();
  expect(await why(args, io, fakeMesh().open)).toBe(2);
  expect(io.err()).toMatch(`selvage why: ${message}`);
});

test('colours are for terminals', async () => {
  const sidecars = [{ name: 'shop/web/web-0', answers: { [path]: denial() } }];
  const { out } = await run(['k3f92x7q5m'], sidecars, { tty: true });
  expect(out).toMatch('\u001B[31m✗ DENIED 403\u001B[0m');
});

test('what went well and is asked for all the same is told as that', async () => {
  const sidecars = [{ name: 'shop/web/web-0', answers: { [path]: answered() } }];
  expect((await run(['k3f92x7q5m'], sidecars)).out).toMatch(/^✓ ANSWERED 200/);
});

function ago(minutes: number): string {
  return new Date(Date.now() - minutes * 60_000 - 1000).toISOString();
}
