import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';

import {
  createKubeClient,
  KubeError,
  type KubeClient,
  type KubeObject,
  type WatchEvent,
} from '#runtime/kubernetes/client.ts';
import { Reflector, type ReflectorOptions } from '#runtime/kubernetes/reflector.ts';
import { silentLog, type Log } from '#runtime/log.ts';

import { FakeApi, status } from './fake-api.ts';

const pods = '/api/v1/pods';
const policies = '/apis/security.istio.io/v1/authorizationpolicies';
/** So that tests of failures do not wait; what the waits are is tested with a client that always fails. */
const quick = { firstMs: 1, maxMs: 5, missingEveryMs: 30, forbiddenFirstMs: 10 };

let api: FakeApi;
let client: KubeClient;
const reflectors: Reflector[] = [];

beforeEach(async () => {
  api = await FakeApi.start();
  client = createKubeClient(api.access());
});

afterEach(async () => {
  for (const reflector of reflectors.splice(0)) reflector.stop();
  await client.close();
  await api.close();
});

function reflectorOf(options: Partial<ReflectorOptions> = {}): {
  reflector: Reflector;
  changes: string[];
} {
  const changes: string[] = [];
  const reflector = new Reflector({
    client,
    path: pods,
    onChange: (key) => changes.push(key),
    log: silentLog,
    timing: quick,
    ...options,
  });
  reflectors.push(reflector);
  return { reflector, changes };
}

function put(name: string, labels: Record<string, string> = {}): void {
  api.put(pods, { metadata: { name, namespace: 'shop', labels } });
}

test('the first list comes in pages, whole before anybody is told', async () => {
  for (let i = 0; i < 1201; i += 1) put(`p${i}`);
  const sizes = new Set<number>();
  const { reflector } = reflectorOf({ onChange: () => sizes.add(reflector.objects.size) });
  expect(reflector.synced).toBe(false);
  await reflector.start();
  expect(reflector.synced).toBe(true);
  expect(reflector.objects.size).toBe(1201);
  expect([...sizes]).toEqual([1201]);
  const lists = api.seen.filter(({ query }) => query['watch'] === undefined);
  expect(lists.map(({ query }) => query['limit'])).toEqual(['500', '500', '500']);
});

test('changes after the list arrive, with kind, and without what only the server needs', async () => {
  put('a');
  const { reflector, changes } = reflectorOf();
  await reflector.start();
  put('b');
  put('a', { v: '2' });
  api.remove(pods, 'b', 'shop');
  await until(() => changes.length === 4);
  expect(changes).toEqual(['shop/a', 'shop/b', 'shop/a', 'shop/b']);
  expect([...reflector.objects.keys()]).toEqual(['shop/a']);
  expect(reflector.objects.get('shop/a')?.metadata.labels).toEqual({ v: '2' });
  expect(reflector.objects.get('shop/a')?.metadata).not.toHaveProperty('managedFields');
});

test('an object of a list says its kind, as one of a watch does', async () => {
  put('a');
  const { reflector } = reflectorOf();
  await reflector.start();
  expect(reflector.objects.get('shop/a')).toMatchObject({ kind: 'Thing', apiVersion: 'v1' });
});

test('selectors go with the list and the watch', async () => {
  put('a', { app: 'x' });
  put('b');
  const { reflector } = reflectorOf({ query: { labelSelector: 'app=x' } });
  await reflector.start();
  expect([...reflector.objects.keys()]).toEqual(['shop/a']);
  put('b', { app: 'x' });
  await until(() => reflector.objects.size === 2);
  put('a');
  await until(() => reflector.objects.size === 1);
  expect([...reflector.objects.keys()]).toEqual(['shop/b']);
});

