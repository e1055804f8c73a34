// An issuer that the operator brings, in every form that openssl writes; and its replacement.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, afterAll, expect, test } from 'vitest';
import { splitPem } from '#ca/issuer.ts';
import { readPluggedIssuer } from '#ca/plugged.ts';
import {
  openssl,
  startTestCa,
  temporaryFolder,
  verifyChain,
  type StartOptions,
  type TestCa,
} from './fixture.ts';
import { createTokenMaker } from './tokens.ts';

let pki = '';
const file = (name: string) => join(pki, name);
const open: TestCa[] = [];
const folders: string[] = [];
const none = { certFile: '', keyFile: '', rootFile: '', p12File: '', passwordFile: '' };

beforeAll(() => {
  pki = temporaryFolder();
  makeAuthority('ec', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']);
  makeAuthority('rsa', ['rsa:2048']);
  writeFileSync(file('password'), 'geheim ä\n');
  writeFileSync(file('plain'), 'geheim\n');
  openssl(
    'req',
    '-new',
    '-x509',
    '-nodes',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-subj',
    '/CN=leaf',
    '-addext',
    'basicConstraints=critical,CA:FALSE',
    '-keyout',
    file('leaf.key'),
    '-out',
    file('leaf.pem'),
    '-days',
    '30',
  );
});
afterAll(() => rmSync(pki, { recursive: true }));
afterEach(async () => {
  for (const ca of open.splice(0)) await ca.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** A root, and an issuer under it with its chain. */
function makeAuthority(name: string, newkey: string[]): void {
  const ca = [
    '-addext',
    'basicConstraints=critical,CA:TRUE',
    '-addext',
    'keyUsage=critical,keyCertSign',
  ];
  const root = ['-keyout', file(`${name}-root.key`), '-out', file(`${name}-root.pem`)];
  openssl(
    'req',
    '-x509',
    '-nodes',
    '-newkey',
    ...newkey,
    '-subj',
    `/CN=${name} root`,
    '-addext',
    'keyUsage=critical,keyCertSign',
    ...root,
    '-days',
    '99',
  );
  const by = ['-CA', file(`${name}-root.pem`), '-CAkey', file(`${name}-root.key`)];
  const out = ['-keyout', file(`${name}.key`), '-out', file(`${name}.pem`)];
  openssl(
    'req',
    '-x509',
    '-nodes',
    '-newkey',
    ...newkey,
    '-subj',
    `/CN=${name} issuer`,
    ...ca,
    ...by,
    ...out,
    '-days',
    '60',
  );
  const chain =
    readFileSync(file(`${name}.pem`), 'utf8') + readFileSync(file(`${name}-root.pem`), 'utf8');
  writeFileSync(file(`${name}-chain.pem`), chain);
}

async function start(options: StartOptions): Promise<TestCa> {
  const ca = await startTestCa(options);
  open.push(ca);
  return ca;
}

function pem(name: string, key = `${name}.key`): Record<string, string> {
  return {
    SELVAGE_CA_ISSUER_CERT_FILE: file(`${name}-chain.pem`),
    SELVAGE_CA_ISSUER_KEY_FILE: file(key),
  };
}

function bundled(name: string, ...options: string[]): string {
  const out = file(`${name}${options.join('')}.p12`);
  const password = ['-passout', 'pass:geheim'];
  openssl(
    'pkcs12',
    '-export',
    '-inkey',
    file(`${name}.key`),
    '-in',
    file(`${name}-chain.pem`),
    ...options,
    ...password,
    '-out',
    out,
  );
  return out;
}

test.each(['ec', 'rsa'])(
  'a plugged %s issuer signs, with its chain up to its root',
  async (name) => {
    const ca = await start({ env: pem(name) });
    const { status, body } = await ca.sign();
    expect(status).toBe(200);
    expect(splitPem(body.chain).length).toBe(2);
    expect(body.trustBundle.trim()).toBe(readFileSync(file(`${name}-root.pem`), 'utf8').trim());
    expect(verifyChain(body.chain, body.trustBundle, 'sslclient')).toContain('OK');
    const state = readFileSync(join(ca.folder, 'state', 'issuers.json'), 'utf8');
    expect(state).not.toContain('PRIVATE KEY');
  },
);

test.each([
  ['PKCS#8, AES', 'ec', ['pkcs8', '-topk8', '-v2', 'aes256']],
  ['PKCS#8, triple DES of PKCS#12', 'ec', ['pkcs8', '-topk8', '-v1', 'PBE-SHA1-3DES']],
  ['the old form, EC', 'ec', ['ec', '-aes128']],
  ['the old form, RSA', 'rsa', ['rsa', '-traditional', '-aes128']],
])('an encrypted key is opened: %s', async (_what, name, command) => {
  const out = file('encrypted.key');
  openssl(...command, '-in', file(`${name}.key`), '-out', out, '-passout', 'pass:geheim ä');
  expect(readFileSync(out, 'utf8')).toContain('ENCRYPTED');
  const files = { ...none, certFile: file(`${name}-chain.pem`), keyFile: out };
  const issuer = await readPluggedIssuer({ ...files, passwordFile: file('password') });
  expect(issuer.keyPem).toContain('BEGIN PRIVATE KEY');
  await expect(readPluggedIssuer(files)).rejects.toThrow('give the password file');
  writeFileSync(file('wrong'), 'wrong');
  await expect(readPluggedIssuer({ ...files, passwordFile: file('wrong') })).rejects.toThrow(
    'encrypted.key cannot be used',
  );
});

test.each([
  ['EC, new ciphers', 'ec', []],
  ['RSA, new ciphers', 'rsa', []],
  [
    'EC, old ciphers',
    'ec',
    ['-keypbe', 'PBE-SHA1-3DES', '-certpbe', 'PBE-SHA1-3DES', '-macalg', 'sha1'],
  ],
])('a PKCS#12 issuer signs: %s', async (_what, name, options) => {
  const ca = await start({
    env: {
      SELVAGE_CA_ISSUER_P12_FILE: bundled(name, ...options),
      SELVAGE_CA_ISSUER_PASSWORD_FILE: file('plain'),
    },
  });
  const { body } = await ca.sign();
  expect(verifyChain(body.chain, body.trustBundle, 'sslserver')).toContain('OK');
});

test.each<[string, () => Record<string, string>, string]>([
  ['whose files are missing', () => ({ ...none, certFile: '/no', keyFile: '/no' }), 'ENOENT'],
  ['with a certificate but no key', () => ({ ...none, certFile: file('ec.pem') }), 'give both'],
  [
    'whose key belongs to another certificate',
    () => ({ ...none, certFile: file('ec-chain.pem'), keyFile: file('rsa.key') }),
    'none of the certificates belongs',
  ],
  [
    'whose chain does not reach a root',
    () => ({ ...none, certFile: file('ec.pem'), keyFile: file('ec.key') }),
    'add the certificate of "CN=ec root"',
  ],
  [
    'that is no CA',
    () => ({ ...none, certFile: file('leaf.pem'), keyFile: file('leaf.key') }),
    'no CA certificate',
  ],
  [
    'that is no key',
    () => ({ ...none, certFile: file('ec-chain.pem'), keyFile: file('ec.pem') }),
    '',
  ],
  [
    'in PKCS#12 with another password',
    () => ({ ...none, p12File: bundled('ec'), passwordFile: file('ec.pem') }),
    'cannot be used',
  ],
])('an issuer %s is refused', async (_what, files, message) => {
  await expect(readPluggedIssuer({ ...none, ...files() })).rejects.toThrow(message);
});

test("a root in a file of its own is taken, as Istio's root-cert.pem", async () => {
  const files = { ...none, certFile: file('ec.pem'), keyFile: file('ec.key') };
  const issuer = await readPluggedIssuer({ ...files, rootFile: file('ec-root.pem') });
  expect(splitPem(issuer.intermediatesPem).length).toBe(1);
});

test('a running CA takes a new issuer on reload, in phases; a broken one changes nothing', async () => {
  const links = folder();
  const cert = join(links, 'cert.pem');
  const key = join(links, 'key.pem');
  const put = (name: string) => {
    writeFileSync(cert, readFileSync(file(`${name}-chain.pem`)));
    writeFileSync(key, readFileSync(file(`${name}.key`)));
  };
  put('ec');
  const ca = await start({
    env: { SELVAGE_CA_ISSUER_CERT_FILE: cert, SELVAGE_CA_ISSUER_KEY_FILE: key },
  });
  const before = (await ca.sign()).body;
  writeFileSync(cert, 'broken');
  const refused = await ca.admin('POST', '/reload');
  expect([refused.status, refused.text]).toEqual([422, expect.stringContaining('cert.pem')]);
  expect((await ca.sign()).status).toBe(200);

  put('rsa');
  expect((await ca.admin('POST', '/reload')).text).toContain('published');
  expect((await ca.admin('POST', '/reload')).status).toBe(200);
  await ca.admin('POST', '/rotate?step=switch');
  const after = (await ca.sign()).body;
  for (const [chain, bundle] of [
    [before.chain, after.trustBundle],
    [after.chain, after.trustBundle],
    [after.chain, before.trustBundle],
  ] as const) {
    expect(verifyChain(chain, bundle, 'sslserver')).toContain('OK');
  }
});

test('from a self-signed root to a plugged issuer nothing breaks, also over a restart', async () => {
  const place = folder();
  const tokens = await createTokenMaker();
  const first = await startTestCa({ folder: place, tokens });
  const before = (await first.sign()).body;
  await first.close();
  const second = await startTestCa({ folder: place, tokens, env: pem('ec') });
  const overlap = (await second.sign()).body;
  expect(splitPem(overlap.trustBundle).length).toBe(2);
  expect(verifyChain(overlap.chain, before.trustBundle, 'sslserver')).toContain('OK');
  await second.admin('POST', '/rotate?step=switch');
  await second.close();
  const third = await start({ folder: place, tokens, env: pem('ec') });
  const after = (await third.sign()).body;
  expect(verifyChain(after.chain, before.trustBundle, 'sslserver')).toContain('OK');
  expect(verifyChain(before.chain, after.trustBundle, 'sslserver')).toContain('OK');
});

test('a CA whose plugged issuer is no longer given refuses to start, and says what to do', async () => {
  const place = folder();
  const tokens = await createTokenMaker();
  await (await startTestCa({ folder: place, tokens, env: pem('ec') })).close();
  await expect(startTestCa({ folder: place, tokens })).rejects.toThrow('SELVAGE_CA_ISSUER_*_FILE');
});

test('an issuer replaced while the CA was down signs at once, and the old root stays trusted', async () => {
  const place = folder();
  const tokens = await createTokenMaker();
  const first = await startTestCa({ folder: place, tokens, env: pem('ec') });
  const before = (await first.sign()).body;
  await first.close();
  const second = await start({ folder: place, tokens, env: pem('rsa') });
  const after = (await second.sign()).body;
  expect(verifyChain(after.chain, after.trustBundle, 'sslserver')).toContain('OK');
  expect(verifyChain(before.chain, after.trustBundle, 'sslserver')).toContain('OK');
});

function folder(): string {
  const made = temporaryFolder();
  folders.push(made);
  return made;
}
