import { expect, test } from 'vitest';

import { loadText, type AnyResource } from '#api/load.ts';
import type { Problem } from '#api/problem.ts';
import { ChangeLog } from '#control/changes.ts';

function policies(text: string): AnyResource[] {
  const names = text.split(' ').filter((word) => word !== '');
  const documents = names.map(
    (word) => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${word[0]}, namespace: a, labels: { v: "${word}" } }
---
`,
  );
  return loadText(documents.join(''), 'a.yaml').resources;
}

const problem: Problem = {
  severity: 'error',
  code: 'c',
  message: 'wrong',
  file: 'b.yaml',
  line: 3,
};

function summary(log: ChangeLog, since: number): string[] {
  return log
    .since(since)
    .changes.map(({ seq, what, resource, file, line }) =>
      [seq, what, resource, `${file}:${line}`].join(' '),
    );
}

test('resources and problems that came, changed and went are listed with their places', () => {
  const log = new ChangeLog();
  log.record(1, policies('a1 b1'), []);
  log.record(2, policies('a2 c1'), [problem]);
  log.record(3, policies('a2 c1'), []);
  expect(summary(log, 2)).toEqual([
    '3 changed AuthorizationPolicy a/a a.yaml:1',
    '4 added AuthorizationPolicy a/c a.yaml:5',
    '5 removed AuthorizationPolicy a/b a.yaml:5',
    '6 problem  b.yaml:3',
    '7 cured  b.yaml:3',
  ]);
  expect(log.since(7)).toEqual({ changes: [], missed: false });
});

test('a resource or a problem that only moved to another line is no change', () => {
  const log = new ChangeLog();
  log.record(1, policies('a1 b1'), [problem]);
  const before = log.seq;
  expect(log.record(2, policies('a1 b1').toReversed(), [{ ...problem, line: 9 }])).toEqual([]);
  const [, b] = policies('a1 b1');
  expect(log.record(3, [...policies('a1'), b!], [problem])).toEqual([]);
  expect(log.seq).toBe(before);
});

test('who asks for changes that are forgotten already is told so', () => {
  const log = new ChangeLog(2);
  log.record(1, policies('a1 b1 c1 d1'), []);
  expect(log.since(0)).toMatchObject({ missed: true });
  expect(log.since(0).changes).toHaveLength(2);
  expect(log.since(2)).toMatchObject({ missed: false });
});

test('a wait ends with the next change, or with its time', async () => {
  const log = new ChangeLog();
  let woken = false;
  const wait = log.waitFor(0, 10_000).then(() => (woken = true));
  await Promise.resolve();
  expect(woken).toBe(false);
  log.record(1, policies('a1'), []);
  await wait;
  await log.waitFor(1, 10);
  await log.waitFor(0, 10_000);
  expect(log.seq).toBe(1);
});
