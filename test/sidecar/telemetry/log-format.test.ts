// Custom formats of access logs: each operator, what is kept of answers for them, and values that stay in their place.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';

import type { AccessLogSettings } from '#api/telemetry.ts';
import { failures } from '#sidecar/failures.ts';
import type { Exchange } from '#sidecar/exchange.ts';
import { AccessLogs } from '#sidecar/telemetry/access-log.ts';
import { WallClock } from '#sidecar/telemetry/wall-clock.ts';

import { eventually, makeDownstream, makeExchange, makeSession } from './exchanges.ts';

const folder = mkdtempSync(join(tmpdir(), 'selvage-formats-'));
let files = 0;
afterAll(() => rmSync(folder, { recursive: true }));

const warnings: string[] = [];

function makeLogs(...logs: Omit<AccessLogSettings, 'provider' | 'path'>[]) {
  const path = join(folder, `${++files}.txt`);
  const made = new AccessLogs({
    path,
    format: 'json',
    reasons: null,
    clock: new WallClock(),
    warn: (message) => warnings.push(message),
  });
  const settings = logs.map((one) => ({ provider: 'envoy', path: '', ...one }));
  made.configure({ inbound: { logs: settings }, outbound: { logs: [] } });
  return { logs: made, path };
}

async function written(
  log: Omit<AccessLogSettings, 'provider' | 'path'>,
  ...calls: Exchange[]
): Promise<string[]> {
  const { logs, path } = makeLogs(log);
  for (const x of calls) logs.exchange(x);
  await logs.close(2000);
  return readFileSync(path, 'utf8').split('\n').slice(0, -1);
}

const text = (format: string) => ({ format: { kind: 'text', text: format } }) as const;

function call() {
  const x = makeExchange({
    downstream: makeDownstream({
      forwardedClientCert: 'By=spiffe://a/b;Hash=0a1b;Subject="CN=web";URI=spiffe://a/c',
    }),
    path: '/charges?id=7&name=a%20b',
    headers: [
      ['user-agent', 'curl/8'],
      ['x-team', 'a'],
      ['x-team', 'b'],
      ['content-type', 'application/grpc'],
    ],
  });
  x.attempts = 2;
  x.grpcStatus = '5';
  x.answerLines = [['x-answer', 'yes']];
  return x;
}

test.each([
  ['%REQ(X-TEAM)%|%REQ(NO?X-TEAM)%|%REQ(NO)%|%REQ(X-TEAM):1%', 'a,b|a,b|-|a'],
  ['%REQ_WITHOUT_QUERY(:PATH)%|%PATH(NQ)%|%PATH%', '/charges|/charges|/charges?id=7&name=a%20b'],
  ['%QUERY_PARAM(id)%|%QUERY_PARAM(none)%', '7|-'],
  ['%RESP(X-ANSWER)%|%RESP(X-NONE)%|%RESP(:STATUS)%', 'yes|-|200'],
  ['%TRAILER(GRPC-STATUS)%|%GRPC_STATUS%|%GRPC_STATUS(SNAKE_STRING)%', '5|NotFound|NOT_FOUND'],
  ['%GRPC_STATUS_NUMBER%|%GRPC_STATUS(NUMBER)%', '5|5'],
  ['%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%|%DOWNSTREAM_REMOTE_PORT%', '10.0.0.7|41000'],
  ['%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%|%DOWNSTREAM_LOCAL_PORT%', '10.0.0.9|8080'],
  ['%UPSTREAM_REMOTE_ADDRESS%|%UPSTREAM_REMOTE_PORT%', '127.0.0.1:9000|9000'],
  ['%DOWNSTREAM_LOCAL_URI_SAN%|%DOWNSTREAM_PEER_SUBJECT%', 'spiffe://a/b|CN=web'],
  ['%DOWNSTREAM_PEER_FINGERPRINT_256%', '0a1b'],
  ['%UPSTREAM_REQUEST_ATTEMPT_COUNT%|%UPSTREAM_CLUSTER%', '2|inbound|8080||'],
  [
    '%RESPONSE_FLAGS_LONG%|%ACCESS_LOG_TYPE%|%VIRTUAL_HOST_NAME%',
    '-|DownstreamEnd|inbound|http|8080',
  ],
  ['%DURATION%|%REQUEST_TX_DURATION%|%RESPONSE_DURATION%|%RESPONSE_TX_DURATION%', '3|1|2|1'],
  ['%HOSTNAME%', hostname()],
  ['%CEL(response.code + 1)%|%CEL(request.nothing)%', '201|-'],
  ["%CEL(request.headers['x-team'])%", 'a,b'],
  ['%UPSTREAM_TLS_CIPHER%|%%', '-|%'],
])('%s is %s', async (format, line) => {
  expect(await written(text(format), call())).toEqual([line]);
});