test('a watch that is cut goes on where it was, with no new list', async () => {
  put('a');
  const { reflector, changes } = reflectorOf();
  await reflector.start();
  await until(() => api.watches === 1);
  for (const how of ['reset', 'half', 'end'] as const) {
    api.cutWatches(how);
    put(`during-${how}`);
    await until(() => reflector.objects.has(`shop/during-${how}`));
    await until(() => api.watches === 1);
  }
  expect(lists().length).toBe(1);
  expect(changes).toEqual(['shop/a', 'shop/during-reset', 'shop/during-half', 'shop/during-end']);
});

test('a bookmark moves on where a watch resumes, so that it does not expire', async () => {
  const { reflector } = reflectorOf();
  await reflector.start();
  await until(() => api.watches === 1);
  api.put('/api/v1/secrets', { metadata: { name: 'x', namespace: 'shop' } });
  api.bookmark();
  put('a');
  await until(() => reflector.objects.size === 1);
  const versions = api.seen.map(({ query }) => query['resourceVersion']);
  api.cutWatches();
  await until(() => api.watches === 1);
  expect(api.seen.at(-1)?.query['resourceVersion']).not.toBe(versions.at(-1));
  expect(lists().length).toBe(1);
});

test('after an expired watch the old objects stay until the new list is whole, then the differences are told', async () => {
  put('stays');
  put('goes');
  put('changes');
  const { reflector, changes } = reflectorOf();
  await reflector.start();
  await until(() => api.watches === 1);
  changes.length = 0;
  const release = Promise.withResolvers<void>();
  api.intercept = async ({ query }) => {
    if (query['watch'] === undefined) await release.promise;
    return undefined;
  };
  api.cutWatches();
  api.remove(pods, 'goes', 'shop');
  put('changes', { v: '2' });
  put('comes');
  api.expire();
  await until(() => lists().length === 2);
  expect([...reflector.objects.keys()].toSorted()).toEqual([
    'shop/changes',
    'shop/goes',
    'shop/stays',
  ]);
  expect(changes).toEqual([]);
  release.resolve();
  await until(() => changes.length === 3);
  expect(changes.toSorted()).toEqual(['shop/changes', 'shop/comes', 'shop/goes']);
  expect([...reflector.objects.keys()].toSorted()).toEqual([
    'shop/changes',
    'shop/comes',
    'shop/stays',
  ]);
});

test('a list that expires between its pages is begun again', async () => {
  for (let i = 0; i < 700; i += 1) put(`p${i}`);
  let expired = false;
  api.intercept = ({ query }) => {
    if (query['continue'] !== undefined && !expired) {
      expired = true;
      api.expire();
    }
    return undefined;
  };
  const { reflector } = reflectorOf();
  await reflector.start();
  expect(expired).toBe(true);
  expect(reflector.objects.size).toBe(700);
});

test('a list whose pages always expire is read in one piece in the end', async () => {
  for (let i = 0; i < 700; i += 1) put(`p${i}`);
  api.intercept = ({ query }) =>
    query['continue'] === undefined ? undefined : status(410, 'Expired', 'too old');
  const { reflector } = reflectorOf();
  await reflector.start();
  expect(reflector.objects.size).toBe(700);
});

test('an object without a name is left out and logged, in a list and in a watch, and ends neither', async () => {
  const warned: string[] = [];
  api.intercept = ({ query }) =>
    query['watch'] === undefined
      ? {
          status: 200,
          body: {
            metadata: { resourceVersion: '100' },
            items: [{ metadata: { name: 'a' } }, { metadata: {} }, null, 'x', { metadata: 'y' }],
          },
        }
      : undefined;
  const { reflector } = reflectorOf({ log: logInto(warned) });
  await reflector.start();
  await until(() => api.watches === 1);
  api.sendRaw('{"type":"ADDED","object":{"metadata":{"resourceVersion":"101"}}}');
  api.sendRaw('{"type":"ADDED","object":{"metadata":null}}');
  api.sendRaw('{"type":"ADDED","object":{"metadata":{"name":7}}}');
  put('b');
  await until(() => reflector.objects.has('shop/b'));
  expect(api.watches).toBe(1);
  expect([...reflector.objects.keys()]).toEqual(['/a', 'shop/b']);
  expect(warned.filter((line) => line.includes('without metadata.name')).length).toBe(7);
});

