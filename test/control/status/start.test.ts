import { afterEach, beforeEach, expect, test } from 'vitest';

import { Census } from '#control/status/census.ts';
import { startStatus, type Status } from '#control/status/start.ts';
import { createKubeClient, type KubeClient } from '#runtime/kubernetes/client.ts';
import { silentLog } from '#runtime/log.ts';
import { FakeApi, status, type NewObject } from '#test/runtime/kubernetes/fake-api.ts';

import { policy, SmallControl, webDeployment } from './small-control.ts';

const policies = '/apis/security.istio.io/v1/authorizationpolicies';
const timing = {
  busyMs: 10,
  idleMs: 20,
  debounceMs: 5,
  doubtMs: 50,
  messageEveryMs: 0,
  setbackGraceMs: 0,
};

let api: FakeApi;
let client: KubeClient;
let control: SmallControl;
const started: Status[] = [];

beforeEach(async () => {
  api = await FakeApi.start();
  client = createKubeClient(api.access());
  control = new SmallControl();
});

afterEach(async () => {
  await Promise.all(started.splice(0).map((one) => one.stop()));
  await client.close();
  await api.close();
});

function start(replica: string, over: Partial<typeof timing> = {}): Status {
  const { sessions, snapshots } = control;
  const census = new Census({
    sessions,
    snapshots,
    resources: () => control.resources,
    svid: () => null,
    log: silentLog,
    replica,
  });
  const namespace = 'selvage-system';
  const source = { problems: () => control.problems };
  const options = { client, namespace, census, source, snapshots, log: silentLog };
  const one = startStatus({ ...options, timing: { ...timing, ...over } });
  started.push(one);
  return one;
}

/** As a user applies it: the API server has it, and control reads it. */
function apply(...values: object[]): void {
  for (const value of values) api.put(policies, value as NewObject);
  control.take(webDeployment, ...api.list(policies));
}

function conditions(name: string): Record<string, { status: string; message: string }> {
  const { conditions = [] } = (api.get(policies, name, 'shop')?.['status'] ?? {}) as {
    conditions?: { type: string; status: string; message: string; lastTransitionTime: string }[];
  };
  return Object.fromEntries(conditions.map(({ type, ...rest }) => [type, rest]));
}

function writes(): unknown[] {
  return api.seen.filter(({ method, path }) => method === 'PATCH' && path.endsWith('/status'));
}

test('a policy is accepted, then enforced when every sidecar acknowledged it, and then left alone', async () => {
  control.connect('web-0');
  control.connect('web-1');
  apply(policy('admit', 1));
  start('a');
  await until(() => conditions('admit')['Enforced']?.message === 'enforced by 0 of 2 sidecars');
  control.acknowledge('web-0');
  await until(() => conditions('admit')['Enforced']?.message === 'enforced by 1 of 2 sidecars');
  control.acknowledge();
  await until(() => conditions('admit')['Enforced']?.status === 'True');
  expect(conditions('admit')).toMatchObject({
    Accepted: { status: 'True', message: 'valid', reason: 'Accepted' },
    Enforced: { status: 'True', message: 'enforced by 2 of 2 sidecars', reason: 'Enforced' },
  });
  expect(api.get(policies, 'admit', 'shop')?.['status']).toMatchObject({ observedGeneration: 1 });
  const before = writes().length;
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(writes().length).toBe(before);
});

test('a new generation is pending until the sidecars have it', async () => {
  control.connect('web-0');
  apply(policy('admit', 1));
  control.acknowledge();
  start('a');
  await until(() => conditions('admit')['Enforced']?.status === 'True');
  apply(policy('admit', 2, { action: 'ALLOW' }));
  await until(() => conditions('admit')['Enforced']?.status === 'False');
  control.acknowledge();
  await until(() => conditions('admit')['Enforced']?.status === 'True');
  expect(api.get(policies, 'admit', 'shop')?.['status']).toMatchObject({ observedGeneration: 2 });
});

test('an invalid policy is told so, in the words of check', async () => {
  control.connect('web-0');
  apply(policy('bad', 1, { action: 'PERHAPS' }));
  start('a');
  await until(() => conditions('bad')['Accepted']?.status === 'False');
  expect(control.problems[0]?.message).toBeTruthy();
  expect(conditions('bad')['Accepted']?.message).toContain(control.problems[0]?.message);
  expect(conditions('bad')['Enforced']).toMatchObject({ status: 'False', reason: 'NotAccepted' });
});

function service(name: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'shop' },
    spec: { ports: [{ port: 80 }] },
  };
}

test('a route of the Gateway API is told what became of it at each parent', async () => {
  const routes = '/apis/gateway.networking.k8s.io/v1/httproutes';
  const metadata = { name: 'r', namespace: 'shop', generation: 1 };
  const parentRef = { group: '', kind: 'Service', name: 'payments' };
  const route = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata,
    spec: {
      parentRefs: [parentRef],
      rules: [{ backendRefs: [{ name: 'absent', port: 80 }] }],
    },
    status: { parents: [{ parentRef, controllerName: 'other.dev/one', conditions: [] }] },
  };
  const parents = (): {
    controllerName: string;
    conditions: { type: string; reason: string }[];
  }[] =>
    (api.get(routes, 'r', 'shop')?.['status'] as { parents: never[] } | undefined)?.parents ?? [];
  const reasons = (): string[] => parents()[1]?.conditions.map(({ reason }) => reason) ?? [];
  api.put(routes, route);
  control.take(service('payments'), route);
  start('a');
  await until(() => parents().length === 2);
  expect(parents()[0]?.controllerName).toBe('other.dev/one');
  expect(parents()[1]).toMatchObject({ parentRef, controllerName: 'selvage.dev/mesh' });
  expect(reasons()).toEqual(['Accepted', 'BackendNotFound', 'NoSidecars']);
  control.take(service('payments'), service('absent'), route);
  await until(() => reasons()[1] === 'ResolvedRefs');
  control.take(service('absent'), route);
  await until(() => reasons()[0] === 'NoMatchingParent');
});

