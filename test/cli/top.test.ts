// What `selvage top` counts and prints.
import { expect, test } from 'vitest';

import { top } from '#cli/top.ts';
import { answered, denial, failure } from '#test/cli/sidecars/call-records.ts';
import { fakeMesh, type FakeSidecar } from '#test/cli/sidecars/fake-sidecars.ts';

import { testIo } from './output.ts';

async function run(
  args: string[],
  sidecars: readonly FakeSidecar[],
): Promise<{ status: number; out: string; err: string }> {
  const io = testIo();
  const never = new AbortController().signal;
  const status = await top(args, io, fakeMesh(...sidecars).open, () => never);
  return { status, out: io.out(), err: io.err() };
}

const calls = [
  answered({ path: '/users/1', durationMs: 2 }),
  answered({ path: '/users/22?x=1', durationMs: 1 }),
  answered({ path: '/users/333', durationMs: 30, status: 500 }),
  denial({ path: '/users/4', durationMs: 0.4 }),
];

test('calls are counted by route, ids left out; it ends when the sidecars do', async () => {
  const { status, out } = await run(
    ['--once'],
    [
      { name: 'money/payments/p-0', lines: calls },
      // The caller's own view of the same call, and one that never arrived.
      { name: 'shop/web/web-0', lines: [{ ...calls[0], reporter: 'outbound' }, failure()] },
    ],
  );
  expect(status).toBe(0);
  expect(out).toBe(
    [
      'SOURCE    DESTINATION     METHOD  PATH      COUNT  BEST    WORST   LAST    SUCCESS  REFUSED',
      'shop/web  money/payments  POST    /users/*  4      0.4 ms  30 ms   0.4 ms  50.00%   1',
      'shop/web  money/payments  POST    /charges  1      0.8 ms  0.8 ms  0.8 ms  0.00%    0',
      '',
    ].join('\n'),
  );
});

test('of one workload alone, what it calls elsewhere is counted too', async () => {
  const outbound = answered({ reporter: 'outbound' });
  const sidecars = [
    { name: 'shop/web/web-0', lines: [outbound] },
    { name: 'money/payments/p-0', lines: [answered()] },
  ];
  const { out } = await run(['shop/web', '--once', '--output', 'json'], sidecars);
  expect(JSON.parse(out)).toMatchObject([{ source: 'shop/web', path: '/charges', requests: 1 }]);
});

test('control characters of paths are none on the terminal', async () => {
  const lines = [answered({ path: '/\u001B[31m\u202E' })];
  const { out } = await run(['--once'], [{ name: 'money/payments/p-0', lines }]);
  expect(out.replaceAll('\n', '')).not.toMatch(/\p{C}/u);
});

test('nothing was called, nobody could be asked', async () => {
  const quiet = await run(['--once'], [{ name: 'money/payments/p-0', lines: [] }]);
  expect([quiet.status, quiet.out]).toEqual([0, 'no calls so far\n']);
  const away = await run(['money', '--once'], [{ name: 'money/payments/p-0' }]);
  expect(away.status).toBe(2);
  expect(away.err).toMatch('selvage top: no sidecar could be followed');
});

test.each([
  [['a', 'b'], 'say whose calls'],
  [['nowhere'], 'there is no sidecar in namespace nowhere'],
  [['--seconds', '0'], '--seconds is a whole number'],
  [['--output', 'x'], '--output is text or json'],
])('%j is wrong usage', async (args, message) => {
  const { status, err } = await run(args, [{ name: 'money/payments/p-0', lines: [] }]);
  expect(status).toBe(2);
  expect(err).toMatch(`selvage top: ${message}`);
});
