// Token exchange on the way out: a caller's sidecar, a real token endpoint and a callee, through real sockets.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { exportPKCS8, exportSPKI, generateKeyPair, importSPKI, jwtVerify, SignJWT } from 'jose';
import { afterEach, beforeEach, expect, test } from 'vitest';

import {
  exchange,
  plain,
  received,
  Rig,
  serviceOf,
  spiffe,
  type HttpReply,
  type SidecarOptions,
  type TestSidecar,
} from '../rig.ts';
import { give, sendJson, tokenEndpoint, type TokenEndpoint } from './token-endpoint.ts';

let rig: Rig;
let folder = '';
beforeEach(async () => {
  rig = await Rig.create();
  folder = await mkdtemp(join(tmpdir(), 'selvage-exchange-'));
});
afterEach(async () => {
  await rig.close();
  await rm(folder, { recursive: true });
});

async function caller(
  { port }: Pick<TokenEndpoint, 'port'>,
  spec = '',
  more: SidecarOptions = {},
): Promise<TestSidecar> {
  const application = await rig.application();
  const policies = `
apiVersion: selvage.dev/v1alpha1
kind: TokenExchange
metadata: { name: out, namespace: shop }
spec:
  hosts: [payments.shop.svc.cluster.local]
  tokenEndpoint: http://127.0.0.1:${port}/token?tenant=a
  ${spec.split('\n').join('\n  ')}
`;
  const services = [
    serviceOf('payments', [{ port: application.port }]),
    serviceOf('ledger', [{ port: application.port }]),
  ];
  return rig.sidecar({ account: 'web', services, policies, ...more });
}

async function call(
  sidecar: TestSidecar,
  authorization: string,
  host = 'payments',
): Promise<HttpReply> {
  const line = authorization === '' ? '' : `authorization: ${authorization}\r\n`;
  const raw = `GET http://${host}.shop.svc.cluster.local/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${line}\r\n`;
  return exchange(await plain(sidecar.outboundPort), raw);
}

function tokenOf(reply: HttpReply): string | undefined {
  expect(reply.status).toBe(200);
  return received(reply).headers['authorization'];
}

test('a call gets a token for its audience, kept for the next one; others keep theirs', async () => {
  const endpoint = await tokenEndpoint(rig);
  const sidecar = await caller(
    endpoint,
    `audience: payments
resource: https://payments/
scopes: [read, write]
requestedTokenType: jwt
subject: { type: jwt }
client: { id: "web & co", secretFile: ${join(folder, 'secret')} }`,
  );
  await writeFile(join(folder, 'secret'), 's:e c+ret\n');
  expect(tokenOf(await call(sidecar, 'Bearer alice'))).toBe('Bearer payments~alice~1');
  expect(tokenOf(await call(sidecar, 'bearer alice'))).toBe('Bearer payments~alice~1');
  expect(tokenOf(await call(sidecar, 'Bearer bob'))).toBe('Bearer payments~bob~2');
  expect(tokenOf(await call(sidecar, 'Bearer alice', 'ledger'))).toBe('Bearer alice');
  expect(endpoint.asked).toHaveLength(2);
  const { form, headers } = endpoint.asked[0] ?? { form: {}, headers: {} };
  expect(form).toEqual({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: 'alice',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    requested_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    audience: 'payments',
    resource: 'https://payments/',
    scope: 'read write',
  });
  const pair = Buffer.from(headers.authorization?.slice(6) ?? '', 'base64').toString();
  expect(pair).toBe('web+%26+co:s%3Ae+c%2Bret');
});

test('many calls at once with one token are one exchange', async () => {
  const endpoint = await tokenEndpoint(rig, (asked, response, count) => {
    setTimeout(() => give()(asked, response, count), 100);
  });
  const sidecar = await caller(endpoint);
  const replies = await Promise.all(Array.from({ length: 20 }, () => call(sidecar, 'Bearer a')));
  expect(new Set(replies.map(tokenOf))).toEqual(new Set(['Bearer all~a~1']));
  expect(endpoint.asked).toHaveLength(1);
});

test('the unused longest goes first, and what ends soon, or at no known time, is not kept', async () => {
  const endpoint = await tokenEndpoint(rig);
  const sidecar = await caller(endpoint, 'cache: { maxTokens: 2 }');
  for (const name of ['a', 'b', 'a', 'c', 'a', 'b']) await call(sidecar, `Bearer ${name}`);
  expect(endpoint.asked.map(({ form }) => form['subject_token'])).toEqual(['a', 'b', 'c', 'b']);
  for (const more of [{ expires_in: 20 }, {}, { expires_in: -5 }, { expires_in: 'soon' }]) {
    const short = await tokenEndpoint(rig, give(more));
    const other = await caller(short);
    expect(tokenOf(await call(other, 'Bearer a'))).toBe('Bearer all~a~1');
    expect(tokenOf(await call(other, 'Bearer a'))).toBe('Bearer all~a~2');
  }
});

test('no token is kept past the end of the one that was given', async () => {
  const endpoint = await tokenEndpoint(rig);
  const sidecar = await caller(endpoint);
  const key = new TextEncoder().encode('a key of the issuer that nobody here has');
  const endsIn = (time: string): Promise<string> =>
    new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setExpirationTime(time).sign(key);
  const soon = await endsIn('20s');
  const later = await endsIn('1h');
  for (const token of [soon, soon, later, later]) await call(sidecar, `Bearer ${token}`);
  expect(endpoint.asked.map(({ form }) => form['subject_token'])).toEqual([soon, soon, later]);
});

