import { expect, test } from 'vitest';

import type { Service, Snapshot } from '#api/snapshot.ts';
import type { RouteGroup } from '#api/traffic/route.ts';
import { encodeUpdate, type Line } from '#control/push/encode.ts';

import { webSnapshot } from './fixtures.ts';

const services: readonly Service[] = ['one', 'two'].map((name) => ({
  name,
  namespace: 'a',
  hosts: [`${name}.a`],
  addresses: [],
  ports: [],
}));
const routes: readonly RouteGroup[] = [
  { key: 'r', hosts: ['one.a'], port: 80, http: [], tls: [], tcp: [] },
];

function text(line: Line): string {
  return Buffer.concat(line).toString();
}

function other(snapshot: Snapshot, name: string): Snapshot {
  return { ...snapshot, workload: { ...snapshot.workload, name } };
}

test.each([
  ['without lists', {}],
  ['with services', { services }],
  ['with routes and destinations', { services, routes, destinations: [] }],
])('a snapshot %s is one line that reads back as itself', (_, lists) => {
  const snapshot = { ...webSnapshot(1, ['x']), ...lists };
  const line = text(encodeUpdate(null, snapshot));
  expect(line.endsWith('}\n') && line.indexOf('\n') === line.length - 1).toBe(true);
  expect(JSON.parse(line)).toEqual({ type: 'snapshot', snapshot });
});

test('a delta of every list reads back as itself', () => {
  const before = webSnapshot(1, ['x']);
  const after = { ...webSnapshot(2, ['y']), services, routes };
  expect(JSON.parse(text(encodeUpdate(before, after)))).toMatchObject({
    type: 'delta',
    delta: {
      from: 1,
      to: 2,
      policies: { set: [{ metadata: { name: 'allow-y' } }] },
      services: { set: services, remove: [] },
      routes: { set: routes, remove: [] },
    },
  });
});

test('where only services changed all workloads of a namespace get the same bytes', () => {
  const before = { ...webSnapshot(1, ['x']), services };
  const after = { ...before, version: 2, services: services.slice(1) };
  const web = encodeUpdate(before, after);
  const api = encodeUpdate(other(before, 'api'), other(after, 'api'));
  expect(api).toBe(web);
  const late = { ...other(before, 'late'), version: 7 };
  expect(JSON.parse(text(encodeUpdate(late, { ...late, version: 8, services: after.services }))))
    // Another number is another line.
    .toMatchObject({ delta: { from: 7, to: 8 } });
});

test('where more than services changed each workload gets a line of its own', () => {
  const before = { ...webSnapshot(1, ['x']), services };
  const after = { ...before, version: 2, services: services.slice(1) };
  const denied = { ...after, policies: [] };
  expect(text(encodeUpdate(before, after))).not.toContain('policies');
  expect(text(encodeUpdate(before, denied))).toContain('policies');
});
