// What `selvage edges` makes of the counts of both ends.
import { setTimeout as pass } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { edges } from '#cli/edges.ts';
import { clusterSidecars } from '#cli/sidecars/open.ts';
import { FakeCluster, meshed } from '#test/cli/cluster/fake-cluster.ts';
import { edge, nobody, payments, web } from '#test/cli/sidecars/call-records.ts';
import { fakeMesh, type FakeSidecar } from '#test/cli/sidecars/fake-sidecars.ts';

import { testIo } from './output.ts';

async function run(
  args: string[],
  sidecars: readonly FakeSidecar[],
): Promise<{ status: number; out: string; err: string }> {
  const io = testIo();
  const status = await edges(args, io, fakeMesh(...sidecars).open);
  return { status, out: io.out(), err: io.err() };
}

const service = 'payments.money.svc.cluster.local';
const outbound = { reporter: 'outbound', service, security: 'unknown' } as const;

test('both ends make one row: what the caller got, what the callee knows', async () => {
  const durations = [0, 0, 5, 5];
  const { status, out } = await run(
    ['--total'],
    [
      { name: 'money/payments/p-0', answers: { '/edges': [edge({ refusals: 2 })] } },
      {
        name: 'shop/web/web-0',
        answers: {
          '/edges': [
            edge({ ...outbound, requests: 10, failures: 1, durations }),
            edge({ ...outbound, destination: nobody, service: '', requests: 1, durations: [1] }),
          ],
        },
      },
      {
        name: 'shop/odd/odd-0',
        answers: { '/edges': [edge({ source: nobody, security: 'none', protocol: 'tcp' })] },
      },
    ],
  );
  expect(status).toBe(0);
  expect(out).toBe(
    [
      'SOURCE     DESTINATION     SERVICE         KIND  CALLS  SUCCESS  P50     P99     REFUSED  SECURED',
      'anonymous  money/payments  -               tcp   10     100.00%  0.8 ms  1.0 ms  0        plaintext',
      'shop/web   money/payments  payments.money  http  10     70.00%   5.0 ms  9.9 ms  2        mutual TLS, shop/web-sa -> money/payments-sa',
      'shop/web   outside         -               http  1      100.00%  0.3 ms  0.5 ms  0        not known',
      '',
    ].join('\n'),
  );
});

test('without --total it counts what comes in between', async () => {
  let polls = 0;
  const answer = (): unknown => {
    polls += 1;
    return [
      edge(polls === 1 ? { requests: 100, durations: [100] } : { requests: 140, durations: [140] }),
    ];
  };
  const { out } = await run(
    ['--seconds', '1', '--output', 'json'],
    [{ name: 'money/payments/p-0', answers: { '/edges': answer } }],
  );
  const [row] = JSON.parse(out) as {
    requests: number;
    seconds: number;
    requestsPerSecond: number;
  }[];
  expect(row).toMatchObject({ source: 'shop/web', requests: 40, successRate: 1, p50Ms: 0.25 });
  expect(row?.requestsPerSecond).toBeCloseTo(40 / (row?.seconds ?? 1));
});

test('names of others are harmless, and sidecars that do not answer are named', async () => {
  const odd = { ...web, workload: 'web\u001B[2J' };
  const { out, err, status } = await run(
    ['--total'],
    [
      { name: 'money/payments/p-0', answers: { '/edges': [edge({ source: odd })] } },
      { name: 'money/payments/p-1' },
    ],
  );
  expect(status).toBe(0);
  expect(out).toMatch(String.raw`shop/web\x1b[2J`);
  expect(err).toMatch('the sidecar of money/p-1 answers 404');
});

test('a mesh without calls says so, one without sidecars is wrong', async () => {
  const quiet = await run(['--total'], [{ name: 'money/payments/p-0', answers: { '/edges': [] } }]);
  expect(quiet.out).toBe('nobody has called anybody yet\n');
  const none = await run(['-n', 'nowhere'], [{ name: `${payments.namespace}/payments/p-0` }]);
  expect(none.status).toBe(2);
  expect(none.err).toMatch('there is no sidecar in namespace nowhere');
});

test.each([
  [['x'], 'what is "x"?'],
  [['--seconds', '1.5'], '--seconds is a whole number'],
  [['--total', '--seconds', '2'], '--total watches nothing'],
  [['-o', 'wide'], '--output is text or json'],
])('%j is wrong usage', async (args, message) => {
  const { status, err } = await run(args, []);
  expect(status).toBe(2);
  expect(err).toMatch(`selvage edges: ${message}`);
});

describe('in a cluster', () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start();
  });
  afterEach(() => cluster.stop());

  test('of a thousand pods many are asked at once, and one that hangs holds up nobody', async () => {
    for (let i = 0; i < 1000; i++) cluster.pod({ name: `web-${i}`, namespace: 'shop' }, meshed());
    let [running, most, hungForMs] = [0, 0, 0];
    cluster.exec = async ({ pod }, limits) => {
      running += 1;
      most = Math.max(most, running);
      await pass(1);
      running -= 1;
      if (pod === 'web-7') {
        hungForMs = limits?.timeoutMs ?? Infinity;
        throw new Error(`the command did not end within ${hungForMs} ms`);
      }
      return { stdout: JSON.stringify([edge({ requests: 2 })]), stderr: '', status: 0 };
    };
    const io = testIo();
    const open = async () => clusterSidecars(cluster);
    expect(await edges(['--total', '-o', 'json'], io, open)).toBe(0);
    expect(most).toBe(16);
    expect(hungForMs).toBe(15_000);
    expect(JSON.parse(io.out())).toMatchObject([{ requests: 2 * 999 }]);
    const late = 'the sidecar of shop/web-7 does not answer: the command did not end within';
    expect(io.err()).toContain(late);
  }, 30_000);

  test('who has not answered once is not waited for again; rates go by the time of each', async () => {
    const names = ['web-0', 'web-1'];
    for (const name of names) cluster.pod({ name, namespace: 'shop' }, meshed());
    const asked: string[] = [];
    cluster.exec = async ({ pod }) => {
      asked.push(pod);
      // As slow as a queue of many others before it.
      await pass(1000);
      if (pod === 'web-1') throw new Error('it hangs');
      const requests = asked.length > 2 ? 40 : 0;
      return { stdout: JSON.stringify([edge({ requests })]), stderr: '', status: 0 };
    };
    const io = testIo();
    await edges(['--seconds', '1', '-o', 'json'], io, async () => clusterSidecars(cluster));
    expect(asked.toSorted()).toEqual(['web-0', 'web-0', 'web-1']);
    const [row] = JSON.parse(io.out()) as { seconds: number }[];
    // From one answer to the next.
    expect(row?.seconds).toBeGreaterThan(1.9);
    expect(row?.seconds).toBeLessThan(2.8);
  });
});
