// Credentials from a program of the kubeconfig.
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';

import { CallError } from '#cli/calls/failure.ts';
import { parseCredential, PluginCredentials } from '#cli/cluster/exec-plugin.ts';
import type { ExecConfig } from '#cli/cluster/kubeconfig-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'selvage-plugin-'));
afterAll(() => rmSync(folder, { recursive: true }));

const cluster = { server: 'https://k', caPem: 'CA' };

/** A program that appends what it was told to `asked` and prints a credential. */
function plugin(script: string, more: Partial<ExecConfig> = {}): ExecConfig {
  const command = join(folder, `plugin-${Math.random().toString(36).slice(2)}`);
  writeFileSync(command, `#!/bin/sh\n${script}\n`);
  chmodSync(command, 0o755);
  return {
    apiVersion: 'client.authentication.k8s.io/v1',
    command,
    args: [],
    env: [],
    interactiveMode: 'Never',
    installHint: '',
    provideClusterInfo: false,
    ...more,
  };
}

function credential(status: object): string {
  return JSON.stringify({ kind: 'ExecCredential', status });
}

test('the program runs once until its credential is about to expire', async () => {
  const asked = join(folder, 'asked');
  const printed = credential({ token: 'abc', expirationTimestamp: '2026-01-01T01:00:00Z' });
  let now = Date.parse('2026-01-01T00:00:00Z');
  const script = `echo run >> ${asked}; echo '${printed}'`;
  const credentials = new PluginCredentials(plugin(script), cluster, () => now);
  const together = await Promise.all([credentials.current(), credentials.current()]);
  expect(together.map(({ token }) => token)).toEqual(['abc', 'abc']);
  now = Date.parse('2026-01-01T00:59:00Z');
  await credentials.current();
  expect(readFileSync(asked, 'utf8')).toBe('run\n');
  now = Date.parse('2026-01-01T00:59:55Z');
  await credentials.current();
  expect(readFileSync(asked, 'utf8')).toBe('run\nrun\n');
});

test('it gets its arguments, its environment and, when asked for, the cluster', async () => {
  const seen = join(folder, 'seen');
  const script = `echo "$1 $WHO $KUBERNETES_EXEC_INFO" > ${seen}; echo '${credential({ token: 't' })}'`;
  const config = plugin(script, {
    args: ['get-token'],
    env: [['WHO', 'me']],
    provideClusterInfo: true,
  });
  await new PluginCredentials(config, cluster).current();
  const [word, who, info = ''] = readFileSync(seen, 'utf8').split(' ');
  expect([word, who]).toEqual(['get-token', 'me']);
  expect(JSON.parse(info)).toMatchObject({
    kind: 'ExecCredential',
    apiVersion: 'client.authentication.k8s.io/v1',
    spec: { interactive: false, cluster: { server: 'https://k' } },
  });
});

test.each([
  ['a program that fails', plugin('exit 3'), 'ended with 3'],
  [
    'a program that is not there',
    plugin('', { command: join(folder, 'no'), installHint: 'get it at x' }),
    /cannot be run: .*ENOENT\nget it at x/,
  ],
  ['another version', plugin('', { apiVersion: 'client.authentication.k8s.io/v9' }), 'v9'],
  ['a terminal that is not there', plugin('', { interactiveMode: 'Always' }), 'wants a terminal'],
  ['no JSON', plugin('echo hello'), 'what is no JSON'],
])('%s is told with its name', async (_, config, message) => {
  const failure = new PluginCredentials(config, cluster).current();
  await expect(failure).rejects.toThrow(CallError);
  await expect(failure).rejects.toThrow(message);
});

test('a mistake quotes nothing of what the program printed', () => {
  const secret = credential({ token: 'hunter2', expirationTimestamp: 'soon' });
  expect(() => parseCredential(secret, 'p')).toThrow(
    'the plugin p printed a status.expirationTimestamp',
  );
  expect(() => parseCredential(secret, 'p')).not.toThrow(/hunter2/);
});

test('whatever is printed is a credential or a mistake that is told', () => {
  const status = fc.dictionary(
    fc.constantFrom('token', 'clientCertificateData', 'clientKeyData', 'expirationTimestamp'),
    fc.oneof(fc.string(), fc.constantFrom('2026-01-01T00:00:00Z', 1, null)),
  );
  const text = fc.oneof(
    fc.string(),
    fc.jsonValue().map((v) => JSON.stringify(v)),
    status.map(credential),
  );
  fc.assert(
    fc.property(text, (printed) => {
      const outcome = attempt(() => parseCredential(printed, 'p'));
      expect(outcome instanceof CallError || outcome.token + outcome.certPem !== '').toBe(true);
    }),
  );
});

function attempt<T>(make: () => T): T | CallError {
  try {
    return make();
  } catch (error) {
    if (error instanceof CallError) return error;
    throw error;
  }
}
