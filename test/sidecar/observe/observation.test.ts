// What telemetry remembers of calls: nothing of those that went well, one explanation of those that were refused.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import type { CallRecord, EdgeCount } from '#api/call-record.ts';
import { requestOf } from '#cli/calls/record-words.ts';
import { explain } from '#policy/explain.ts';
import { failures } from '#sidecar/failures.ts';
import { InForce } from '#sidecar/in-force.ts';
import { mergeEdges } from '#sidecar/observe/edges.ts';
import { answerer } from '#sidecar/observe/questions.ts';
import { explanationsPerSecond } from '#sidecar/telemetry/log-reason.ts';
import { createTelemetry, type RunningTelemetry } from '#sidecar/telemetry/telemetry.ts';
import type { ReasonSource } from '#sidecar/telemetry/types.ts';
import { authorization, snapshotOf } from '#test/sidecar/rig.ts';
import {
  cashier,
  endpoint,
  makeDownstream,
  makeExchange,
  makeSession,
  workload,
} from '../telemetry/exchanges.ts';

let folder = '';

beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'selvage-observe-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const keyed = '[{ when: [{ key: "request.headers[x-api-key]", values: [hunter2] }] }]';

/** With the policies of one snapshot in force. */
function rig(policies = authorization('admit', 'ALLOW', keyed)) {
  const inForce = new InForce();
  inForce.apply(snapshotOf({ policies }));
  const enforced = inForce.current()!;
  const { http } = enforced.policies;
  const source: ReasonSource & { explained: number } = {
    explained: 0,
    describe: (verdict) => `described: ${verdict.details}`,
    explain(x) {
      this.explained += 1;
      return explain(http, x.downstream.facts, x.request);
    },
    explainTcp: () => null,
  };
  const telemetry = createTelemetry({
    workload,
    identity: () => 'spiffe://cluster.local/ns/billing/sa/payments',
    accessLog: join(folder, 'log'),
    accessLogFormat: 'json',
    reasons: source,
    otlpEndpoint: '',
    traceSampling: 0,
    warn: () => undefined,
  });
  const denied = (headers: [string, string][] = []) => {
    const x = makeExchange({ status: 403, headers });
    x.enforced = enforced;
    x.verdict = explain(http, x.downstream.facts, x.request).verdict;
    x.failure = failures.denied;
    return x;
  };
  return { telemetry, source, denied, ask: answerer(telemetry.observation, () => null) };
}

