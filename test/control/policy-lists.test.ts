import { expect, test } from 'vitest';

import { loadText } from '#api/load.ts';
import type { PolicyResource } from '#api/snapshot.ts';
import type { Workload } from '#api/workload.ts';
import { PolicyLists } from '#control/policy-lists.ts';

function policies(...names: readonly string[]): PolicyResource[] {
  const documents = names.map((name) => {
    const [kind = '', namespace = '', app = '', version = ''] = name.split(' ');
    const selector = app === '*' ? '{}' : `{ selector: { matchLabels: { app: ${app} } } }`;
    return `apiVersion: security.istio.io/v1
kind: ${kind}
metadata: { name: of-${app === '*' ? 'all' : app}, namespace: ${namespace}, labels: { v: "${version}" } }
spec: ${selector}
---
`;
  });
  return loadText(documents.join(''), 'p.yaml').resources as PolicyResource[];
}

function workload(namespace: string, app: string): Workload {
  return { namespace, name: app, labels: { app }, serviceAccount: app, ports: [] };
}

function summary(list: readonly PolicyResource[]): string[] {
  return list.map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`);
}

const all = policies(
  'PeerAuthentication a *',
  'AuthorizationPolicy a web',
  'AuthorizationPolicy a api',
  'AuthorizationPolicy b web',
  'AuthorizationPolicy root *',
);

test('a workload has those of the root namespace and its own that select it, by kind', () => {
  const lists = new PolicyLists(all, 'root', null);
  expect(summary(lists.of(workload('a', 'web')))).toEqual([
    'AuthorizationPolicy root/of-all',
    'AuthorizationPolicy a/of-web',
    'PeerAuthentication a/of-all',
  ]);
  expect(summary(lists.of(workload('root', 'web')))).toEqual(['AuthorizationPolicy root/of-all']);
});

test('a workload keeps its list while none of its policies changes', () => {
  const [web, api, other] = [workload('a', 'web'), workload('a', 'api'), workload('b', 'web')];
  const first = new PolicyLists(all, 'root', null);
  const before = [web, api, other].map((one) => first.of(one));
  const edited = all.map((one) =>
    one.metadata.namespace === 'a' && one.metadata.name === 'of-api'
      ? policies('AuthorizationPolicy a api 2')[0]!
      : one,
  );
  const second = new PolicyLists(edited, 'root', first);
  const after = [web, api, other].map((one) => second.of(one));
  expect(after.map((list, i) => list === before[i])).toEqual([true, false, true]);
  expect(after[1]).toHaveLength(3);
  // The lists of before are what they were, also for whoever still asks for them.
  expect(first.of(api)).toEqual(before[1]);
});

test('policies that go, and another root namespace, count at once', () => {
  const web = workload('a', 'web');
  const first = new PolicyLists(all, 'root', null);
  expect(first.of(web)).toHaveLength(3);
  const second = new PolicyLists(all.slice(0, -1), 'root', first);
  expect(second.of(web)).toHaveLength(2);
  const third = new PolicyLists(all, 'b', second);
  expect(summary(third.of(web))).toContain('AuthorizationPolicy b/of-web');
});
