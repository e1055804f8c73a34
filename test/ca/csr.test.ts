// Certificate requests: each bad kind has its code, and nothing that is thrown at the parser gets further than a refusal.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { planLeaf } from '#ca/authority.ts';
import { parseCsr } from '#ca/csr.ts';
import { Refusal } from '#ca/refusal.ts';
import { createKeyAndCsr } from '#runtime/tls/csr.ts';
import {
  bitString,
  context,
  element,
  integer,
  oid,
  sequence,
  tags,
  toPem,
} from '#runtime/tls/der.ts';
import { temporaryFolder } from './fixture.ts';

const folder = temporaryFolder();
afterAll(() => rmSync(folder, { recursive: true }));

const caller = { namespace: 'shop', serviceAccount: 'orders', pod: '', podUid: '' };
const identity = 'spiffe://cluster.local/ns/shop/sa/orders';

/** '' when the request would be signed, else the code of the refusal; throws for any other error. */
function outcome(pem: string): string {
  try {
    const policy = { trustDomain: 'cluster.local', lifeSecondsMax: 60, servingNames: new Map() };
    planLeaf(caller, parseCsr(pem), 60, policy, { notBeforeMs: 0, notAfterMs: 1e15 }, 1e12);
    return '';
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
}

function request(newkey: string[], more: string[] = [], subject = '/'): string {
  const keyout = join(folder, 'key.pem');
  return execFileSync(
    'openssl',
    ['req', '-new', '-nodes', '-subj', subject, '-keyout', keyout, '-newkey', ...newkey, ...more],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );
}

const p256 = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
const curve = (name: string) => ['ec', '-pkeyopt', `ec_paramgen_curve:${name}`];
const named = (names: string) => request(p256, ['-addext', `subjectAltName=${names}`]);

test('our own request, with LF or CRLF and spaces around it, is accepted', () => {
  const { csrPem } = createKeyAndCsr();
  expect(outcome(csrPem)).toBe('');
  expect(outcome(`\n  ${csrPem.replaceAll('\n', '\r\n')}\n`)).toBe('');
  expect(outcome(csrPem.replaceAll('CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'))).toBe('');
});

test.each<[string, string, () => string]>([
  ['RSA 1024', 'csr-key-weak', () => request(['rsa:1024'])],
  ['RSA 8192', 'csr-key-unsupported', () => build(rsaKey(1024, [1, 0, 1]))],
  [
    'an RSA exponent of 2048 bits',
    'csr-key-unsupported',
    () => build(rsaKey(256, Array(256).fill(3))),
  ],
  ['an RSA exponent of 1', 'csr-key-weak', () => build(rsaKey(256, [1]))],
  ['P-521', 'csr-key-unsupported', () => request(curve('P-521'))],
  ['secp256k1', 'csr-key-unsupported', () => request(curve('secp256k1'))],
  [
    'explicit curve parameters',
    'csr-key-unsupported',
    () => request([...p256, '-pkeyopt', 'ec_param_enc:explicit']),
  ],
  ['Ed25519', 'csr-key-unsupported', () => request(['ed25519'])],
  ['SHA-1', 'csr-signature-unsupported', () => request(p256, ['-sha1'])],
  [
    'RSA-PSS',
    'csr-signature-unsupported',
    () => request(['rsa:2048'], ['-sigopt', 'rsa_padding_mode:pss']),
  ],
  [
    'the URI of somebody else',
    'csr-identity-other',
    () => named('URI:spiffe://cluster.local/ns/a/sa/b'),
  ],
  ['the own URI and another', 'csr-identity-other', () => named(`URI:${identity},URI:https://x`)],
  ['a DNS name', 'csr-identity-other', () => named('DNS:orders.shop')],
  ['an IP address', 'csr-identity-other', () => named('IP:127.0.0.1')],
  ['an e-mail address', 'csr-identity-other', () => named('email:a@b.test')],
  [
    'another identity as subject',
    'csr-identity-other',
    () => request(p256, [], '/CN=spiffe:\\/\\/cluster.local\\/ns\\/a\\/sa\\/b'),
  ],
  [
    'a CA',
    'csr-asks-for-ca',
    () => request(p256, ['-addext', 'basicConstraints=critical,CA:TRUE']),
  ],
  ['nothing', 'csr-malformed', () => ''],
  ['text', 'csr-malformed', () => 'please'],
  ['too much', 'csr-too-large', () => `${createKeyAndCsr().csrPem}${' '.repeat(20_000)}`],
  ['two requests', 'csr-malformed', () => createKeyAndCsr().csrPem + createKeyAndCsr().csrPem],
  ['bytes after the end', 'csr-malformed', () => edited((der) => Buffer.concat([der, der]))],
  ['a cut request', 'csr-malformed', () => edited((der) => der.subarray(0, 60))],
  ["another request's signature", 'csr-signature-invalid', foreignSignature],
  ['a key that is no point of the curve', 'csr-malformed', pointOffCurve],
])('a request with %s is refused as %s', (_what, code, make) => {
  expect(outcome(make())).toBe(code);
});

test('a request that names its own identity, or has any other subject, is accepted', () => {
  expect(outcome(named(`URI:${identity}`))).toBe('');
  expect(outcome(request(p256, [], '/O=cluster.local/CN=orders'))).toBe('');
  expect(outcome(request(p256, ['-addext', 'keyUsage=digitalSignature']))).toBe('');
});

test('the message of a refused name is printable, whatever the name', () => {
  const config = join(folder, 'c.cnf');
  writeFileSync(config, '[req]\ndistinguished_name=d\n[d]\n');
  const { csrPem } = createKeyAndCsr();
  const csr = parseCsr(csrPem);
  const evil = { ...csr, requested: { ...csr.requested, uris: ['x\n{"forged":1}'] } };
  const plan = () =>
    planLeaf(
      caller,
      evil,
      1,
      { trustDomain: 'cluster.local', lifeSecondsMax: 60, servingNames: new Map() },
      { notBeforeMs: 0, notAfterMs: 1e15 },
      1e12,
    );
  expect(plan).toThrow('the request names x?{"forged":1}, the token');
});

test('any bytes as a request are refused with a code', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      expect(outcome(toPem('CERTIFICATE REQUEST', bytes))).toMatch(/^csr-/);
    }),
    { numRuns: 500, seed: 5 },
  );
});

