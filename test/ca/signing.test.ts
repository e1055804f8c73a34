// Signing over the network: who gets what certificate, and who gets none and why.
import { execFile } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { requestJson } from '#runtime/h2-json.ts';
import { createKeyAndCsr } from '#runtime/tls/csr.ts';
import { openssl, startTestCa, verifyChain, type TestCa } from './fixture.ts';
import { createTokenMaker } from './tokens.ts';

let ca: TestCa;
const identity = 'spiffe://cluster.local/ns/shop/sa/orders';

beforeAll(async () => {
  ca = await startTestCa({ env: { SELVAGE_CA_RATE_PER_IDENTITY: '1000/1000' } });
});
afterAll(() => ca.close());

test('a caller gets a certificate for the identity its token proves', async () => {
  const { csrPem, keyPem } = createKeyAndCsr();
  const before = Date.now();
  const { status, body } = await ca.sign({ csr: csrPem });
  expect([status, body.identity]).toEqual([200, identity]);
  const leaf = new X509Certificate(body.chain);
  expect(leaf.checkPrivateKey(createPrivateKey(keyPem))).toBe(true);
  expect(leaf.subjectAltName).toBe(`URI:${identity}`);
  expect(leaf.ca).toBe(false);
  expect(leaf.validToDate.toISOString().slice(0, 19)).toBe(body.notAfter.slice(0, 19));
  expect(leaf.validToDate.getTime() - before).toBeGreaterThan(86_398_000);
  expect(before - leaf.validFromDate.getTime()).toBeGreaterThanOrEqual(119_000);
  expect(body.trustBundle).toBe(await ca.bundle());
});

test('openssl verifies the chain strictly, for servers and for clients', async () => {
  const { body } = await ca.sign();
  for (const purpose of ['sslserver', 'sslclient']) {
    expect(verifyChain(body.chain, body.trustBundle, purpose)).toContain('OK');
  }
  expect(() => verifyChain(body.chain, body.trustBundle, 'smimesign')).toThrow('purpose');
});

test('the certificate is an X.509-SVID: critical names, digitalSignature, both usages, no CA', async () => {
  const { body } = await ca.sign();
  const file = join(ca.folder, 'leaf.pem');
  writeFileSync(file, body.chain);
  const text = openssl('x509', '-in', file, '-noout', '-text');
  expect(text).toMatch(/Subject Alternative Name: critical\s+URI:spiffe/);
  expect(text).toMatch(/X509v3 Key Usage: critical\s+Digital Signature\n/);
  expect(text).toMatch(/Extended Key Usage: \s+TLS Web Server Authentication, TLS Web Client/);
  expect(text).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
  expect(text).toMatch(/Subject: \n/);
  expect(text).toContain('ecdsa-with-SHA256');
});

test('serial numbers are 128 random bits', async () => {
  const serials = await Promise.all(
    Array.from({ length: 20 }, async () => new X509Certificate((await ca.sign()).body.chain)),
  );
  const digits = serials.map((leaf) => leaf.serialNumber);
  expect(new Set(digits).size).toBe(20);
  expect(Math.max(...digits.map((serial) => serial.length))).toBeLessThanOrEqual(32);
  expect(Math.max(...digits.map((serial) => serial.length))).toBeGreaterThanOrEqual(30);
});

test('a shorter life is granted, a longer one cut to the limit, a senseless one refused', async () => {
  expect(await lifeOf(60)).toBeLessThanOrEqual(60);
  expect(await lifeOf(60)).toBeGreaterThan(55);
  expect(await lifeOf(1e9)).toBeLessThanOrEqual(86_400);
  for (const lifeSeconds of [0, -5, 1.5]) {
    const { status, body } = await ca.sign({ lifeSeconds });
    expect([status, body.code]).toEqual([400, 'life-refused']);
  }
});

