// `selvage replay`: all recorded cases, and what a difference looks like.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';

import { afterAll, describe, expect, test } from 'vitest';

import { replay } from '#cli/replay.ts';
import { compare } from '#cli/replay/compare.ts';

import { type Case, readCases } from '../data/cases.ts';
import { testIo } from './output.ts';

const folder = mkdtempSync(join(tmpdir(), 'selvage-replay-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function run(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const io = testIo();
  const status = await replay(args, io);
  return { status, out: io.out(), err: io.err() };
}

function write(name: string, content: string | Buffer): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

test('every recorded decision is reproduced; what is skipped is two Host headers', async () => {
  const { status, out } = await run(join(import.meta.dirname, '../data/authz'));
  expect(out).toBe('13452 passed, 0 failed, 24 skipped\n');
  expect(status).toBe(0);
}, 60_000);

function one(): Case {
  const [found] = readCases(({ name }) => name === 'probe/deny-beats-allow');
  if (found === undefined) throw new Error('the recording is gone');
  return found;
}

describe('a file', () => {
  const count = one().requests.length;

  test.each([
    ['plain.json', (text: string) => text],
    ['packed.json.gz', (text: string) => gzipSync(text)],
    ['packed.json.br', (text: string) => brotliCompressSync(text)],
  ])('%s is read', async (name, pack) => {
    const file = write(name, pack(JSON.stringify([one()])));
    expect(await run(file)).toEqual({ status: 0, out: `${count} passed, 0 failed\n`, err: '' });
  });

  test('with another decision gives the case, the request, both decisions and why', async () => {
    const changed = one();
    const expected = changed.expected.map((e, i) => (i === 0 ? { decision: 'closed' } : e));
    const file = write('changed.json', JSON.stringify([{ ...changed, expected }]));
    const { status, out } = await run(file);
    expect(status).toBe(1);
    expect(out).toMatch(/^probe\/deny-beats-allow r0: expected closed, got /);
    expect(out).toMatch(
      /\n {2}GET \/\S* \(Host: srv\.foo\) from \S+ \(127\.0\.1\.2\) to 10\.77\.0\.10:8080\n/,
    );
    expect(out).toMatch(/\n {2}why: /);
    expect(out).toMatch(new RegExp(`${count - 1} passed, 1 failed\\n$`));
  });

  test('with an oracle error is not counted', async () => {
    const file = write('crashed.json', JSON.stringify([{ ...one(), oracleError: 'crashed' }]));
    expect((await run(file)).out).toBe('0 passed, 0 failed\n');
  });

  test('with a policy that the webhook refuses is judged without it, unless it is admitted', async () => {
    const invalid = `{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy,
      metadata: {name: p, namespace: foo}, spec: {rules: [{when: [{key: nonsense, values: [x]}]}]}}`;
    const base = { ...one(), policies: [invalid], requests: one().requests.slice(0, 1) };
    const out = write('out.json', JSON.stringify([{ ...base, expected: [{ decision: 'allow' }] }]));
    expect((await run(out)).out).toBe('1 passed, 0 failed\n');
    const details = 'rbac_access_denied_matched_policy[none]';
    const expected = [{ decision: 'deny', details }];
    const admitted = { ...base, admitInvalid: true, expected };
    expect((await run(write('in.json', JSON.stringify([admitted])))).out).toBe(
      '1 passed, 0 failed\n',
    );
  });

  test.each([
    ['bad.json', '{', 'is not JSON'],
    ['object.json', '{}', 'a list of cases'],
    ['broken.json.gz', 'x', 'cannot be decompressed'],
    [
      'case.json',
      '[{"name":"n","requests":[{}],"expected":[]}]',
      'case n: 1 requests and 0 expected',
    ],
    ['none.json', '[null]', 'an object was expected'],
    [
      'call.json',
      '[{"name":"n","workload":{"namespace":"a","ports":[]},"requests":[{}],"expected":[{}]}]',
      'request 0',
    ],
    ['text.txt', '[]', 'none of .json'],
  ])('%s of %s is status 2: %s', async (name, content, message) => {
    const { status, err } = await run(write(name, content));
    expect(status).toBe(2);
    expect(err).toMatch(message);
  });

  test('that is not there, no file and an unknown option are status 2', async () => {
    expect((await run(join(folder, 'nowhere.json'))).status).toBe(2);
    expect((await run()).status).toBe(2);
    expect((await run('--nonsense', 'x.json')).status).toBe(2);
  });
});

function by(policy: string): string {
  return `rbac_access_denied_matched_policy[ns[a]-policy[${policy}]-rule[0]]`;
}

describe('a comparison', () => {
  const call = {
    source: { identity: null, ip: '10.0.0.1' },
    destination: { ip: '10.0.0.2', port: 80 },
  };

  test('looks at the policy that denied', () => {
    const expected = { decision: 'deny', details: by('p') } as const;
    const observed = { decision: 'deny', details: by('q'), reason: '' } as const;
    expect(compare(call, expected, observed)).toEqual({
      result: 'failed',
      expected: 'deny by a/p rule 0',
      got: 'deny by a/q rule 0',
    });
    expect(compare(call, expected, { ...observed, details: null }).result).toBe('passed');
  });

  test('never excuses what is let pass here and refused by Envoy', () => {
    const twoHosts = { ...call, host: ['a', 'b'] };
    const allowed = { decision: 'allow', details: '', reason: '' } as const;
    expect(compare(twoHosts, { decision: 'deny' }, allowed).result).toBe('failed');
    const refused = { decision: 'badrequest', details: '', reason: '' } as const;
    expect(compare(twoHosts, { decision: 'deny' }, refused).result).toBe('skipped');
    expect(compare(call, { decision: 'deny' }, refused).result).toBe('failed');
  });
});