test('a failure has the long names of its flags, and why', async () => {
  const x = makeExchange({ status: 503 });
  x.failure = failures['upstream-connect'];
  x.retriesSpent = true;
  x.id = 'an-id';
  const format =
    '%SELVAGE_ID%|%RESPONSE_FLAGS%|%RESPONSE_FLAGS_LONG%|"%SELVAGE_WHY%"|%SELVAGE_POLICY%';
  expect(await written(text(format), x)).toEqual([
    'an-id|URX,UF|UpstreamRetryLimitExceeded,UpstreamConnectionFailure|"upstream-connect: ' +
      'upstream_reset_before_response_started{remote_connection_failure}"|-',
  ]);
});

test('times have the form that is asked for', async () => {
  const clock = new WallClock();
  const x = call();
  const epochMs = clock.epochMs(x.startedAtMs);
  const [line = ''] = await written(
    text(
      '%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%|%START_TIME(%s.%3f)%|%START_TIME(%b %e %F %T %j %a)%',
    ),
    x,
  );
  const [iso = '', seconds = '', words = ''] = line.split('|');
  expect(Math.abs(Date.parse(iso) - epochMs)).toBeLessThan(1000);
  expect(Number(seconds) * 1000).toBe(Date.parse(iso));
  expect(words).toMatch(
    /^[A-Z][a-z]{2}\\x20[ \\x20\d]+\d{4}-\d\d-\d\d\\x20[\d:]{8}\\x20\d{3}\\x20[A-Z][a-z]{2}$/,
  );
});

test('JSON has the labels that are asked for, numbers as numbers, nothing as null', async () => {
  const fields = {
    code: '%RESPONSE_CODE%',
    call: '%REQ(:METHOD)% %REQ(:PATH)% of %REQ(NO)%',
    none: '%REQ(NO)%',
    'a "quote"': 'plain',
    size: '%TYPED_CEL(response.size)%',
  };
  const [line = ''] = await written({ format: { kind: 'json', fields } }, call());
  expect(JSON.parse(line)).toEqual({
    code: 200,
    call: 'GET /charges?id=7&name=a%20b of -',
    none: null,
    'a "quote"': 'plain',
    size: 1024,
  });
  expect(await written({ format: { kind: 'json', fields: {} } }, call())).toEqual(['{}']);
});

test('only what a filter holds for is logged, and each log has its own', async () => {
  const { logs, path } = makeLogs(
    { filter: 'response.code >= 500', ...text('bad %RESPONSE_CODE%') },
    { filter: "request.path.startsWith('/a')", ...text('a %RESPONSE_CODE%') },
    { filter: 'response.nothing > 1', ...text('never') },
    text('all %RESPONSE_CODE%'),
  );
  logs.exchange(makeExchange({ path: '/a', status: 503 }));
  logs.exchange(makeExchange({ path: '/b' }));
  logs.tcpClosed(makeSession());
  await logs.close(2000);
  expect(readFileSync(path, 'utf8')).toBe('bad 503\na 503\nall 503\nall 200\nall 0\n');
});

test('of what is logged nowhere nothing is written; the other direction has its own', async () => {
  const { logs, path } = makeLogs();
  logs.exchange(makeExchange());
  logs.configure({ inbound: { logs: [] }, outbound: {} });
  logs.exchange(makeExchange());
  logs.exchange(makeExchange({ downstream: makeDownstream({ direction: 'outbound' }) }));
  await logs.close(2000);
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  // The sidecar's own setting counts where Telemetry says nothing.
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    upstream_cluster: expect.stringMatching(/^outbound/),
  });
});

test('a connection that carried bytes has the certificate of its caller', async () => {
  const forwardedClientCert = 'By=spiffe://a/b;Hash=0a1b;Subject="CN=web";URI=spiffe://c/d';
  const format =
    '%DOWNSTREAM_LOCAL_URI_SAN%|%DOWNSTREAM_PEER_SUBJECT%|%DOWNSTREAM_PEER_FINGERPRINT_256%';
  const { logs, path } = makeLogs(text(format));
  logs.tcpClosed(makeSession({ downstream: makeDownstream({ forwardedClientCert }) }));
  logs.tcpClosed(makeSession());
  await logs.close(2000);
  expect(readFileSync(path, 'utf8')).toBe('spiffe://a/b|CN=web|0a1b\n-|-|-\n');
});