test('a line that is no event leads to a new list', async () => {
  put('a');
  const { reflector } = reflectorOf();
  await reflector.start();
  await until(() => api.watches === 1);
  api.sendRaw('{"type":"ADDED"}');
  await until(() => lists().length === 2);
  expect([...reflector.objects.keys()]).toEqual(['shop/a']);
});

test('a collection that does not exist is empty, and found when it comes', async () => {
  api.missing.add(policies);
  const { reflector, changes } = reflectorOf({ path: policies });
  await reflector.start();
  expect(reflector.synced).toBe(true);
  expect(reflector.objects.size).toBe(0);
  api.put(policies, { metadata: { name: 'deny', namespace: 'shop' } });
  api.missing.clear();
  await until(() => changes.length === 1);
  expect(reflector.objects.has('shop/deny')).toBe(true);
  api.missing.add(policies);
  api.cutWatches();
  await until(() => reflector.objects.size === 0);
  expect(changes).toEqual(['shop/deny', 'shop/deny']);
});

test('a collection that may not be read is logged once, with the rule to add, and read when it may be', async () => {
  const logged: string[] = [];
  let forbidden = true;
  api.intercept = () => (forbidden ? status(403, 'Forbidden', 'pods is forbidden') : undefined);
  const { reflector } = reflectorOf({ log: logInto(logged) });
  let synced = false;
  void reflector.start().then(() => (synced = true));
  await until(() => api.seen.length >= 3);
  expect(synced).toBe(false);
  const rule = '{"apiGroups":[""],"resources":["pods"],"verbs":["list","watch"]}';
  expect(logged.filter((line) => line.includes(rule)).length).toBe(1);
  forbidden = false;
  await until(() => synced);
  expect(logged.at(-1)).toContain('is read again');
});

test('a server that fails or ends every watch at once is asked ever more seldom', async () => {
  const cases: ((call: 'list' | 'watch') => Error | null)[] = [
    () => new Error('connect ECONNREFUSED'),
    (call) => (call === 'watch' ? new Error('cut') : null),
    (call) => (call === 'watch' ? new KubeError({ status: 410, reason: '', message: '' }) : null),
    () => null,
  ];
  for (const failure of cases) {
    const waits = await waitsOf(failure);
    expect(waits.length).toBe(12);
    expect(waits[0]).toBeLessThanOrEqual(300);
    for (const wait of waits.slice(8)) expect(wait).toBeGreaterThanOrEqual(15_000);
    for (const wait of waits) expect(wait).toBeLessThanOrEqual(45_000);
  }
});

test('stopped before the first list, start rejects; stopped later, nothing more is asked', async () => {
  api.intercept = () => new Promise(() => undefined);
  const { reflector } = reflectorOf();
  const started = reflector.start().catch(String);
  reflector.stop();
  expect(await started).toMatch(/stopped before the first list/);
  api.intercept = null;
  const second = reflectorOf();
  await second.reflector.start();
  await until(() => api.watches === 1);
  second.reflector.stop();
  await until(() => api.watches === 0);
  put('late');
  expect(second.reflector.objects.size).toBe(0);
});

type Step =
  | { readonly do: 'put' | 'remove'; readonly name: string; readonly value: number }
  | { readonly do: 'reset' | 'half' | 'end' | 'expire' | 'bookmark' | 'garbage' | 'fail' | 'wait' };

