// Attacks on a CA before a real API server: tokens that are good for something else, and requests for other names.
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openssl, verifyChain } from '#test/ca/fixture.ts';
import { reasonToSkip, startCaRig, type CaRig, type RunningCa } from './ca-rig.ts';

const reason = await reasonToSkip();
if (reason !== null) console.warn(`skipped: ${reason}`);

let rig: CaRig;
let ca: RunningCa;

beforeAll(async () => {
  if (reason !== null) return;
  rig = await startCaRig();
  ca = await rig.startCa('ca-1');
});

afterAll(async () => {
  if (reason === null) await rig.close();
});

test.skipIf(reason !== null)('the token of a pod gets a certificate of its account', async () => {
  const pod = await rig.createPod('orders');
  const { status, body } = await rig.sign(ca, await rig.token({ pod }));
  expect(status).toBe(200);
  expect(new X509Certificate(body.chain).subjectAltName).toBe(
    `URI:spiffe://cluster.local/ns/${rig.namespace}/sa/orders`,
  );
  expect(verifyChain(body.chain, body.trustBundle, 'sslserver')).toContain('OK');
  const audited = ca.lines.find((line) => line.includes('certificate-issued')) ?? '';
  expect(JSON.parse(audited)).toMatchObject({
    pod: pod.metadata.name,
    podUid: pod.metadata.uid,
  });
});

test.skipIf(reason !== null)('a token of another audience gets no certificate', async () => {
  const pod = await rig.createPod('orders');
  const audience = 'https://kubernetes.default.svc.cluster.local';
  const { status, body } = await rig.sign(ca, await rig.token({ pod, audience }));
  expect([status, body.code]).toEqual([401, 'token-audience']);
});

test.skipIf(reason !== null)(
  'a token whose audience was rewritten is refused by the API server',
  async () => {
    const pod = await rig.createPod('orders');
    const [head = '', claims = '', signature = ''] = (
      await rig.token({ pod, audience: 'other' })
    ).split('.');
    const text = Buffer.from(claims, 'base64url')
      .toString('utf8')
      .replace('"other"', '"selvage-ca"');
    const forged = [head, Buffer.from(text).toString('base64url'), signature].join('.');
    const { status, body } = await rig.sign(ca, forged);
    expect([status, body.code]).toEqual([401, 'token-refused']);
  },
);

test.skipIf(reason !== null)('a token that is bound to no pod gets no certificate', async () => {
  const { status, body } = await rig.sign(ca, await rig.token());
  expect([status, body.code]).toEqual([401, 'token-unbound']);
});

test.skipIf(reason !== null)('the token of a deleted pod gets no certificate', async () => {
  const pod = await rig.createPod('orders');
  const token = await rig.token({ pod });
  await rig.deletePod(pod);
  const { status, body } = await rig.sign(ca, token);
  expect([status, body.code]).toEqual([401, 'token-refused']);
});

test.skipIf(reason !== null)(
  'a request for another identity or for DNS names is refused, whoever asks',
  async () => {
    const token = await rig.token({ pod: await rig.createPod('orders') });
    for (const names of [
      'URI:spiffe://cluster.local/ns/selvage-system/sa/selvage-control',
      `URI:spiffe://cluster.local/ns/${rig.namespace}/sa/orders,DNS:selvage-ca.selvage-system.svc`,
    ]) {
      const { status, body } = await rig.sign(ca, token, csrFor(names));
      expect([status, body.code]).toEqual([403, 'csr-identity-other']);
    }
  },
);

function csrFor(names: string): string {
  const args = ['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  const rest = ['-nodes', '-keyout', '/dev/null', '-subj', '/', '-addext'];
  return openssl(...args, ...rest, `subjectAltName=${names}`);
}