async function logLines(telemetry: RunningTelemetry): Promise<Record<string, unknown>[]> {
  await telemetry.close(2000);
  const text = readFileSync(join(folder, 'log'), 'utf8').trimEnd();
  return text.split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('of a call that goes well, and that nobody taps, nothing is made', () => {
  const { telemetry } = rig();
  const looked = vi.spyOn(telemetry.observation, 'exchange');
  const named = vi.spyOn(telemetry.observation, 'name');
  const x = makeExchange();
  telemetry.end(x);
  expect([looked.mock.calls.length, named.mock.calls.length, x.id]).toEqual([0, 0, '']);
  expect(telemetry.observation.recent.list(10, null)).toEqual([]);
});

test('a refusal is explained once for log, ring and taps; beyond the budget all say the same short reason', async () => {
  const { telemetry, source, denied, ask } = rig();
  const filter = { direction: null, method: null, path: null, status: null, identity: null };
  const tap = { about: 'tap', tap: 1, filter: { ...filter, facts: false } } as const;
  await ask(tap);
  const many = 3 * explanationsPerSecond;
  for (let i = 0; i < many; i++) telemetry.end(denied());
  expect(source.explained).toBeLessThanOrEqual(2 * explanationsPerSecond);
  const tapped = (await ask(tap))!.lines.map((line) => JSON.parse(line) as CallRecord);
  const kept = (await ask({ about: 'recent', limit: 1000, verdict: 'deny' }))!;
  const recent = kept.map(({ json }) => JSON.parse(json) as CallRecord).toReversed();
  const lines = await logLines(telemetry);
  expect([tapped.length, recent.length, lines.length]).toEqual([many, many, many]);
  expect(recent.map(({ id, why }) => [id, why])).toEqual(tapped.map(({ id, why }) => [id, why]));
  expect(recent.map(({ id, why }) => [id, why])).toEqual(
    lines.map((line) => [line['id'], line['why']]),
  );
  expect(recent[0]?.why).toContain('nearest is shop/admit');
  expect(recent.at(-1)?.why).toContain('described: ');
});

test('a condition on a key does not show the key, neither in the log nor at /why', async () => {
  const { telemetry, denied, ask } = rig();
  const x = denied([['x-api-key', 'wrong-key']]);
  telemetry.end(x);
  const json = (await ask({ about: 'why', id: x.id })) ?? '';
  const [line] = await logLines(telemetry);
  for (const text of [json, JSON.stringify(line)]) {
    expect(text).toContain('when[request.headers[x-api-key]]');
    expect(text).toContain('(redacted)');
    expect(text).not.toMatch(/wrong-key|hunter2/);
  }
});

test('a client that leaves is no failure of ours; what else ends without an answer has an id', async () => {
  const { telemetry, ask } = rig();
  const left = makeExchange({ status: 0 });
  left.failure = failures['downstream-gone'];
  telemetry.end(left);
  expect([left.id, (await ask({ about: 'recent', limit: 9, verdict: null }))?.length]).toEqual([
    '',
    0,
  ]);
  const cut = makeExchange({ status: 200 });
  cut.failure = failures.draining;
  telemetry.end(cut);
  expect(await ask({ about: 'why', id: cut.id })).toContain('"flags":"-"');
});

test('a call that is refused before its head is admitted is told with its path, not with its host once more', async () => {
  const { telemetry, ask } = rig();
  const x = makeExchange({ status: 503, path: 'http://payments.billing:8080/api/v1/charges?id=1' });
  x.failure = failures.draining;
  telemetry.end(x);
  const record = JSON.parse((await ask({ about: 'why', id: x.id })) ?? '') as CallRecord;
  expect(requestOf(record)).toBe('GET /api/v1/charges?id=…');
  expect(await logLines(telemetry)).toMatchObject([{ path: '/api/v1/charges?id=1' }]);
});

test('let through and failed behind that: both are the reason', async () => {
  const { telemetry, ask } = rig(authorization('admit', 'ALLOW', '[{}]'));
  const x = makeExchange({ status: 503 });
  x.verdict = {
    allowed: true,
    decidedBy: 'ALLOW',
    namespace: 'shop',
    policy: 'admit',
    rule: 0,
    details: '',
  };
  x.failure = failures['upstream-connect'];
  telemetry.end(x);
  const record = JSON.parse((await ask({ about: 'why', id: x.id })) ?? '') as CallRecord;
  expect(record.why).toMatch(/^upstream-connect: .*connection_failure.*; before that described: /);
  expect(record).toMatchObject({ verdict: 'allow', policy: 'shop/admit', rule: 0 });
});

test('connections of bytes: a denial and a failure are kept, ordinary ends are not', async () => {
  const { telemetry, ask } = rig();
  const ends = ['-', 'DC', 'SI', 'UF', 'UC'].map((flag) => makeSession({ flag }));
  const verdict = {
    allowed: false,
    decidedBy: 'DENY',
    namespace: 'a',
    policy: 'b',
    rule: 1,
    details: 'no',
  } as const;
  for (const session of [...ends, makeSession({ verdict })]) {
    telemetry.tcpOpened(session);
    session.closedAtMs = session.openedAtMs + 5;
    telemetry.tcpClosed(session);
  }
  const kept = (await ask({ about: 'recent', limit: 9, verdict: null }))!;
  const records = kept.map(({ json }) => JSON.parse(json) as CallRecord);
  expect(records).toMatchObject([
    {
      verdict: 'deny',
      policy: 'a/b',
      protocol: 'TCP',
      durationMs: 5,
      source: { principal: cashier },
    },
    { flags: 'UC' },
    { flags: 'UF' },
  ]);
  expect(await ask({ about: 'edges' })).toMatchObject([
    {
      protocol: 'tcp',
      requests: 6,
      failures: 2,
      refusals: 1,
      reporter: 'inbound',
      security: 'mutual_tls',
    },
  ]);
});

test('edges: statuses, gRPC statuses and refusals of our own are told apart', async () => {
  const { telemetry, denied, ask } = rig();
  for (const status of [200, 200, 403, 500, 0])
    telemetry.end(makeExchange({ status, durationMs: 7 }));
  telemetry.end(denied());
  const grpc = (grpcStatus: string): void => {
    const x = makeExchange({ protocol: 'HTTP/2', headers: [['content-type', 'application/grpc']] });
    x.grpcStatus = grpcStatus;
    telemetry.end(x);
  };
  for (const status of ['0', '5', '14', '7']) grpc(status);
  const out = makeExchange({ downstream: makeDownstream({ direction: 'outbound' }) });
  out.endpoint = endpoint;
  telemetry.end(out);
  const edges = (await ask({ about: 'edges' }))!;
  const byKind = Object.fromEntries(
    edges.map((edge) => [`${edge.reporter} ${edge.protocol}`, edge]),
  );
  expect(edges).toHaveLength(3);
  expect(byKind['inbound http']).toMatchObject({ requests: 6, failures: 2, refusals: 1 });
  expect(byKind['inbound grpc']).toMatchObject({ requests: 4, failures: 1, refusals: 0 });
  expect(byKind['outbound http']).toMatchObject({
    requests: 1,
    security: 'unknown',
    service: 'payments.billing.svc.cluster.local',
    source: { namespace: 'billing', workload: 'payments' },
    destination: { namespace: 'billing', workload: 'payments', principal: endpoint.identity },
  });
  for (const edge of edges) expect([edge.durations.length, sum(edge)]).toEqual([20, edge.requests]);
  const doubled = mergeEdges([edges, edges]);
  expect(doubled.map(({ requests }) => requests)).toEqual(
    edges.map(({ requests }) => 2 * requests),
  );
});

function sum({ durations }: EdgeCount): number {
  return durations.reduce((total, one) => total + one, 0);
}
