import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { defaultInjection } from '#api/injection/config.ts';
import { injectPod } from '#api/injection/inject-pod.ts';
import { diffJson, equalJson, type PatchOperation } from '#api/injection/json-patch.ts';
import { createAnswers } from '#injector/answers.ts';
import { createMetrics } from '#injector/metrics.ts';
import { silentLog } from '#runtime/log.ts';

import { patched } from '../api/injection/json-patched.ts';
import { anyPod, pod } from '../api/injection/pods.ts';
import { answerOf, reviewOf } from './reviews.ts';

const config = defaultInjection('1.2.3');
const metrics = createMetrics(() => 0);
const answer = createAnswers({ config, metrics, log: silentLog });
const ask = (path: string, body: string): ReturnType<typeof answerOf> =>
  answerOf(answer(path, body).body);

function patchOf({ patch }: { patch?: string }): PatchOperation[] {
  const text = Buffer.from(patch ?? '', 'base64').toString('utf8');
  return text === '' ? [] : (JSON.parse(text) as PatchOperation[]);
}

test('a pod that asks gets a patch, under the uid of its request', () => {
  const value = pod();
  const response = ask('/inject', reviewOf(value));
  expect(response).toMatchObject({
    uid: '705ab4f5-6393-11e8-b7cc-42010a800002',
    allowed: true,
    patchType: 'JSONPatch',
  });
  const context = { namespace: 'shop', stance: 'silent' } as const;
  expect(injectPod(value, context, config)).toHaveProperty(
    'pod',
    patched(value, patchOf(response)),
  );
});

test('a dry run gets the same answer', () => {
  const body = reviewOf(pod(), { dryRun: true });
  expect(answer('/inject', body)).toEqual(answer('/inject', reviewOf(pod())));
});

test('of a namespace that opts in all pods are injected', () => {
  const silent = pod({}, { annotations: {} });
  expect(patchOf(ask('/inject', reviewOf(silent)))).toEqual([]);
  expect(patchOf(ask('/inject/opted-in', reviewOf(silent)))).not.toEqual([]);
});

test('a pod that cannot have a sidecar is refused by name, with the reason', () => {
  const value = pod({ hostNetwork: true }, { name: undefined, generateName: 'web-5d4f-' });
  expect(ask('/inject', reviewOf(value))).toMatchObject({
    allowed: false,
    status: {
      code: 403,
      message: expect.stringMatching(
        /^Pod shop\/web-5d4f- cannot have a sidecar: it has hostNetwork/,
      ),
    },
  });
});

test('warnings are single lines of no more than kubectl shows', () => {
  const annotations = { inject: 'true', [`selvage.dev/${'x'.repeat(500)}`]: '1' };
  const { warnings = [] } = ask('/inject', reviewOf(pod({}, { annotations })));
  expect(warnings).toHaveLength(1);
  expect(warnings[0]!.length).toBeLessThanOrEqual(256);
});

test('a workload gets its mark carried, and nothing else', () => {
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', labels: { inject: 'true' } },
    spec: { template: { spec: { containers: [] } } },
  };
  expect(patchOf(ask('/inject', reviewOf(deployment)))).toEqual([
    {
      op: 'add',
      path: '/spec/template/metadata',
      value: { annotations: { 'selvage.dev/workload-inject': 'true' } },
    },
  ]);
  expect(patchOf(ask('/inject', reviewOf(deployment, { operation: 'DELETE' })))).toEqual([]);
  expect(patchOf(ask('/inject', reviewOf(deployment, { namespace: 'kube-system' })))).toEqual([]);
});

const policy = (spec: unknown, metadata: object = {}): object => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name: 'a', namespace: 'shop', ...metadata },
  spec,
});

test('a bad resource is refused in the words of selvage check', () => {
  expect(ask('/validate', reviewOf(policy({ action: 'DENY' })))).toMatchObject({
    allowed: false,
    status: {
      message:
        'AuthorizationPolicy shop/a: spec.action: a policy with the action DENY and no rules never matches anything [rules-missing]\n    mend: add a rule; an empty one, `- {}`, matches every request',
    },
  });
});

test('a doubtful resource is let through with a warning in one line', () => {
  const doubtful = policy({ rules: [{ from: null }] });
  const { allowed, warnings = [] } = ask('/validate', reviewOf(doubtful));
  expect(allowed).toBe(true);
  expect(warnings.join(' ')).toMatch(/from has no value.*mend: /);
  expect(warnings.join(' ')).not.toContain('\n');
});

