// What the doctor says of a cluster in which one thing is wrong.
import { expect, test } from 'vitest';

import { diagnose } from '#cli/doctor.ts';
import type { Finding } from '#cli/doctor/finding.ts';
import { findingsJson, renderFindings } from '#cli/doctor/report.ts';
import type { ClusterState } from '#cli/doctor/state.ts';

import {
  barePod,
  crds,
  hourMs,
  inventory,
  lastingRoot,
  nowMs,
  otherRoot,
  pod,
  resources,
  root,
  sidecar,
  wellState,
} from './state.ts';

/** Findings that are more than ok, of all checks. */
function amiss(change: Partial<ClusterState>): Finding[] {
  const strict = 'i strict';
  return diagnose(wellState(change)).filter(
    ({ check, level }) => level !== 'ok' && strict !== `i ${check}`,
  );
}

function only(change: Partial<ClusterState>): Finding {
  const found = amiss(change);
  expect(found).toHaveLength(1);
  return found[0] as Finding;
}

test('a cluster in which all is well has no problem and a line for each check', () => {
  expect(amiss({})).toEqual([]);
  const text = renderFindings(diagnose(wellState()), false);
  expect(text).toBe(
    [
      '✓ api-server: Kubernetes v1.34.4 at https://k:6443',
      '✓ installation: selvage-ca has 2 of 2 replicas ready',
      '✓ installation: selvage-control has 2 of 2 replicas ready',
      '✓ installation: selvage-injector has 2 of 2 replicas ready',
      '✓ crds: definitions of Selvage: AuthorizationPolicy, PeerAuthentication, RequestAuthentication, ApiKeyAuthentication, TokenExchange',
      '✓ crds: definitions of Istio: ServiceEntry',
      '✓ certificates: the root "CN=one" ends in 60d',
      '✓ certificates: the trust bundle is in each of 2 namespaces',
      '✓ certificates: the certificate of selvage-ca ends in 20h',
      '✓ certificates: the certificate of selvage-control ends in 20h',
      '✓ certificates: the certificate of selvage-injector ends in 20h',
      '✓ certificates: the first certificate to end, of 1 sidecar asked, ends in 12h',
      "✓ webhook: MutatingWebhookConfiguration selvage-injector is there, and trusts the mesh's CA",
      "✓ webhook: ValidatingWebhookConfiguration selvage-injector is there, and trusts the mesh's CA",
      '✓ injection: a pod that asks for a sidecar gets one (dry run in default)',
      '✓ versions: everything is of version 0.1.0',
      '✓ capture: no sidecar and no init container is in trouble',
      '✓ missing-sidecars: every pod that asks for a sidecar has one',
      '✓ in-sync: 1 sidecar, all in sync with control',
      '✓ policies: nothing amiss in 0 resources',
      'i strict: no PeerAuthentication asks for mutual TLS: sidecars take plaintext as well',
      '    do: once every caller is in the mesh: a PeerAuthentication with mtls.mode STRICT',
      'no problem, 0 warnings',
      '',
    ].join('\n'),
  );
});

test('what cannot be read is said, and the rest is still looked at', () => {
  const why = 'GET /api/v1/pods: 403 Forbidden: no';
  const found = amiss({ inventory: { unknown: why } });
  expect(new Set(found.map(({ level }) => level))).toEqual(new Set(['unknown']));
  expect(found.map(({ check }) => check)).toContain('missing-sidecars');
  expect(findingsJson(found)).toMatchObject({ problems: 0, unknown: found.length });
});

test('an old Kubernetes is told to be too old', () => {
  expect(only({ apiVersion: 'v1.28.2' })).toMatchObject({ check: 'api-server', level: 'problem' });
});

const image = 'selvage/selvage:0.1.0';
const deployed = (name: string, ready: number, wanted = 2) => ({ name, image, ready, wanted });

test('what is not installed is one problem, not one for each part', () => {
  const found = amiss({ deployments: { value: [] } });
  expect(found.map(({ message }) => message)).toEqual([
    'Selvage is not installed: selvage-system has none of its Deployments',
  ]);
});