test('RSA and P-384 keys are certified too', async () => {
  for (const algorithm of [['rsa:2048'], ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384']]) {
    const { status, body } = await ca.sign({ csr: opensslCsr(algorithm) });
    expect(status).toBe(200);
    expect(verifyChain(body.chain, body.trustBundle, 'sslclient')).toContain('OK');
  }
});

test('curl over HTTP/1.1 is served as well', async () => {
  const { csrPem } = createKeyAndCsr();
  const { stdout } = await promisify(execFile)('curl', [
    '-sS',
    '--max-time',
    '5',
    '--http1.1',
    '--cacert',
    join(ca.folder, 'state', 'trust-bundle.pem'),
    '-H',
    `authorization: Bearer ${await ca.tokens.make()}`,
    '-d',
    JSON.stringify({ csr: csrPem }),
    `https://127.0.0.1:${ca.ca.port}/v1/certificates`,
  ]);
  expect(JSON.parse(stdout)).toMatchObject({ identity });
});

test('the trust bundle needs no token', async () => {
  const reply = await requestJson({
    url: `https://localhost:${ca.ca.port}/v1/trust-bundle`,
    method: 'GET',
    ca: await ca.bundle(),
    timeoutMs: 5000,
  });
  expect([reply.status, reply.body]).toEqual([200, await ca.bundle()]);
});

const now = Math.floor(Date.now() / 1000);
const other = await createTokenMaker();
test.each<[string, string, () => string | Promise<string>]>([
  ['expired', 'token-expired', () => ca.tokens.make({ exp: now - 60 })],
  ['not valid yet', 'token-early', () => ca.tokens.make({ nbf: now + 600 })],
  ['for another audience', 'token-audience', () => ca.tokens.make({ aud: 'istio-ca' })],
  ['for no audience', 'token-audience', () => ca.tokens.make({ aud: undefined })],
  ['of another issuer', 'token-issuer', () => ca.tokens.make({ iss: 'https://else' })],
  ['signed by a foreign key', 'token-signature', () => other.make()],
  ['without expiry', 'token-malformed', () => ca.tokens.make({ exp: undefined })],
  ['with algorithm none', 'token-algorithm', () => ca.tokens.makeUnsigned()],
  [
    'signed by the public key as a secret',
    'token-algorithm',
    () => ca.tokens.makeWithPublicKeyAsSecret(),
  ],
  ['that is no JWT', 'token-malformed', () => 'abc'],
  ['of a user', 'token-subject', () => ca.tokens.make({ sub: 'alice' })],
  [
    'whose service account climbs into another path',
    'token-subject',
    () => ca.tokens.make({ sub: 'system:serviceaccount:shop:x/sa/admin' }),
  ],
  [
    'whose namespace is empty',
    'token-subject',
    () => ca.tokens.make({ sub: 'system:serviceaccount::a' }),
  ],
])('a token %s is refused as %s', async (_what, code, token) => {
  const { status, body } = await ca.sign({ token: await token() });
  expect([status, body.code]).toEqual([401, code]);
  expect(body.message).not.toBe('');
});

test('a call without a token is refused', async () => {
  const { status, body, headers } = await raw('POST', '/v1/certificates', { csr: '' });
  expect([status, (body as { code: string }).code]).toEqual([401, 'token-missing']);
  expect(headers['www-authenticate']).toBe('Bearer');
});

test('replaced keys count at once, and a broken key set leaves the good one', async () => {
  const own = await startTestCa();
  try {
    expect((await own.sign()).status).toBe(200);
    const file = join(own.folder, 'jwks.json');
    await new Promise((resolve) => setTimeout(resolve, 1100));
    writeFileSync(file, 'broken');
    expect((await own.sign()).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await other.writeJwks(file);
    expect((await own.sign()).body.code).toBe('token-signature');
    expect((await own.sign({ token: await other.make() })).status).toBe(200);
  } finally {
    await own.close();
  }
});

test.each([
  ['GET', '/v1/certificates', 405, 'method-refused'],
  ['GET', '/', 404, 'path-unknown'],
  ['GET', '/__proto__', 404, 'path-unknown'],
] as const)('%s %s is %i', async (method, path, status, code) => {
  const reply = await raw(method, path);
  expect([reply.status, (reply.body as { code: string }).code]).toEqual([status, code]);
});

test('a body that is no JSON, or has no request, is refused', async () => {
  const reply = await raw('POST', '/v1/certificates', ['x'], await ca.tokens.make());
  expect(reply).toMatchObject({ status: 400, body: { code: 'request-malformed' } });
});

test('a body that is too large is refused', async () => {
  const huge = { csr: 'x'.repeat(100_000) };
  const reply = await raw('POST', '/v1/certificates', huge, await ca.tokens.make());
  expect(reply).toMatchObject({ status: 413, body: { code: 'body-too-large' } });
  const large = await ca.sign({ csr: 'x'.repeat(20_000) });
  expect([large.status, large.body.code]).toEqual([413, 'csr-too-large']);
});

test('above its rate an identity is told when to come back, and others are served', async () => {
  const own = await startTestCa({ env: { SELVAGE_CA_RATE_PER_IDENTITY: '0.5/2' } });
  try {
    expect([(await own.sign()).status, (await own.sign()).status]).toEqual([200, 200]);
    const reply = await requestJson({
      url: `https://localhost:${own.ca.port}/v1/certificates`,
      method: 'POST',
      body: { csr: createKeyAndCsr().csrPem },
      bearer: await own.tokens.make(),
      ca: await own.bundle(),
      timeoutMs: 5000,
    });
    expect(reply).toMatchObject({ status: 429, body: { code: 'rate-limited' } });
    expect(Number(reply.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    const token = await own.tokens.make({ sub: 'system:serviceaccount:shop:billing' });
    expect((await own.sign({ token })).status).toBe(200);
  } finally {
    await own.close();
  }
});

test('every certificate leaves a line in the audit before it is given out', async () => {
  const { body } = await ca.sign({
    token: await ca.tokens.make({ sub: 'system:serviceaccount:shop:audited' }),
  });
  const lines = readFileSync(ca.auditFile, 'utf8').trim().split('\n');
  const entries = lines.map((line) => JSON.parse(line) as Record<string, string>);
  const entry = entries.find(({ identity }) => identity?.endsWith('/audited'));
  const leaf = new X509Certificate(body.chain);
  expect(entry).toMatchObject({
    audit: 'certificate-issued',
    notAfter: body.notAfter,
    caller: '127.0.0.1',
    keyFingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  expect(entry?.['serial']?.replace(/^0+/, '')).toBe(
    leaf.serialNumber.toLowerCase().replace(/^0+/, ''),
  );
});

test('metrics count what was issued and refused, and tell when the issuer expires', async () => {
  await ca.sign({ token: 'abc' });
  const { text } = await ca.admin('GET', '/stats/prometheus');
  expect(text).toMatch(/selvage_ca_certificates_issued_total [1-9]/);
  expect(text).toMatch(/selvage_ca_refusals_total\{code="token-malformed"\} [1-9]/);
  expect(text).toMatch(/selvage_ca_signing_duration_seconds_count [1-9]/);
  const expiry = /selvage_ca_issuer_expiry_timestamp_seconds (\d+)/.exec(text)?.[1];
  expect(Number(expiry) * 1000).toBeGreaterThan(Date.now() + 9 * 365 * 86_400_000);
  expect((await ca.admin('GET', '/ready')).text).toBe('ready\n');
});

test("the CA's own certificate carries its names and its SPIFFE ID", async () => {
  const bundle = await ca.bundle();
  const names = await new Promise<string | undefined>((resolve, reject) => {
    const socket = connect({
      port: ca.ca.port,
      host: '127.0.0.1',
      servername: 'selvage-ca',
      ca: bundle,
    });
    socket.on('secureConnect', () => {
      resolve(socket.getPeerX509Certificate()?.subjectAltName);
      socket.destroy();
    });
    socket.on('error', reject);
  });
  expect(names).toContain('URI:spiffe://cluster.local/ns/selvage-system/sa/selvage-ca');
  expect(names).toContain('DNS:selvage-ca.selvage-system.svc.cluster.local');
  expect(names).toContain('IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1');
});

function raw(method: 'GET' | 'POST', path: string, body?: unknown, bearer?: string) {
  return ca.bundle().then((bundle) =>
    requestJson({
      url: `https://localhost:${ca.ca.port}${path}`,
      method,
      body,
      bearer,
      ca: bundle,
      timeoutMs: 5000,
    }),
  );
}

async function lifeOf(lifeSeconds: number): Promise<number> {
  const { body } = await ca.sign({ lifeSeconds });
  return Math.round((Date.parse(body.notAfter) - Date.now()) / 1000);
}

function opensslCsr(newkey: string[]): string {
  const keyout = join(ca.folder, 'k.pem');
  return openssl('req', '-new', '-nodes', '-subj', '/', '-keyout', keyout, '-newkey', ...newkey);
}