test('whatever is cut, expired, broken and changed: in the end it equals the server', async () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  const change = fc.record<Step & { do: 'put' | 'remove' }>({
    do: fc.constantFrom('put', 'put', 'remove'),
    name,
    value: fc.nat(3),
  });
  const fault = fc.record<Step & { do: 'wait' }>({
    do: fc.constantFrom(
      'reset',
      'half',
      'end',
      'expire',
      'bookmark',
      'garbage',
      'fail',
      'wait',
    ) as fc.Arbitrary<'wait'>,
  });
  const steps = fc.array<Step>(fc.oneof(change, fault), { minLength: 1, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const state = new Map<string, string | undefined>();
      const { reflector } = reflectorOf({
        onChange: (key) => {
          const object = reflector.objects.get(key);
          if (object === undefined) state.delete(key);
          else state.set(key, object.metadata.resourceVersion);
        },
      });
      await reflector.start();
      for (const step of script) await perform(step);
      api.intercept = null;
      const wanted = (): Map<string, string | undefined> => versionsOf(api.list(pods));
      await until(() => isEqual(versionsOf(reflector.objects.values()), wanted()));
      // Who only listens to changes knows the same.
      expect(state).toEqual(wanted());
      reflector.stop();
    }),
    { numRuns: 60, seed: 11 },
  );
});

async function perform(step: Step): Promise<void> {
  switch (step.do) {
    case 'put':
      put(step.name, { value: String(step.value) });
      break;
    case 'remove':
      api.remove(pods, step.name, 'shop');
      break;
    case 'expire':
      api.expire();
      break;
    case 'bookmark':
      api.bookmark();
      break;
    case 'garbage':
      api.sendRaw('{');
      break;
    case 'fail': {
      let left = 2;
      api.intercept = () =>
        (left -= 1) >= 0 ? status(500, 'InternalError', 'etcd is away') : undefined;
      break;
    }
    case 'wait':
      await new Promise((resolve) => setTimeout(resolve, 3));
      break;
    default:
      api.cutWatches(step.do);
  }
}

/** The first waits between turns of a reflector whose calls fail so. */
async function waitsOf(failure: (call: 'list' | 'watch') => Error | null): Promise<number[]> {
  const waits: number[] = [];
  const failing = {
    get: async () => {
      const error = failure('list');
      if (error !== null) throw error;
      return { metadata: { resourceVersion: '1' }, items: [] };
    },
    watch: () => ended(failure('watch')),
  } as unknown as KubeClient;
  const enough = Promise.withResolvers<void>();
  const reflector = new Reflector({
    client: failing,
    path: pods,
    onChange: () => undefined,
    log: silentLog,
    clock: {
      now: () => 0,
      after: (delayMs, call) => {
        waits.push(delayMs);
        if (waits.length < 12) setImmediate(call);
        else enough.resolve();
        return { cancel: () => undefined };
      },
    },
  });
  reflector.start().catch(() => undefined);
  await enough.promise;
  reflector.stop();
  return waits;
}

/** A watch with no event. */
async function* ended(error: Error | null): AsyncGenerator<WatchEvent> {
  if (error !== null) throw error;
  yield* [];
}

function lists(): unknown[] {
  return api.seen.filter(({ query }) => query['watch'] === undefined);
}

function versionsOf(objects: Iterable<KubeObject>): Map<string, string | undefined> {
  return new Map(
    [...objects].map(({ metadata }) => [
      `${metadata.namespace ?? ''}/${metadata.name}`,
      metadata.resourceVersion,
    ]),
  );
}

function isEqual<K, V>(a: ReadonlyMap<K, V>, b: ReadonlyMap<K, V>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}

function logInto(lines: string[]): Log {
  const write = (fields: object, message: string): void => {
    lines.push(`${message} ${JSON.stringify(fields)}`);
  };
  const log: Log = {
    debug: () => undefined,
    info: write,
    warn: write,
    error: write,
    child: () => log,
  };
  return log;
}

async function until(condition: () => boolean): Promise<void> {
  await expect.poll(condition, { timeout: 5000, interval: 2 }).toBe(true);
}