test('an endpoint that says no is a 502 with its reason, one that says nothing of use a 503', async () => {
  const answers: readonly [number, unknown][] = [
    [400, { error: 'invalid_grant', error_description: 'nope' }],
    [401, { error: 'in<va>lid' }],
    [500, { error: 'server_error' }],
    [200, { access_token: 'a b', token_type: 'Bearer' }],
    [200, { access_token: 'a\r\nx: y', token_type: 'Bearer' }],
    [200, { access_token: 'a', token_type: 'DPoP' }],
    [200, 'text'],
    [200, null],
  ];
  const endpoint = await tokenEndpoint(rig, (_asked, response, count) => {
    const [status, body] = answers[count - 1] ?? [500, ''];
    sendJson(response, status, body);
  });
  const sidecar = await caller(endpoint);
  const replies: HttpReply[] = [];
  for (const [i] of answers.entries()) replies.push(await call(sidecar, `Bearer t${i}`));
  expect(replies.map(({ status }) => status)).toEqual([502, 502, 503, 503, 503, 503, 503, 503]);
  expect(replies[0]?.body).toBe('token exchange refused: invalid_grant');
  expect(sidecar.telemetry.ended.map(({ details }) => details).slice(0, 3)).toEqual([
    'token_exchange_refused{invalid_grant}',
    'token_exchange_refused{status 401}',
    'token_exchange_failed{the endpoint answered 500}',
  ]);
});

test('an endpoint that hangs or is not there fails closed, or open where that is asked for', async () => {
  const hanging = await tokenEndpoint(rig, () => undefined);
  for (const endpoint of [hanging, { port: 1 }]) {
    const closed = await caller(endpoint, 'timeout: 100ms');
    expect((await call(closed, 'Bearer a')).status).toBe(503);
    const open = await caller(endpoint, 'timeout: 100ms\nonFailure: allow');
    expect(tokenOf(await call(open, 'Bearer a'))).toBe('Bearer a');
  }
});

test('a call without one token goes as it is, or not at all', async () => {
  const endpoint = await tokenEndpoint(rig);
  const open = await caller(endpoint);
  expect(tokenOf(await call(open, ''))).toBeUndefined();
  expect(tokenOf(await call(open, 'Basic YTpi'))).toBe('Basic YTpi');
  const closed = await caller(endpoint, 'onMissing: deny');
  expect((await call(closed, '')).status).toBe(502);
  expect((await call(closed, 'Bearer a\r\nauthorization: Bearer b')).status).toBe(502);
  expect(endpoint.asked).toHaveLength(0);
});

test('a token of a file is exchanged, whatever the call has; a client may post its secret', async () => {
  const endpoint = await tokenEndpoint(rig);
  const [file, secretFile] = [join(folder, 'token'), join(folder, 'secret')];
  await Promise.all([writeFile(file, 'of-the-workload\n'), writeFile(secretFile, 'hush')]);
  const sidecar = await caller(
    endpoint,
    `subject: { from: file, file: ${file} }\nclient: { id: web, method: post, secretFile: ${secretFile} }`,
  );
  expect(tokenOf(await call(sidecar, 'Bearer user'))).toBe('Bearer all~of-the-workload~1');
  expect(endpoint.asked[0]?.form).toMatchObject({ client_id: 'web', client_secret: 'hush' });
  expect(endpoint.asked[0]?.headers.authorization).toBeUndefined();
});

test('a client proves itself by an assertion that it signs, good for one endpoint and one minute', async () => {
  const endpoint = await tokenEndpoint(rig);
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const keyFile = join(folder, 'key.pem');
  await writeFile(keyFile, await exportPKCS8(privateKey));
  const client = `client: { id: web, method: private_key_jwt, keyFile: ${keyFile}, algorithm: ES256, keyId: k1 }`;
  const sidecar = await caller(endpoint, client);
  await call(sidecar, 'Bearer a');
  const form = endpoint.asked[0]?.form ?? {};
  expect(form['client_assertion_type']).toBe(
    'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  );
  const key = await importSPKI(await exportSPKI(publicKey), 'ES256');
  const { payload, protectedHeader } = await jwtVerify(form['client_assertion'] ?? '', key, {
    issuer: 'web',
    subject: 'web',
    audience: `http://127.0.0.1:${endpoint.port}/token?tenant=a`,
    maxTokenAge: 60,
  });
  expect(protectedHeader.kid).toBe('k1');
  expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(60);
  await rm(keyFile);
  expect((await call(sidecar, 'Bearer b')).body).toContain('the client has no credentials');
});

test('an endpoint of the mesh is asked with mutual TLS, and tokens outlive a new snapshot', async () => {
  const endpoint = await tokenEndpoint(rig);
  const issuer = await rig.sidecar({ account: 'issuer', application: endpoint.port });
  const application = await rig.application();
  const identity = spiffe('shop', 'issuer');
  const services = [
    serviceOf('payments', [{ port: application.port }]),
    serviceOf('issuer', [{ port: issuer.inboundPort, identity }]),
  ];
  const sidecar = await caller(endpoint, '', { services });
  const policies = `
apiVersion: selvage.dev/v1alpha1
kind: TokenExchange
metadata: { name: out, namespace: shop }
spec: { hosts: ["*.shop.svc.cluster.local"], tokenEndpoint: "http://issuer.shop:80/token" }
`;
  sidecar.apply({ policies });
  expect(tokenOf(await call(sidecar, 'Bearer a'))).toBe('Bearer all~a~1');
  expect(issuer.telemetry.ended).toHaveLength(1);
  const enforced = sidecar.inForce.current();
  if (enforced === null) throw new Error('nothing is in force');
  sidecar.inForce.apply({ ...enforced.snapshot, version: 99 });
  expect(tokenOf(await call(sidecar, 'Bearer a'))).toBe('Bearer all~a~1');
  expect(sidecar.faults).toEqual([]);
});