function linesIn(file: string): number {
  return readFileSync(file, 'utf8').trimEnd().split('\n').length;
}

test('a log that is kept is written whole, and what Telemetry wants beside it', async () => {
  const path = join(folder, 'kept.txt');
  const other = join(folder, 'beside.txt');
  const logs = new AccessLogs({
    path,
    format: 'json',
    kept: true,
    reasons: null,
    clock: new WallClock(),
    warn: (message) => warnings.push(message),
  });
  const beside = { provider: 'x', path: other, filter: 'response.code >= 400' };
  logs.configure({ inbound: { logs: [beside] }, outbound: { logs: [] } });
  logs.exchange(makeExchange({ path: '/1' }));
  logs.exchange(makeExchange({ path: '/2', status: 503 }));
  logs.exchange(makeExchange({ downstream: makeDownstream({ direction: 'outbound' }) }));
  await logs.close(2000);
  expect([path, other].map(linesIn)).toEqual([3, 1]);
});

test('a change keeps the file of a log that stays, and writes out what others hold', async () => {
  const other = join(folder, 'other.txt');
  const { logs, path } = makeLogs(text('one %REQ(:PATH)%'));
  const to = (...settings: Omit<AccessLogSettings, 'provider'>[]): void =>
    logs.configure({
      inbound: { logs: settings.map((one) => ({ provider: 'x', ...one })) },
      outbound: {},
    });
  logs.exchange(makeExchange({ path: '/1' }));
  to({ path: '', ...text('two %REQ(:PATH)%') }, { path: other, ...text('other %REQ(:PATH)%') });
  logs.exchange(makeExchange({ path: '/2' }));
  to({ path: '/dev/stdout', ...text('three %REQ(:PATH)%') });
  logs.exchange(makeExchange({ path: '/3' }));
  await eventually(() => existsSync(other) && readFileSync(other, 'utf8') === 'other /2\n');
  logs.configure(undefined);
  await logs.close(2000);
  expect(readFileSync(path, 'utf8')).toBe('one /1\ntwo /2\nthree /3\n');
});

test('a log that cannot be written is left out and told of; the others go on', async () => {
  warnings.length = 0;
  const { logs, path } = makeLogs({ filter: 'request.' }, text('%NO%'), text('%PROTOCOL%'));
  logs.exchange(makeExchange());
  await logs.close(2000);
  expect(readFileSync(path, 'utf8')).toBe('HTTP/1.1\n');
  expect(warnings).toEqual([
    'the access log of provider envoy is left out: CEL, character 9: expected a name after the dot, and found the end',
    'the access log of provider envoy is left out: access log format: no operator %NO%',
  ]);
});

test('whatever a client sends, a line of a custom format is one line, and fields stay in their place', async () => {
  const { logs, path } = makeLogs(
    text('%REQ(:PATH)% "%REQ(X-A)% %CEL(request.headers[\'x-a\'])%" %RESP(X-B)% end'),
    { format: { kind: 'json', fields: { a: 'x %REQ(X-A)% y', b: '%CEL(request.path)%' } } },
  );
  const sent: string[] = [];
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 30, minLength: 1 }), (value) => {
      const bytes = Buffer.from(value).toString('latin1');
      sent.push(bytes);
      const x = makeExchange({ path: bytes, headers: [['x-a', bytes]] });
      x.answerLines = [['x-b', bytes]];
      logs.exchange(x);
    }),
    { numRuns: 300 },
  );
  await logs.close(2000);
  const lines = readFileSync(path, 'latin1').split('\n').slice(0, -1);
  expect(lines).toHaveLength(2 * sent.length);
  lines.forEach((line, i) => {
    expect(line).toMatch(/^[\x20-\x7e]+$/);
    const value = sent[i >> 1];
    const read =
      i % 2 === 0
        ? /^[^ "]+ "(?:[^"\\]|\\.)*" [^ "]+ end$/.test(line)
        : isDeepStrictEqual(JSON.parse(line), { a: `x ${value} y`, b: value });
    expect([line, read]).toEqual([line, true]);
  });
});
