// What an edit asks of the pods that run.
import { expect, test } from 'vitest';

import type { LocalPod } from '#cli/up/plan.ts';
import { describeChanges } from '#cli/up/follow.ts';
import { podChanges } from '#cli/up/pod-changes.ts';

const pod = (name: string, changes: Partial<LocalPod> = {}): LocalPod => ({
  namespace: 'shop',
  workload: name.slice(0, name.lastIndexOf('-')),
  name,
  title: name,
  serviceAccount: 'web-sa',
  labels: { app: 'web' },
  ports: [{ port: 8080, name: 'http', names: ['http'], app: 1, listen: 2 }],
  sidecar: { outbound: 3, admin: 4 },
  bytesPorts: [],
  programs: [{ container: 'web', argv: ['node', 'web.ts'], cwd: '/shop', variables: [] }],
  ...changes,
});

test('pods that are the same are left alone, whatever they are called on the screen', () => {
  const changes = podChanges([pod('web-0')], [pod('web-0', { title: 'shop/web-0' })]);
  expect(changes).toEqual({ added: [], removed: [], changed: [] });
});

test('a program may change behind the sidecar that runs', () => {
  const after = pod('web-0', {
    labels: { app: 'web', version: 'v2' },
    programs: [{ container: 'web', argv: ['node', 'next.ts'], cwd: '/shop', variables: [] }],
  });
  expect(podChanges([pod('web-0')], [after]).changed).toMatchObject([
    { what: ['command', 'labels'], withSidecar: false },
  ]);
});

test('another account, another port or no injection takes another sidecar', () => {
  const afters = [
    pod('web-0', { serviceAccount: 'other' }),
    pod('web-0', { ports: [] }),
    pod('web-0', { sidecar: null }),
  ];
  const changed = afters.map((after) => podChanges([pod('web-0')], [after]).changed[0]);
  expect(changed.map((one) => one?.withSidecar)).toEqual([true, true, true]);
  expect(changed.map((one) => one?.what)).toEqual([['service account'], ['ports'], ['injection']]);
});

test('each workload is told of in one line', () => {
  const before = [pod('web-0'), pod('web-1'), pod('old-0')];
  const after = [
    pod('web-0', { serviceAccount: 'x' }),
    pod('web-1', { serviceAccount: 'x' }),
    pod('web-2', { serviceAccount: 'x' }),
    pod('new-0'),
  ];
  const running = new Set(['shop/web', 'shop/old']);
  expect(describeChanges(podChanges(before, after), running)).toEqual([
    'shop/web: 1 pod more started',
    'shop/new: 1 pod started',
    'shop/old: 1 pod ended',
    'shop/web: service account changed, started again',
  ]);
});