test('a Deployment without a ready replica says what ails its pods', () => {
  const waiting = { reason: 'CrashLoopBackOff', message: 'back-off' };
  const state = { name: 'ca', ready: false, restartCount: 4, state: { waiting } };
  const owner = { kind: 'ReplicaSet', name: 'selvage-ca-5d9', uid: 'x', controller: true };
  const systemPods = [
    pod('selvage-ca-5d9-a', {
      meta: { ownerReferences: [owner] },
      status: { containerStatuses: [state] },
    }),
  ];
  const deployments = [
    deployed('selvage-ca', 0),
    deployed('selvage-control', 1),
    deployed('selvage-injector', 1, 1),
  ];
  const found = amiss({ deployments: { value: deployments }, systemPods: { value: systemPods } });
  expect(found.map(({ level, message }) => `${level}: ${message}`)).toEqual([
    'problem: selvage-ca has 0 of 2 replicas ready: selvage-ca-5d9-a: CrashLoopBackOff back-off',
    'warning: selvage-control has 1 of 2 replicas ready',
    'warning: selvage-injector has 1 of 1 replicas ready: its node is all it takes',
  ]);
});

test('kinds that the cluster does not know, or in no version of ours, are problems', () => {
  const [first, ...rest] = crds;
  expect(only({ crds: { value: rest } }).message).toMatch(
    'does not know AuthorizationPolicy (security',
  );
  const newer = { ...first!, versions: ['v2'] };
  expect(only({ crds: { value: [newer, ...rest] } }).message).toMatch(
    'served as v2; Selvage reads v1',
  );
  const waiting = { ...first!, established: false };
  expect(only({ crds: { value: [waiting, ...rest] } }).message).toMatch('not established');
});

test('a root that ends soon is a warning, one that has ended a problem, one that is followed by another neither', () => {
  const dayMs = 24 * hourMs;
  const later = {
    served: { value: [] },
    sidecars: { value: [] },
    sidecarEnds: { value: new Map<string, number>() },
    inventory: inventory([]),
  };
  expect(only({ ...later, nowMs: nowMs + 40 * dayMs })).toMatchObject({ level: 'warning' });
  expect(only({ ...later, nowMs: nowMs + 100 * dayMs })).toMatchObject({
    level: 'problem',
    message: expect.stringContaining('ended'),
  });
  const both = root.certPem + lastingRoot.certPem;
  const caBundles = [both];
  const webhooks = (['Mutating', 'Validating'] as const).map((one) =>
    ours(`${one}WebhookConfiguration`, caBundles),
  );
  const bundles = new Map(['selvage-system', 'default', 'shop'].map((name) => [name, both]));
  const rotated = { bundles: { value: bundles }, webhooks: { value: webhooks } };
  expect(only({ ...later, ...rotated, nowMs: nowMs + 100 * dayMs })).toMatchObject({
    level: 'note',
    message: expect.stringContaining('another follows it'),
  });
});

test('namespaces without the trust bundle, and those with another, are named', () => {
  const bundles = new Map([
    ['selvage-system', root.certPem],
    ['shop', otherRoot.certPem],
  ]);
  expect(amiss({ bundles: { value: bundles } }).map(({ message }) => message)).toEqual([
    '1 namespace without the trust bundle, where no sidecar can start: default',
    "1 namespace with another trust bundle than the mesh's: shop",
  ]);
  expect(only({ bundles: { value: new Map() } }).message).toMatch(
    'selvage-ca-root-cert is missing',
  );
});

test('a bundle of two roots is the same in whatever order', () => {
  const [a, b] = [root.certPem + otherRoot.certPem, otherRoot.certPem + root.certPem];
  const names = ['selvage-system', 'default', 'shop'];
  const bundles = new Map(names.map((name, i) => [name, i === 1 ? b : a] as const));
  const found = amiss({ bundles: { value: bundles } });
  expect(found.map(({ check }) => check)).toEqual(['webhook', 'webhook']);
});