test('routes and rules are enforced when every sidecar acknowledged the snapshot that they went into', async () => {
  const routes = '/apis/gateway.networking.k8s.io/v1/httproutes';
  const rules = '/apis/networking.istio.io/v1/destinationrules';
  const metadata = { name: 'r', namespace: 'shop', generation: 1 };
  const route = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata,
    spec: {
      parentRefs: [{ group: '', kind: 'Service', name: 'payments' }],
      rules: [{ backendRefs: [{ name: 'payments', port: 80 }] }],
    },
  };
  const rule = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata,
    spec: { host: 'payments', trafficPolicy: { loadBalancer: { simple: 'RANDOM' } } },
  };
  api.put(routes, route);
  api.put(rules, rule);
  control.connect('web-0');
  control.take(webDeployment, service('payments'), route, rule);
  interface Told {
    conditions?: { type: string; status: string; message: string }[];
    parents?: Told[];
  }
  const enforced = (path: string): string => {
    const told = api.get(path, 'r', 'shop')?.['status'] as Told | undefined;
    const { conditions = [] } = told?.parents?.[0] ?? told ?? {};
    const { status: holds, message } = conditions.find(({ type }) => type === 'Enforced') ?? {};
    return `${holds}: ${message}`;
  };
  start('a');
  const both = (text: string): boolean => [routes, rules].every((path) => enforced(path) === text);
  await until(() => both('False: enforced by 0 of 1 sidecars'));
  control.acknowledge();
  await until(() => both('True: enforced by 1 of 1 sidecars'));
  expect(api.get(routes, 'r', 'shop')?.['status']).toMatchObject({
    parents: [
      { conditions: [{ type: 'Accepted' }, { type: 'ResolvedRefs' }, { observedGeneration: 1 }] },
    ],
  });
});

test('conditions that another controller wrote stay', async () => {
  const reconciled = { type: 'Reconciled', status: 'True', reason: 'r', message: 'istiod' };
  apply({ ...policy('admit', 1), status: { conditions: [reconciled], validationMessages: [1] } });
  start('a');
  await until(() => conditions('admit')['Accepted']?.status === 'True');
  expect(conditions('admit')['Reconciled']).toMatchObject({ message: 'istiod' });
  expect(api.get(policies, 'admit', 'shop')?.['status']).toMatchObject({ validationMessages: [1] });
});

test('a status that another wrote meanwhile is not overwritten', async () => {
  apply(policy('admit', 1));
  let other = false;
  api.intercept = ({ method, path }) => {
    if (method !== 'PATCH' || !path.endsWith('/admit/status') || other) return undefined;
    other = true;
    const present = api.get(policies, 'admit', 'shop') as NewObject;
    const theirs = { conditions: [{ type: 'Theirs', status: 'True' }] };
    api.put(policies, { ...present, status: theirs });
    return undefined;
  };
  start('a');
  await until(() => conditions('admit')['Accepted']?.status === 'True');
  expect(conditions('admit')['Theirs']).toMatchObject({ status: 'True' });
});

test('at most 10 statuses are written in a second', async () => {
  apply(...Array.from({ length: 30 }, (_, i) => policy(`p${i}`, 1)));
  const atMs: number[] = [];
  api.intercept = ({ method }) => {
    if (method === 'PATCH') atMs.push(performance.now());
    return undefined;
  };
  start('a');
  await until(() => atMs.length >= 25);
  // 24 gaps of 100 ms; the first may have waited for a connection.
  expect((atMs[24] ?? 0) - (atMs[0] ?? 0)).toBeGreaterThanOrEqual(2000);
}, 15_000);

test('of two replicas one writes, and the other when it is gone', async () => {
  apply(policy('admit', 1));
  const a = start('a');
  await until(() => conditions('admit')['Accepted']?.status === 'True');
  start('b');
  await a.stop();
  apply(policy('second', 1));
  await until(() => conditions('second')['Accepted']?.status === 'True', 12_000);
  const leases = '/apis/coordination.k8s.io/v1/leases';
  const lease = api.get(leases, 'selvage-control-status', 'selvage-system');
  expect(lease?.['spec']).toMatchObject({
    holderIdentity: expect.stringMatching(/^b_/) as string,
    leaseTransitions: 1,
  });
}, 20_000);

test('a CRD without the subresource, or no right to write, is asked once and not again and again', async () => {
  const refusals = [
    status(404, 'NotFound', 'the server could not find the requested resource'),
    status(403, 'Forbidden', 'may not patch'),
  ];
  for (const [i, refusal] of refusals.entries()) {
    api.intercept = ({ path }) => (path.endsWith('/status') ? refusal : undefined);
    apply(policy(`one-${i}`, 1), policy(`two-${i}`, 1));
    const before = writes().length;
    const one = start(`replica-${i}`);
    await until(() => writes().length > before, 12_000);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(writes().length - before).toBe(1);
    await one.stop();
  }
}, 30_000);

test('CRDs that are not installed are no mistake', async () => {
  api.missing.add(policies);
  start('a');
  await until(() => api.seen.some(({ path }) => path === policies));
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(writes()).toEqual([]);
});

async function until(condition: () => boolean, timeoutMs = 5000): Promise<void> {
  await expect.poll(condition, { timeout: timeoutMs, interval: 5 }).toBe(true);
}
