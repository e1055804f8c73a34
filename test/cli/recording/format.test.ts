// Files of recorded calls are read whole or refused with their line, whatever is in them.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { CallError } from '#cli/calls/failure.ts';
import { parseRecording } from '#cli/recording/format.ts';

import { header, recorded, recordingOf } from './calls.ts';

test('what was written is read', () => {
  const calls = [recorded(), recorded({ path: '/b', facts: null })];
  expect(parseRecording(recordingOf(...calls), 'f')).toEqual({ header, calls });
});

test('a recording that was cut off lacks its last call only', () => {
  const text = recordingOf(recorded(), recorded());
  expect(parseRecording(text.slice(0, -20), 'f').calls).toHaveLength(1);
  expect(parseRecording(text.trimEnd(), 'f').calls).toHaveLength(2);
});

test.each([
  ['', /f: is no recording/],
  ['[]\n', /f: is no recording/],
  ['{"selvage":"recording","version":2}\n', /version 2/],
  [`${JSON.stringify(header)}\n{"at":1}\n`, /f:2: at is not/],
  [`${JSON.stringify(header)}\n\n{]\n`, /f:3: is no JSON/],
  [recordingOf(recorded({ port: -1 })), /f:2: port/],
  [
    recordingOf(recorded({ facts: { headers: [['a'] as unknown as [string, string]] } })),
    /f:2: facts/,
  ],
])('%j is refused', (text, message) => {
  expect(() => parseRecording(text, 'f')).toThrow(message);
});

test('no file makes it fall over', () => {
  const valid = recordingOf(recorded(), recorded({ protocol: 'TCP' }));
  const broken = fc
    .tuple(fc.nat(valid.length), fc.nat(30), fc.string())
    .map(([at, cut, more]) => valid.slice(0, at) + more + valid.slice(at + cut));
  const odd = fc.json().map((json) => `${JSON.stringify(header)}\n${json}\n`);
  const field = fc
    .tuple(fc.constantFrom(...Object.keys(recorded())), fc.jsonValue())
    .map(
      ([name, value]) =>
        `${JSON.stringify(header)}\n${JSON.stringify({ ...recorded(), [name]: value })}\n`,
    );
  fc.assert(
    fc.property(fc.oneof(broken, odd, field, fc.string()), (text) => {
      expect(outcomeOf(text)).toMatch(/^(whole|CallError)$/);
    }),
    { numRuns: 2_000, seed: 21 },
  );
});

/** What is let through is whole. */
function outcomeOf(text: string): string {
  try {
    const { calls } = parseRecording(text, 'f');
    const whole = calls.every(
      ({ source, path, facts }) =>
        typeof source.principal === 'string' &&
        typeof path === 'string' &&
        (facts === undefined || Array.isArray(facts.headers)),
    );
    return whole ? 'whole' : 'in part';
  } catch (error) {
    return error instanceof CallError ? 'CallError' : String(error);
  }
}