test('a certificate that is near its end was not renewed; one that nobody serves is no answer', () => {
  const near = { by: 'selvage-ca', endsMs: nowMs + hourMs, failure: '' };
  expect(only({ served: { value: [near] } })).toMatchObject({ level: 'warning' });
  expect(only({ served: { value: [{ ...near, endsMs: nowMs - hourMs }] } })).toMatchObject({
    level: 'problem',
    message: expect.stringContaining('ended 60m ago'),
  });
  const silent = { ...near, endsMs: null, failure: 'ECONNREFUSED' };
  expect(only({ served: { value: [silent] } }).message).toMatch(/does not answer .*ECONNREFUSED/);
  const ends = new Map([['shop/web-1', nowMs + hourMs]]);
  expect(only({ sidecarEnds: { value: ends } }).message).toMatch('not renewed in time: shop/web-1');
});

const ours = (
  kind: 'MutatingWebhookConfiguration' | 'ValidatingWebhookConfiguration',
  caBundles: string[],
) => ({
  kind,
  name: 'selvage-injector',
  labels: { 'app.kubernetes.io/part-of': 'selvage' },
  caBundles,
});

test('webhooks that are missing, trust nobody or another CA are problems', () => {
  const good = [root.certPem];
  const mutating = (pems: string[]) => ({
    value: [
      ours('MutatingWebhookConfiguration', pems),
      ours('ValidatingWebhookConfiguration', good),
    ],
  });
  expect(only({ webhooks: mutating(['', ...good]) }).message).toMatch(
    '1 of 2 webhooks has no caBundle',
  );
  expect(only({ webhooks: mutating([otherRoot.certPem]) }).message).toMatch(
    "is not the mesh's trust bundle",
  );
  const none = { value: [ours('ValidatingWebhookConfiguration', good)] };
  const refused = { value: { namespace: 'default', containers: [], refusal: '' } };
  // That the dry run brings no sidecar is no further news then.
  expect(only({ webhooks: none, injection: refused }).message).toMatch(
    'there is no MutatingWebhookConfiguration',
  );
  const other = {
    kind: 'MutatingWebhookConfiguration',
    name: 'istio-sidecar-injector',
    labels: {},
    caBundles: [],
  } as const;
  const both = { value: [...mutating(good).value, other] };
  expect(only({ webhooks: both })).toMatchObject({
    level: 'warning',
    message: expect.stringContaining('istio-sidecar-injector'),
  });
});

const dry = (more: object) => ({
  value: { namespace: 'shop', containers: ['app'], refusal: '', ...more },
});

test('a dry run that is refused, or comes back as it went, is a problem', () => {
  expect(only({ injection: dry({}) }).message).toBe(
    'a pod that asks for a sidecar gets none in shop',
  );
  const refusal = 'failed calling webhook "pod.injector.selvage.dev": connection refused';
  expect(only({ injection: dry({ refusal }) })).toMatchObject({
    message: expect.stringContaining(refusal),
    mend: expect.stringContaining('kubectl logs'),
  });
});

test('sidecars of another version than control are told by workload, with the restart', () => {
  const old = pod('web-2', {
    spec: {
      initContainers: [{ name: 'selvage-proxy', image: 'r.io:5000/selvage:0.0.9@sha256:ab' }],
    },
  });
  const sidecars = { value: [sidecar('web-1'), sidecar('web-2')] };
  expect(only({ inventory: inventory([pod('web-1'), old]), sidecars })).toMatchObject({
    check: 'versions',
    level: 'warning',
    message: 'Deployment shop/web has sidecars of version 0.0.9; control is 0.1.0',
    mend: 'kubectl rollout restart -n shop deployment/web',
  });
  const parts = [
    deployed('selvage-ca', 2),
    deployed('selvage-control', 2),
    { ...deployed('selvage-injector', 2), image: 'x:0.2.0' },
  ];
  expect(only({ deployments: { value: parts } }).message).toMatch(
    'different versions: 0.1.0, 0.2.0',
  );
});

