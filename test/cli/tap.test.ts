// What `selvage tap` prints of the calls of a workload.
import { expect, test } from 'vitest';

import { tap } from '#cli/tap.ts';
import { answered, denial, failure } from '#test/cli/sidecars/call-records.ts';
import { fakeMesh, type FakeSidecar } from '#test/cli/sidecars/fake-sidecars.ts';

import { testIo } from './output.ts';

interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
  readonly asked: readonly string[];
}

async function run(
  args: string[],
  sidecars: readonly FakeSidecar[],
  more: { readonly tty?: boolean; readonly columns?: number; readonly stop?: AbortSignal } = {},
): Promise<Ran> {
  const { stop = new AbortController().signal, ...shown } = more;
  const io = { ...testIo(), ...shown };
  const mesh = fakeMesh(...sidecars);
  const status = await tap(args, io, mesh.open, () => stop);
  return { status, out: io.out(), err: io.err(), asked: mesh.asked };
}

test('the calls of all pods come in one stream, lined up', async () => {
  const { status, out } = await run(
    ['money/payments', '--limit', '3'],
    [
      { name: 'money/payments/payments-0', lines: [answered(), denial()], endless: true },
      { name: 'money/payments/payments-1', lines: [failure()], endless: true },
      { name: 'money/ledger/ledger-0', lines: [answered()], endless: true },
    ],
  );
  expect(status).toBe(0);
  const reset = 'upstream-connect: upstream_reset_before_response_started{connection_failure}';
  expect(out).toBe(
    [
      '14:24:40.935  in   shop/web -> money/payments  POST /charges  200  0.8 ms',
      '14:24:40.935  in   shop/web -> money/payments  POST /charges  403  0.8 ms  no ALLOW rule matches; nearest is money/admit rule 0 (shop.yaml:32)',
      `14:24:40.935  out  shop/web -> money/payments  POST /charges  503  0.8 ms  ${reset}`,
      '',
    ].join('\n'),
  );
});

test('what is asked for is what the sidecars are asked', async () => {
  const filters = ['--direction', 'inbound', '--method', 'post', '--path', '/api/*'];
  const more = ['--status', '4xx', '--identity', 'spiffe://*/ns/shop/*', '--limit', '1'];
  const { asked } = await run(
    ['money/payments', ...filters, ...more],
    [{ name: 'money/payments/payments-0', lines: [answered()] }],
  );
  const query = new URLSearchParams((asked[0] ?? '').split('?')[1]);
  expect(Object.fromEntries(query)).toEqual({
    direction: 'inbound',
    method: 'POST',
    path: '/api/*',
    status: '4xx',
    identity: 'spiffe://*/ns/shop/*',
    limit: '1',
  });
});

test('it ends when it is interrupted', async () => {
  const stop = new AbortController();
  const running = run(
    ['money/payments'],
    [{ name: 'money/payments/payments-0', lines: [answered()], endless: true }],
    { stop: stop.signal },
  );
  stop.abort();
  expect((await running).status).toBe(0);
});

test('it ends with 1 when the sidecars have ended, and with 2 when none could be followed', async () => {
  const ended = await run(['money/payments'], [{ name: 'money/payments/p-0', lines: [] }]);
  expect([ended.status, ended.err]).toEqual([
    1,
    'asking the mesh of a test\nthe sidecars have ended\n',
  ]);
  const away = await run(['money/payments'], [{ name: 'money/payments/p-0' }]);
  expect(away.status).toBe(2);
  expect(away.err).toMatch('the sidecar of money/p-0 is away\n');
  expect(away.err).toMatch('no sidecar of money/payments could be followed');
});

test('what was too much is told of', async () => {
  const lines = [{ dropped: 7 }, answered()];
  const { err } = await run(
    ['money/payments', '--limit', '1'],
    [{ name: 'money/payments/p-0', lines }],
  );
  expect(err).toMatch('7 calls of money/p-0 are left out: too many at once\n');
});

test('JSON is a line for each call, with the pod that tells of it', async () => {
  const { out } = await run(
    ['money/payments', '--output', 'json', '--limit', '1'],
    [{ name: 'money/payments/p-0', lines: [denial({ path: '/\u001B\u2028' })] }],
  );
  expect(out.trim().split('\n')).toHaveLength(1);
  expect(out.trim()).not.toMatch(/[\p{C}\p{Zl}]/u);
  expect(JSON.parse(out)).toMatchObject({ pod: 'money/p-0', path: '/\u001B\u2028', status: 403 });
});

test('what a client sent does not reach the terminal; a long path moves nothing out of sight', async () => {
  const path = `/\u001B]0;owned\u0007${'a'.repeat(300)}`;
  const { out } = await run(
    ['money/payments', '--limit', '2'],
    [{ name: 'money/payments/p-0', lines: [denial({ path }), answered()] }],
    { columns: 100 },
  );
  expect(out.replaceAll('\n', '')).not.toMatch(/\p{C}/u);
  expect(out).toMatch(String.raw`POST /\x1b]0;owned\x07aaa`);
  const [first = '', below = '', second = ''] = out.split('\n');
  expect(below).toBe('    no ALLOW rule matches; nearest is money/admit rule 0 (shop.yaml:32)');
  expect(second.indexOf('200')).toBe(first.indexOf('403'));
});

test.each([
  [[], 'say whose calls: selvage tap NAMESPACE/WORKLOAD'],
  [['money'], 'a workload is NAMESPACE/WORKLOAD, not "money"'],
  [['money/nobody'], 'no pod of money/nobody has a sidecar; workloads are money/payments'],
  [['money/payments', '--direction', 'up'], '--direction is inbound or outbound'],
  [['money/payments', '--limit', 'x'], '--limit is a whole number from 1'],
  [['money/payments', '-o', 'yaml'], '--output is text or json'],
])('%j is wrong usage', async (args, message) => {
  const { status, err } = await run(args, [{ name: 'money/payments/p-0', lines: [] }]);
  expect(status).toBe(2);
  expect(err).toMatch(`selvage tap: ${message}`);
});
