import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { readOutcomes } from './outcomes.ts';

function line(action: string, name?: string, output?: string): string {
  return JSON.stringify({ Action: action, Test: name, Output: output });
}

const basic = 'TestMesh/MeshBasic';
const weight = 'TestMesh/MeshWeight';

test('a test has passed with all its cases', () => {
  expect(
    readOutcomes([
      line('run', 'TestMesh'),
      line('run', basic),
      line('output', `${basic}/0`, 'not ready yet: wanted 200, got 503 (after 1s)\n'),
      line('pass', `${basic}/0`),
      line('pass', basic),
      line('pass', 'TestMesh'),
      line('pass'),
    ]),
  ).toEqual([{ name: 'MeshBasic', result: 'passed', cases: 1, failedCases: 0, reason: '' }]);
});

test('a test has failed with the last reason of its first case that failed', () => {
  const [outcome] = readOutcomes([
    line('pass', `${weight}/0`),
    line('output', `${weight}/1`, 'x.go:1: not ready yet: got 503 (after 1s)\n'),
    line('output', `${weight}/1`, 'x.go:1: not ready yet: got 200 (after 30s)\n'),
    line('fail', `${weight}/1`),
    line('fail', weight),
  ]);
  expect(outcome).toMatchObject({
    name: 'MeshWeight',
    result: 'failed',
    cases: 2,
    failedCases: 1,
    reason: 'got 200',
  });
});

test('what was skipped says so, and what never ended has failed', () => {
  const outcomes = readOutcomes([
    line('skip', basic),
    line('run', weight),
    'panic: test timed out',
  ]);
  expect(outcomes.map(({ name, result }) => `${name} ${result}`)).toEqual([
    'MeshBasic skipped',
    'MeshWeight failed',
  ]);
  expect(outcomes[1]?.reason).toBe('see the log');
});

test('any lines give outcomes whose cases add up', () => {
  const names = fc.constantFrom(basic, weight, `${basic}/0`, `${weight}/1`, 'TestMesh', '');
  const actions = fc.constantFrom('run', 'pass', 'fail', 'skip', 'output', 'cont');
  const told = fc.tuple(actions, names, fc.string()).map((parts) => line(...parts));
  fc.assert(
    fc.property(fc.array(fc.oneof(told, fc.string(), fc.json())), (lines) => {
      for (const { cases, failedCases, result, reason } of readOutcomes(lines)) {
        expect(failedCases).toBeLessThanOrEqual(cases);
        expect(reason !== '').toBe(result === 'failed');
      }
    }),
  );
});
