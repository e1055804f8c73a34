// The access log: Istio's two formats, values from the network made harmless, sinks that fail.
import { execFileSync, spawn } from 'node:child_process';
import {
  createReadStream,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';

import type { AccessLogSettings } from '#api/telemetry.ts';
import type { Explanation, Verdict } from '#policy/verdict.ts';
import { failures } from '#sidecar/failures.ts';
import { AccessLogs, type AccessLogOptions } from '#sidecar/telemetry/access-log.ts';
import { explanationsPerSecond } from '#sidecar/telemetry/log-reason.ts';
import type { ReasonSource } from '#sidecar/telemetry/types.ts';
import { WallClock } from '#sidecar/telemetry/wall-clock.ts';

import { cashier, eventually, makeDownstream, makeExchange, makeSession } from './exchanges.ts';

let folder = '';
let path = '';
const warnings: string[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'selvage-log-'));
  path = join(folder, 'access.txt');
  warnings.length = 0;
});
afterEach(() => rmSync(folder, { recursive: true }));

function makeLog(changes: Partial<AccessLogOptions> = {}): AccessLogs {
  return new AccessLogs({
    path,
    format: 'text',
    reasons: null,
    clock: new WallClock(),
    warn: (message) => warnings.push(message),
    ...changes,
  });
}

/** Of inbound calls, as a Telemetry resource says. */
function configured(...logs: Partial<AccessLogSettings>[]): AccessLogs {
  const log = makeLog();
  log.configure({
    inbound: { logs: logs.map((one) => ({ provider: 'envoy', path: '', ...one })) },
    outbound: {},
  });
  return log;
}

function textLog(text: string): AccessLogs {
  return configured({ format: { kind: 'text', text } });
}

async function linesOf(log: AccessLogs): Promise<string[]> {
  await log.close(2000);
  return readFileSync(path, 'utf8').split('\n').slice(0, -1);
}

const allowed: Verdict = {
  allowed: true,
  decidedBy: 'ALLOW',
  namespace: 'billing',
  policy: 'admit',
  rule: 0,
  details: '',
};
const denied: Verdict = {
  allowed: false,
  decidedBy: 'NONE',
  namespace: '',
  policy: '',
  rule: -1,
  details: 'rbac_access_denied_matched_policy[none]',
};

function reasons(): ReasonSource & { described: number; explained: number } {
  return {
    described: 0,
    explained: 0,
    describe(verdict) {
      this.described++;
      return verdict.allowed ? 'allowed by billing/admit rule 0 (shop.yaml:41)' : 'denied: no rule';
    },
    explain(x): Explanation | null {
      this.explained++;
      if (x.verdict === null) return null;
      const nearest = {
        namespace: 'billing',
        policy: 'admit',
        rule: 0,
        at: 'shop.yaml:41',
        matched: ['from.source.principals'],
        missed: [
          {
            field: 'to.operation.paths',
            wanted: ['/v1*'],
            got: x.request.path,
            at: 'shop.yaml:44',
          },
        ],
      };
      return {
        verdict: x.verdict,
        summary: 'denied by default: billing/admit rule 0 came nearest (shop.yaml:41)',
        at: 'shop.yaml:41',
        nearest: x.verdict.allowed ? null : nearest,
        audited: [],
        dryRun: [],
      };
    },
    explainTcp({ verdict }): Explanation | null {
      this.explained++;
      if (verdict === null) return null;
      const summary = 'denied by billing/no-web rule 1 (shop.yaml:9)';
      return { verdict, summary, at: 'shop.yaml:9', nearest: null, audited: [], dryRun: [] };
    },
  };
}

test('a text line is what Istio writes', async () => {
  const log = makeLog();
  const x = makeExchange({
    headers: [
      ['user-agent', 'curl/8'],
      ['x-forwarded-for', '1.2.3.4'],
      ['x-forwarded-for', '5.6.7.8'],
    ],
  });
  log.exchange(x);
  const [line = ''] = await linesOf(log);
  expect(line.replace(/^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\]/, '[T]')).toBe(
    '[T] "GET /charges HTTP/1.1" 200 - via_upstream - "-" 0 1024 3 1 "1.2.3.4,5.6.7.8" "curl/8" ' +
      '"a-request" "payments.billing" "127.0.0.1:9000" inbound|8080|| - 10.0.0.9:8080 ' +
      '10.0.0.7:41000 outbound_.80_._.payments.billing.svc.cluster.local default',
  );
});

