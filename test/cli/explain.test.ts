// What `selvage explain` prints, and what it answers to the shell.
import { expect, test } from 'vitest';

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
