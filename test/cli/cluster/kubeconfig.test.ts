// Kubeconfig files, read and merged as kubectl does.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';

import { CallError } from '#cli/calls/failure.ts';
import { readKubeconfig } from '#cli/cluster/kubeconfig.ts';
import { mergeKubeconfigs, parseKubeconfig } from '#cli/cluster/kubeconfig-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'selvage-kubeconfig-'));
afterAll(() => rmSync(folder, { recursive: true }));

const ca = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
const caData = Buffer.from(ca).toString('base64');
const data = (text: string): string => Buffer.from(text).toString('base64');

function write(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

/** One context `c` of a cluster and a user that the caller writes. */
function config({ cluster = '', user = '', context = '' } = {}): string {
  return [
    'apiVersion: v1',
    'kind: Config',
    'current-context: c',
    `clusters: [{name: k, cluster: {server: "https://k:6443", certificate-authority-data: ${caData}${cluster}}}]`,
    `users: [{name: u, user: {${user}}}]`,
    `contexts: [{name: c, context: {cluster: k, user: u${context}}}]`,
  ].join('\n');
}

const read = (text: string, more: { context?: string } = {}) =>
  readKubeconfig({ kubeconfig: write('config', text), env: {}, ...more });

test('the current context gives server, CA, client certificate and namespace', async () => {
  const user = `client-certificate-data: ${data('CERT')}, client-key-data: ${data('KEY')}`;
  const access = await read(config({ user, context: ', namespace: shop' }));
  expect(access).toEqual({
    server: 'https://k:6443',
    caPem: ca,
    namespace: 'shop',
    certPem: 'CERT',
    keyPem: 'KEY',
  });
});

test('the namespace is default where the context says none', async () => {
  expect(await read(config())).toMatchObject({ namespace: 'default' });
});

test('a token is given as it is, a token file is read anew at each use and wins', async () => {
  const plain = await read(config({ user: 'token: abc' }));
  expect(await plain.token?.()).toBe('abc');
  const file = write('token', 'first\n');
  const access = await read(config({ user: 'token: abc, tokenFile: token' }));
  expect(await access.token?.()).toBe('first');
  writeFileSync(file, 'second');
  expect(await access.token?.()).toBe('second');
});

test('paths are relative to the file that has them, and data wins over a file', async () => {
  write('ca.crt', ca);
  write('user.crt', 'CERT FILE');
  write('user.key', 'KEY FILE');
  const text = config({ user: 'client-certificate: user.crt, client-key: user.key' });
  const fromFile = text.replace(
    `certificate-authority-data: ${caData}`,
    'certificate-authority: ca.crt',
  );
  expect(await read(fromFile)).toMatchObject({
    caPem: ca,
    certPem: 'CERT FILE',
    keyPem: 'KEY FILE',
  });
  const both = text.replace(
    'certificate-authority-data',
    'certificate-authority: nowhere, certificate-authority-data',
  );
  expect(await read(both)).toMatchObject({ caPem: ca });
});

test('without a CA the machine decides whom to trust', async () => {
  const access = await read(config().replace(`, certificate-authority-data: ${caData}`, ''));
  expect(access.caPem.match(/BEGIN CERTIFICATE/g)?.length).toBeGreaterThan(10);
});

test('of several files the first that says something of a name has the last word on it', async () => {
  const one = write('one', 'clusters: [{name: k, cluster: {server: "https://one"}}]\n');
  const two = write('two', config({ user: 'token: two' }));
  const three = write('three', config({ user: 'token: three' }).replaceAll('name: u', 'name: v'));
  const env = { KUBECONFIG: [one, '', join(folder, 'missing'), two, three].join(delimiter) };
  const access = await readKubeconfig({ env });
  expect(access.server).toBe('https://one');
  expect(await access.token?.()).toBe('two');
});

test('the first current-context wins, --context wins over all', () => {
  const merged = mergeKubeconfigs([
    parseKubeconfig('current-context: ""', 'a'),
    parseKubeconfig('current-context: b', 'b'),
    parseKubeconfig('current-context: c', 'c'),
  ]);
  expect(merged.currentContext).toBe('b');
});

test('~/.kube/config is read where nothing else is said; in a pod without one its account', async () => {
  await expect(readKubeconfig({ env: { HOME: folder } })).rejects.toThrow(
    `there is no kubeconfig (${join(folder, '.kube/config')}): set KUBECONFIG`,
  );
  const inPod = { HOME: folder, KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '1' };
  await expect(readKubeconfig({ env: inPod })).rejects.toThrow('service account of this pod');
});

test.each([
  [
    'another context that is not there',
    config(),
    { context: 'd' },
    'has no context "d"; there are c',
  ],
  ['no context at all', config().replace('current-context: c', ''), {}, 'no context is chosen'],
  [
    'a cluster that is not there',
    config().replace('name: k', 'name: l'),
    {},
    'no cluster "k"; there are l',
  ],
  ['plain HTTP', config().replace('https://k', 'http://k'), {}, 'no https URL'],
  [
    'no verification',
    config({ cluster: ', insecure-skip-tls-verify: true' }),
    {},
    'insecure-skip-tls-verify',
  ],
  [
    'a proxy',
    config({ cluster: ', proxy-url: "http://p"' }),
    {},
    'has proxy-url, which selvage does not honour',
  ],
  [
    'another identity',
    config({ user: 'as: root' }),
    {},
    'user u has as, which selvage does not honour',
  ],
  ['a password', config({ user: 'username: a, password: b' }), {}, 'user u has username'],
  ['a number for a token', config({ user: 'token: 12' }), {}, 'users[0].user.token is no text'],
  [
    'half a certificate',
    config({ user: `client-key-data: ${data('k')}` }),
    {},
    'a client key and no certificate',
  ],
  [
    'a file that is not there',
    config({ user: 'tokenFile: "", client-certificate: x, client-key: x' }),
    {},
    'cannot be read',
  ],
  ['no base64', config({ user: 'client-key-data: "?"' }), {}, 'client-key-data is no base64'],
  ['a CA that is none', config().replace(caData, data('hello')), {}, 'holds no PEM certificate'],
  ['a list that is none', 'users: {}', {}, 'users is no list'],
  ['broken YAML', 'users: [', {}, 'config:1: '],
])('%s is refused with what is wrong', async (_, text, more, message) => {
  const failure = read(text, more);
  await expect(failure).rejects.toThrow(CallError);
  await expect(failure).rejects.toThrow(message);
});

test('a file that is named must be there', async () => {
  const kubeconfig = join(folder, 'nowhere');
  await expect(readKubeconfig({ kubeconfig, env: {} })).rejects.toThrow('there is no such file');
});

test('whatever a file holds, it is a kubeconfig or a mistake that is told', () => {
  const value = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom('', 'a', 'c', 'https://k', 12, true, null),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(
        fc.constantFrom(
          'clusters',
          'cluster',
          'users',
          'user',
          'contexts',
          'context',
          'name',
          'server',
          'exec',
          'args',
          'env',
          'command',
          'token',
          '__proto__',
          'current-context',
        ),
        tie('tree'),
        { maxKeys: 5 },
      ),
    ),
  })).tree;
  const text = fc.oneof(
    value.map((one) => JSON.stringify(one)),
    fc.string(),
  );
  fc.assert(
    fc.property(text, (written) => {
      expect(isToldOrRead(written)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

function isToldOrRead(text: string): boolean {
  try {
    return parseKubeconfig(text, 'config').clusters instanceof Map;
  } catch (error) {
    return error instanceof CallError;
  }
}