test('a JSON line has Istio\u2019s keys in its order, then ours', async () => {
  const log = makeLog({ format: 'json', reasons: reasons() });
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const x = makeExchange({ headers: [['traceparent', `00-${traceId}-b7ad6b7169203331-01`]] });
  x.verdict = allowed;
  log.exchange(x);
  const [line = ''] = await linesOf(log);
  const entry = JSON.parse(line) as Record<string, unknown>;
  expect(Object.keys(entry).join(' ')).toBe(
    'start_time route_name method path protocol response_code response_flags ' +
      'response_code_details connection_termination_details bytes_received bytes_sent duration ' +
      'upstream_service_time x_forwarded_for user_agent request_id authority upstream_host ' +
      'upstream_cluster upstream_local_address downstream_local_address ' +
      'downstream_remote_address requested_server_name upstream_transport_failure_reason ' +
      'trace_id id source_principal why policy rule at nearest',
  );
  expect(entry).toMatchObject({
    response_code: 200,
    bytes_sent: 1024,
    user_agent: null,
    trace_id: traceId,
    source_principal: cashier,
    why: 'allowed by billing/admit rule 0 (shop.yaml:41)',
    policy: 'billing/admit',
    rule: 0,
    at: 'shop.yaml:41',
    nearest: null,
  });
});

test('a refusal says which rule came nearest, and what the call had instead', async () => {
  const log = makeLog({ format: 'json', reasons: reasons() });
  const x = makeExchange({ path: '/v2', status: 403 });
  x.verdict = denied;
  x.failure = failures.denied;
  log.exchange(x);
  const [line = ''] = await linesOf(log);
  expect(JSON.parse(line)).toMatchObject({
    response_code_details: 'rbac_access_denied_matched_policy[none]',
    why: 'denied by default: billing/admit rule 0 came nearest (shop.yaml:41)',
    at: 'shop.yaml:41',
    nearest: {
      policy: 'billing/admit',
      rule: 0,
      missed: [{ field: 'to.operation.paths', wanted: ['/v1*'], got: '/v2' }],
    },
  });
});

test('the reason of an allowing rule is asked for once, a flood of refusals within a budget', async () => {
  const source = reasons();
  const log = makeLog({ format: 'json', reasons: source });
  for (let i = 0; i < 500; i++) {
    const x = makeExchange();
    x.verdict = allowed;
    log.exchange(x);
  }
  expect(source).toMatchObject({ described: 1, explained: 1 });
  for (let i = 0; i < 500; i++) {
    const x = makeExchange({ status: 403 });
    x.verdict = denied;
    x.failure = failures.denied;
    log.exchange(x);
  }
  expect(source.explained).toBeLessThanOrEqual(1 + 2 * explanationsPerSecond);
  const last = (await linesOf(log)).at(-1) ?? '';
  expect((JSON.parse(last) as { why: string }).why).toBe('denied: no rule');
});

test('a reason that cannot be had costs the line nothing but the reason', async () => {
  const broken: ReasonSource = {
    describe: () => {
      throw new Error('no');
    },
    explain: () => {
      throw new Error('no');
    },
    explainTcp: () => {
      throw new Error('no');
    },
  };
  const log = makeLog({ format: 'json', reasons: broken });
  const x = makeExchange({ status: 403 });
  x.verdict = denied;
  log.exchange(x);
  const [line = ''] = await linesOf(log);
  expect(JSON.parse(line)).toMatchObject({ why: 'rbac_access_denied_matched_policy[none]' });
});

test('a request refused before policy was asked says by what', async () => {
  const log = makeLog({ format: 'json', reasons: reasons() });
  const x = makeExchange({ status: 401 });
  x.failure = failures['token-refused'];
  x.details = 'jwt_authn_access_denied{Jwt is expired}';
  log.exchange(x);
  const [line = ''] = await linesOf(log);
  expect(JSON.parse(line)).toMatchObject({
    why: 'token-refused: jwt_authn_access_denied{Jwt is expired}',
    response_code_details: 'jwt_authn_access_denied{Jwt_is_expired}',
  });
});

