// The CA as a process: start, signals, sudden death at any moment, wrong settings.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SigningReply } from '#api/signing.ts';
import { requestJson } from '#runtime/h2-json.ts';
import { silentLog } from '#runtime/log.ts';
import { createKeyAndCsr } from '#runtime/tls/csr.ts';
import { SvidSource } from '#runtime/tls/svid.ts';
import { environment, temporaryFolder, verifyChain } from '../ca/fixture.ts';
import { createTokenMaker, type TokenMaker } from '../ca/tokens.ts';

interface CaProcess {
  readonly child: ChildProcess;
  readonly port: number;
  readonly adminPort: number;
  readonly lines: string[];
}

let folder = '';
let tokens: TokenMaker;
const children: ChildProcess[] = [];

beforeEach(async () => {
  folder = temporaryFolder();
  tokens = await createTokenMaker();
  await tokens.writeJwks(join(folder, 'jwks.json'));
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
  rmSync(folder, { recursive: true });
});

function run(env: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, ['ca/main.ts'], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  return child;
}

async function start(env: Record<string, string> = {}): Promise<CaProcess> {
  const child = run(environment(folder, env));
  const lines: string[] = [];
  const ready = Promise.withResolvers<{ port: number; adminPort: number }>();
  if (child.stdout === null) throw new Error('no standard output');
  createInterface(child.stdout).on('line', (line) => {
    lines.push(line);
    if (line.includes('ca ready')) {
      ready.resolve(JSON.parse(line) as { port: number; adminPort: number });
    }
  });
  child.once('exit', (code) => {
    ready.reject(new Error(`ended with ${code}: ${lines.join('\n')}`));
  });
  return { child, lines, ...(await ready.promise) };
}

const bundle = () => readFileSync(join(folder, 'state', 'trust-bundle.pem'), 'utf8');

async function sign(ca: CaProcess): Promise<SigningReply> {
  const reply = await requestJson({
    url: `https://localhost:${ca.port}/v1/certificates`,
    method: 'POST',
    body: { csr: createKeyAndCsr().csrPem },
    bearer: await tokens.make(),
    ca: bundle(),
    timeoutMs: 5000,
  });
  expect(reply.status).toBe(200);
  return reply.body as SigningReply;
}

async function kill(ca: CaProcess): Promise<void> {
  ca.child.kill('SIGKILL');
  await once(ca.child, 'exit');
}

test('killed while it serves, it comes back with the same root', async () => {
  const first = await start();
  const before = await sign(first);
  await kill(first);
  const second = await start();
  const after = await sign(second);
  expect(after.trustBundle).toBe(before.trustBundle);
  expect(verifyChain(before.chain, after.trustBundle, 'sslserver')).toContain('OK');
});

/** The root in a state that a killed process left; null when it left none. */
function rootOf(state: string | null): string | null {
  if (state === null) return null;
  return (JSON.parse(state) as { issuers: { rootPem: string }[] }).issuers[0]?.rootPem ?? '';
}

test('killed at any moment of its first start, it never ends with half a root', async () => {
  for (const delayMs of [150, 250, 300, 350, 400, 500]) {
    const child = run(environment(folder));
    await sleep(delayMs);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const state = join(folder, 'state', 'issuers.json');
    const text = existsSync(state) ? readFileSync(state, 'utf8') : null;
    const ca = await start();
    const reply = await sign(ca);
    expect(verifyChain(reply.chain, reply.trustBundle, 'sslserver')).toContain('OK');
    expect(rootOf(text) ?? reply.trustBundle).toBe(reply.trustBundle);
    await kill(ca);
    rmSync(join(folder, 'state'), { recursive: true });
  }
});

test('killed in the midst of rotations, every leaf given out still verifies', async () => {
  const given: SigningReply[] = [];
  for (const delayMs of [0, 3, 6, 12, 0]) {
    const ca = await start();
    const present = await sign(ca);
    given.push(present);
    for (const { chain } of given) {
      expect(verifyChain(chain, present.trustBundle, 'sslserver')).toContain('OK');
    }
    const step = (name: string) =>
      fetch(`http://127.0.0.1:${ca.adminPort}/rotate?step=${name}`, { method: 'POST' });
    const steps = step('publish').then(() => step('switch'));
    await Promise.race([sleep(delayMs), steps]);
    await kill(ca);
    await steps.catch(() => null);
  }
});

test('two processes that start on one empty folder agree on one root', async () => {
  const [one, two] = await Promise.all([start(), start()]);
  const [a, b] = [await sign(one), await sign(two)];
  expect(a.trustBundle).toBe(b.trustBundle);
  expect((await readdir(join(folder, 'state'))).toSorted()).toEqual([
    'issuers.json',
    'trust-bundle.pem',
  ]);
});

test('SIGTERM ends it in good order with status 0', async () => {
  const ca = await start();
  await sign(ca);
  ca.child.kill('SIGTERM');
  const [status] = (await once(ca.child, 'close')) as [number];
  expect(status).toBe(0);
  expect(ca.lines.at(-1)).toContain('stopped');
});

test('SIGHUP opens the audit file again after it was moved', async () => {
  const ca = await start();
  await sign(ca);
  const audit = join(folder, 'audit.jsonl');
  rmSync(audit);
  ca.child.kill('SIGHUP');
  while (!ca.lines.some((line) => line.includes('reloaded'))) await sleep(10);
  await sign(ca);
  expect(readFileSync(audit, 'utf8').trim().split('\n').length).toBe(1);
});

test('every wrong setting is named at once, and nothing starts', async () => {
  const child = run({ SELVAGE_CA_LISTEN: 'x', SELVAGE_CERT_LIFE_SECONDS: '-1' });
  let stderr = '';
  child.stderr?.on('data', (part: Buffer) => {
    stderr += part.toString();
  });
  const [status] = (await once(child, 'close')) as [number];
  expect(status).toBe(2);
  for (const name of [
    'SELVAGE_CA_LISTEN',
    'SELVAGE_CERT_LIFE_SECONDS',
    'SELVAGE_CA_DIR',
    'SELVAGE_CA_JWKS_FILE',
  ]) {
    expect(stderr).toContain(name);
  }
});

test('the log at start shows the settings and never a key', async () => {
  const ca = await start();
  await sign(ca);
  const text = ca.lines.join('\n');
  expect(text).toContain('"SELVAGE_TRUST_DOMAIN":"cluster.local"');
  expect(text).not.toContain('PRIVATE KEY');
});

test('a workload renews through a restart of the CA', async () => {
  const first = await start({ SELVAGE_CERT_LIFE_SECONDS: '4' });
  let port = first.port;
  const source = new SvidSource({
    log: silentLog,
    sign: async (csr) => {
      const reply = await requestJson({
        url: `https://localhost:${port}/v1/certificates`,
        method: 'POST',
        body: { csr },
        bearer: await tokens.make(),
        ca: bundle(),
        timeoutMs: 2000,
      });
      if (reply.status !== 200) throw new Error(JSON.stringify(reply.body));
      return reply.body as SigningReply;
    },
  });
  await source.start();
  const before = source.current();
  await kill(first);
  await sleep(2200);
  expect(source.current()).toBe(before);
  expect(source.state().lastError).toContain('ECONNREFUSED');
  port = (await start({ SELVAGE_CERT_LIFE_SECONDS: '4' })).port;
  while (source.state().renewals < 2) await sleep(50);
  source.stop();
  expect(source.current().notAfterMs).toBeGreaterThan(before.notAfterMs);
});