test('an init container that fails says so in its own words', () => {
  const terminated = { exitCode: 1, reason: 'Error', message: 'iptables: no nat table' };
  const states = [
    {
      name: 'selvage-init',
      restartCount: 3,
      state: { waiting: { reason: 'CrashLoopBackOff' } },
      lastState: { terminated },
    },
  ];
  const broken = pod('web-1', { status: { phase: 'Pending', initContainerStatuses: states } });
  expect(only({ inventory: inventory([broken]) })).toMatchObject({
    check: 'capture',
    message: 'selvage-init of shop/web-1: CrashLoopBackOff: iptables: no nat table',
    mend: expect.stringMatching(/kubectl logs -n shop web-1 -c selvage-init; .*NET_ADMIN/),
  });
});

test('pods without a sidecar are told by workload, once', () => {
  const before = { creationTimestamp: new Date(nowMs - 5 * hourMs).toISOString() };
  const pods = [pod('web-1'), barePod('a', { ...before }), barePod('b', { ...before })];
  expect(only({ inventory: inventory(pods) })).toMatchObject({
    check: 'missing-sidecars',
    message: 'Deployment shop/web (2 pods) has no sidecar: it is older than the webhook',
  });
});

test('sidecars that are lost, behind or refuse are told apart; a new pod has time', () => {
  const young = pod('new', { meta: { creationTimestamp: new Date(nowMs - 1000).toISOString() } });
  const waiting = { name: 'selvage-proxy', state: { waiting: { reason: 'ContainerCreating' } } };
  const pulled = pod('pulled', {
    status: { phase: 'Pending', initContainerStatuses: [waiting] },
  });
  const pods = inventory([pod('a'), pod('b'), pod('c'), young, pulled]);
  const sidecars = [
    sidecar('b', { inSync: false }),
    sidecar('c', { inSync: false, refused: 'bad' }),
  ];
  const found = amiss({ inventory: pods, sidecars: { value: sidecars } });
  expect(found.map(({ level, message }) => `${level}: ${message}`)).toEqual([
    'problem: 1 sidecar not connected to control, so that no change reaches it: shop/a',
    'problem: 1 sidecar refused its newest snapshot (shop/c): bad',
    'warning: 1 sidecar behind the newest snapshot: shop/b',
  ]);
});

const loose = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: loose, namespace: shop}
spec: {selector: {matchLabels: {app: nobody}}, rules: [{}]}
---
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: shop}
spec: {containers: [{name: c}]}
`;

test('policies that refer to nothing are warnings, broken ones problems, and many are cut short', () => {
  const found = only({ resources: resources(loose) });
  expect(found).toMatchObject({ check: 'policies', level: 'warning' });
  expect(found.message).toMatch('no workload in shop has the labels {app: nobody}');
  const many = Array.from({ length: 14 }, (_, i) => loose.replace('name: loose', `name: p${i}`));
  const broken = loose.replace('spec: {selector', 'spec: {action: MAYBE, selector');
  const all = amiss({ resources: resources([...many, broken].join('---\n')) });
  expect(all).toHaveLength(11);
  expect(all[0]).toMatchObject({ level: 'problem' });
  expect(all[10]).toMatchObject({ level: 'note', message: expect.stringMatching(/^and \d+ more/) });
});

test('STRICT says who is outside the mesh, which is no fault', () => {
  const yaml =
    'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default, namespace: shop}\nspec: {mtls: {mode: STRICT}}\n';
  const outside = barePod('cron-1', { namespace: 'default' });
  const state = wellState({
    resources: resources(yaml),
    inventory: inventory([pod('web-1'), outside]),
  });
  expect(diagnose(state).find(({ check }) => check === 'strict')).toMatchObject({
    level: 'note',
    message:
      'STRICT mutual TLS by shop/default: 1 pod outside the mesh cannot call there: default/cron-1',
  });
});