test('a refused connection is logged with the resource that refused it', async () => {
  const log = makeLog({ format: 'json' });
  log.connectionRefused({
    downstream: makeDownstream(),
    destinationPort: 8080,
    transport: 'plaintext',
    sni: 'a\r\nb',
    reason: 'plaintext refused: STRICT by billing/default',
    at: 'shop.yaml:3',
  });
  const [line = ''] = await linesOf(log);
  expect(JSON.parse(line)).toMatchObject({
    response_code: 0,
    response_code_details: 'connection_refused',
    requested_server_name: 'a\r\nb',
    why: 'plaintext refused: STRICT by billing/default',
    at: 'shop.yaml:3',
  });
});

test('a byte stream is one line at its end, as Envoy writes it', async () => {
  const log = makeLog();
  const session = makeSession({ receivedBytes: 5, sentBytes: 7 });
  session.closedAtMs = session.openedAtMs + 12;
  log.tcpClosed(session);
  const [line = ''] = await linesOf(log);
  expect(line).toMatch(/^\[.*\] "- - -" 0 - - - "-" 5 7 12 - "-" "-" "-" "-" "127.0.0.1:9000" /);
});

test('a byte stream that was denied says by which line', async () => {
  const log = makeLog({ format: 'json', reasons: reasons() });
  const verdict: Verdict = {
    allowed: false,
    decidedBy: 'DENY',
    namespace: 'billing',
    policy: 'no-web',
    rule: 1,
    details: 'rbac_access_denied_matched_policy[ns[billing]-policy[no-web]-rule[1]]',
  };
  log.tcpClosed(makeSession({ verdict, details: verdict.details }));
  log.tcpClosed(makeSession({ verdict: allowed }));
  const [refused = '', admitted = ''] = await linesOf(log);
  expect(JSON.parse(refused)).toMatchObject({
    connection_termination_details: verdict.details,
    why: 'denied by billing/no-web rule 1 (shop.yaml:9)',
    policy: 'billing/no-web',
    rule: 1,
    at: 'shop.yaml:9',
  });
  expect(JSON.parse(admitted)).toMatchObject({ policy: 'billing/admit', at: 'shop.yaml:9' });
});

test('header, path, authority and server name cannot start a line, close a quote or add a field', async () => {
  const log = makeLog();
  const evil = 'x" 200\r\n[2020] "GET / HTTP/1.1" 200 \u0000\u007f\u00ff\\';
  const facts = { ...makeDownstream().facts, sni: 'a b\nc' };
  const x = makeExchange({
    downstream: makeDownstream({ facts }),
    path: evil,
    headers: [
      ['user-agent', evil],
      ['x-forwarded-for', evil],
    ],
  });
  x.request.authority = evil;
  x.requestId = evil;
  log.exchange(x);
  const lines = await linesOf(log);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^[\x20-\x7e]+$/);
  expect(lines[0]).toContain(
    String.raw`"x\" 200\x0d\x0a[2020] \"GET / HTTP/1.1\" 200 \x00\x7f\xff\\"`,
  );
  expect(lines[0]).toContain(String.raw` a\x20b\x0ac default`);
});

test('whatever the values are, a JSON line is one line of ASCII that gives them back', async () => {
  const log = makeLog({ format: 'json' });
  const sent: string[] = [];
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
      const value = Buffer.from(text).toString('latin1');
      sent.push(value);
      const x = makeExchange({ path: value, headers: [['user-agent', value]] });
      log.exchange(x);
    }),
    { numRuns: 300, seed: 7 },
  );
  const lines = await linesOf(log);
  expect(lines).toHaveLength(sent.length);
  lines.forEach((line, i) => {
    expect(line).toMatch(/^[\x20-\x7e]+$/);
    const entry = JSON.parse(line) as { path: string | null; user_agent: string | null };
    expect(entry.path).toBe(sent[i] || null);
    expect(entry.user_agent ?? '').toBe(sent[i]);
  });
});

test('a value is cut at 2 KB, in both formats', async () => {
  const log = makeLog();
  log.exchange(makeExchange({ path: '/'.repeat(60_000) }));
  expect((await linesOf(log))[0]?.length).toBeLessThan(2600);
  const json = makeLog({ format: 'json' });
  json.exchange(makeExchange({ path: '/'.repeat(60_000) }));
  expect((await linesOf(json))[1]?.length).toBeLessThan(3500);
});