test.each([
  ['DELETE', null, policy({ action: 'DENY' })],
  ['UPDATE', policy({ action: 'DENY' }, { finalizers: [] }), policy({ action: 'DENY' })],
])('a %s that changes no spec is let through', (operation, object, oldObject) => {
  const kind = { group: 'security.istio.io', version: 'v1', kind: 'AuthorizationPolicy' };
  const body = reviewOf({}, { operation, kind, object, oldObject });
  expect(ask('/validate', body)).toMatchObject({ allowed: true });
});

test('an update that makes a resource bad is refused', () => {
  const body = reviewOf(policy({ action: 'DENY' }), {
    operation: 'UPDATE',
    oldObject: policy({ rules: [{}] }),
  });
  expect(ask('/validate', body).allowed).toBe(false);
});

test.each([
  ['', /no JSON/],
  ['[]', /no AdmissionReview/],
  ['{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{}}', /apiVersion/],
  [reviewOf(pod(), { uid: '' }), /request\.uid/],
  [reviewOf(pod(), { operation: 'PATCH' }), /request\.operation/],
])('the body %s is refused with 400', (body, reason) => {
  for (const path of ['/inject', '/inject/opted-in', '/validate']) {
    const reply = answer(path, body);
    expect(reply.status).toBe(400);
    expect(reply.body).toMatch(reason);
  }
});

test('another path is 404, and hears which there are', () => {
  expect(answer('/mutate', reviewOf(pod()))).toMatchObject({
    status: 404,
    body: expect.stringContaining('/inject'),
  });
});

test('any pod is answered; its patch applied is the injected pod', () => {
  fc.assert(
    fc.property(anyPod, (drawn) => {
      const value = JSON.parse(JSON.stringify(drawn)) as object;
      const response = ask('/inject', reviewOf(value));
      const context = { namespace: 'shop', stance: 'silent' } as const;
      const injection = injectPod(value, context, config);
      expect(response.allowed).toBe(injection.outcome !== 'refused');
      if (injection.outcome === 'refused') return;
      const wanted: unknown = JSON.parse(JSON.stringify(injection.pod));
      expect(equalJson(patched(value, patchOf(response)), wanted)).toBe(true);
      expect(diffJson(patched(value, patchOf(response)), wanted)).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

test('any JSON in a review is answered with a review, or refused with 400', () => {
  const kinds = fc.constantFrom(
    'Pod',
    'Deployment',
    'CronJob',
    'AuthorizationPolicy',
    'ServiceEntry',
  );
  const paths = fc.constantFrom('/inject', '/inject/opted-in', '/validate');
  const groups = fc.constantFrom('v1', 'apps/v1', 'security.istio.io/v1', 'networking.istio.io/v1');
  fc.assert(
    fc.property(
      paths,
      kinds,
      groups,
      fc.jsonValue(),
      fc.jsonValue(),
      (path, kind, apiVersion, metadata, spec) => {
        const object = { apiVersion, kind, metadata, spec };
        const body = reviewOf(object, { operation: 'UPDATE', oldObject: metadata });
        expect(answerOf(answer(path, body).body).uid).not.toBe('');
        expect([200, 400]).toContain(answer(path, JSON.stringify(spec)).status);
      },
    ),
    { numRuns: 500 },
  );
});

test('what was answered is counted', async () => {
  const { body } = await metrics.render();
  expect(body).toMatch(
    /selvage_injector_reviews_total\{webhook="inject",outcome="injected",reason=""\} [1-9]/,
  );
  expect(body).toMatch(
    /selvage_injector_reviews_total\{webhook="inject",outcome="refused",reason=".+"\} [1-9]/,
  );
  expect(body).toMatch(
    /selvage_injector_review_duration_seconds_count\{webhook="validate",outcome="refused"\} [1-9]/,
  );
});

test('reasons are few, whatever names are in them', async () => {
  const counted = createMetrics(() => 0);
  for (let i = 0; i < 500; i++) {
    const reason = `nothing in team-${i} gets a sidecar`;
    counted.reviewed({ webhook: 'inject', outcome: 'none', reason, seconds: 0.001 });
  }
  const { body } = await counted.render();
  const none = body.split('\n').filter((line) => line.includes('outcome="none",reason='));
  expect(none).toHaveLength(31);
  expect(none.at(-1)).toContain('reason="other"} 470');
});