test('any text as a request is refused with a code', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
      expect(outcome(text)).toMatch(/^csr-/);
    }),
    { numRuns: 300, seed: 6 },
  );
});

test('a good request with any bytes changed is refused with a code, never signed and never a crash', () => {
  const samples = [createKeyAndCsr().csrPem, named(`URI:${identity}`), request(['rsa:2048'])].map(
    derOf,
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...samples),
      fc.array(fc.tuple(fc.nat(2000), fc.integer({ min: 1, max: 255 })), {
        minLength: 1,
        maxLength: 4,
      }),
      (sample, changes) => {
        const der = Buffer.from(sample);
        for (const [at, mask] of changes) der[at % der.length] = (der[at % der.length] ?? 0) ^ mask;
        const changed = !der.equals(sample);
        expect(outcome(toPem('CERTIFICATE REQUEST', der)) !== '').toBe(changed);
      },
    ),
    { numRuns: 1500, seed: 7 },
  );
});

test('a good request cut or with bytes put in is refused with a code', () => {
  const sample = derOf(named(`URI:${identity}`));
  fc.assert(
    fc.property(fc.nat(sample.length - 1), fc.uint8Array({ maxLength: 8 }), (at, bytes) => {
      const der = Buffer.concat([sample.subarray(0, at), bytes, sample.subarray(at + 1)]);
      fc.pre(!der.equals(sample));
      expect(outcome(toPem('CERTIFICATE REQUEST', der))).toMatch(/^csr-/);
    }),
    { numRuns: 500, seed: 8 },
  );
});

function derOf(pem: string): Buffer {
  return Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64');
}

function edited(edit: (der: Buffer) => Buffer): string {
  return toPem('CERTIFICATE REQUEST', edit(derOf(createKeyAndCsr().csrPem)));
}

function foreignSignature(): string {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return build(publicKey.export({ type: 'spki', format: 'der' }));
}

function pointOffCurve(): string {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const info = Buffer.from(publicKey.export({ type: 'spki', format: 'der' }));
  info[info.length - 1] = (info.at(-1) ?? 0) ^ 1;
  return build(info);
}

/** A public key that only looks like RSA: all ones. */
function rsaKey(modulusBytes: number, exponent: number[]): Buffer {
  const modulus = integer(Buffer.alloc(modulusBytes, 0xff));
  const key = sequence(modulus, integer(Buffer.from(exponent)));
  return sequence(sequence(oid('1.2.840.113549.1.1.1'), element(tags.null)), bitString(key));
}

/** A request for any key, signed by one of our own. */
function build(publicKeyInfo: Buffer): string {
  const { key } = createKeyAndCsr();
  const info = sequence(integer(Buffer.from([0])), sequence(), publicKeyInfo, context(0));
  const signature = bitString(sign('sha256', info, key));
  const algorithm = sequence(oid('1.2.840.10045.4.3.2'));
  return toPem('CERTIFICATE REQUEST', sequence(info, algorithm, signature));
}