test('another text format is compiled from Envoy\u2019s operators, and a wrong one is named', async () => {
  const log = textLog('%REQ(:PATH):4% %REQ(NO?USER-AGENT)% %RESPONSE_CODE%');
  log.exchange(makeExchange({ path: '/abcdefg', headers: [['user-agent', 'me']] }));
  expect(await linesOf(log)).toEqual(['/abc me 200']);
  textLog('%REQ(:PATH');
  textLog('%WHAT%');
  expect(warnings.map((line) => line.replace(/^.*left out: /, ''))).toEqual([
    'access log format, character 1: a "%" is not closed; "%%" stands for itself',
    'access log format: no operator %WHAT%',
  ]);
});

test('after a rotation with a signal, lines go to the new file and none is lost', async () => {
  const log = makeLog({ sink: { flushAfterMs: 5 } });
  log.exchange(makeExchange({ path: '/old' }));
  await eventually(() => existsSync(path) && readFileSync(path, 'utf8').includes('/old'));
  renameSync(path, `${path}.1`);
  log.reopen();
  log.exchange(makeExchange({ path: '/new' }));
  const lines = await linesOf(log);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('/new');
  expect(readFileSync(`${path}.1`, 'utf8')).not.toContain('/new');
});

test('a rotation without a signal is noticed', async () => {
  const log = makeLog({ sink: { flushAfterMs: 5, lookAgainMs: 20 } });
  log.exchange(makeExchange());
  await eventually(() => existsSync(path) && readFileSync(path, 'utf8').length > 0);
  renameSync(path, `${path}.1`);
  await eventually(() => {
    log.exchange(makeExchange());
    return existsSync(path) && readFileSync(path, 'utf8').length > 0;
  });
  await log.close(1000);
  expect(log.dropped).toBe(0);
});

test('a pipe that nobody reads never blocks: lines are held, then dropped and counted', async () => {
  execFileSync('mkfifo', [path]);
  // Someone has it open, so that it can be opened for writing, but reads nothing.
  const holder = spawn('sh', ['-c', `exec 3<>"${path}"; echo up; sleep 60`]);
  await new Promise((resolve) => {
    holder.stdout.once('data', resolve);
  });
  const log = makeLog({ sink: { heldBytesMax: 200_000, flushAfterMs: 5 } });
  const startedAtMs = performance.now();
  for (let i = 0; i < 5000; i++) log.exchange(makeExchange());
  expect(performance.now() - startedAtMs).toBeLessThan(2000);
  await eventually(() => log.dropped > 0);
  // Read at last: what was held comes out, and lines flow again.
  const reader = createReadStream(path);
  let text = '';
  reader.on('data', (part) => {
    text += part.toString();
  });
  const dropped = log.dropped;
  await eventually(() => text.split('\n').length - 1 >= 5000 - dropped);
  log.exchange(makeExchange({ path: '/again' }));
  await eventually(() => text.includes('/again'));
  holder.kill();
  await log.close(1000);
  reader.destroy();
});

test('a file that cannot be opened is told once; lines come out when it can', async () => {
  const log = makeLog({
    path: join(folder, 'none', 'access.txt'),
    sink: { flushAfterMs: 5, lookAgainMs: 200 },
  });
  for (let i = 0; i < 20; i++) log.exchange(makeExchange());
  await eventually(() => warnings.length > 0);
  expect(warnings).toHaveLength(1);
  execFileSync('mkdir', [join(folder, 'none')]);
  await eventually(() => {
    const file = join(folder, 'none', 'access.txt');
    return existsSync(file) && readFileSync(file, 'utf8').split('\n').length === 21;
  });
  await log.close(1000);
});

test('a full disk loses lines, counted, and nothing else', async () => {
  const log = makeLog({ path: '/dev/full', sink: { flushAfterMs: 5 } });
  for (let i = 0; i < 10; i++) log.exchange(makeExchange());
  await eventually(() => log.dropped === 10);
  expect(warnings[0]).toContain('ENOSPC');
  await log.close(200);
});
