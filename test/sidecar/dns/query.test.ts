import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { isAnswerTo, writeAnswer, writeFailure, writeTruncated } from '#sidecar/dns/answer.ts';
import { payloadLimit, readQuery, type Query } from '#sidecar/dns/query.ts';

import { answerTo, codeOf, question } from './messages.ts';

function read(bytes: Buffer): Query {
  const query = readQuery(bytes);
  if (query?.kind !== 'query') throw new Error('it is no question');
  return query;
}

test('a question is read', () => {
  expect(read(question('API.example.com', { id: 300, type: 28 }))).toMatchObject({
    id: 300,
    host: 'api.example.com',
    type: 28,
    isInternet: true,
    payloadBytes: null,
  });
});

test.each([
  [undefined, 512],
  [100, 512],
  [1000, 1000],
  [4096, 1232],
])('who takes %s bytes by UDP is sent %d at most', (payload, limit) => {
  expect(payloadLimit(read(question('a.b', { payload })))).toBe(limit);
});

test('a dot within a label never makes another name of it', () => {
  const bytes = question('apixexample.com');
  bytes[bytes.indexOf('x')] = 0x2e;
  expect(read(bytes).host).toBeNull();
});

test.each([
  ['an answer', (q: Buffer) => answerTo(q), null],
  ['less than a header', (q: Buffer) => q.subarray(0, 11), null],
  ['an update', (q: Buffer) => change(q, 2, 0x28), 4],
  ['two questions', (q: Buffer) => change(q, 5, 2), 1],
  ['an answer in it', (q: Buffer) => change(q, 7, 1), 1],
  ['a record that is not there', (q: Buffer) => change(q, 11, 1), 1],
  ['a name without an end', (q: Buffer) => q.subarray(0, -5), 1],
  ['a compressed name', (q: Buffer) => change(q, 12, 0xc0), 1],
  ['bytes after it', (q: Buffer) => Buffer.concat([q, Buffer.from([0])]), 1],
])('%s is dropped or refused', (_, spoil, code) => {
  const answer = readQuery(spoil(question('a.example.com')));
  expect(answer === null || answer.kind === 'query' ? null : codeOf(answer.answer)).toBe(code);
  expect(answer?.kind).not.toBe('query');
});

test('whatever comes, reading never throws and answers are well formed', () => {
  const mutated = fc
    .tuple(
      fc.constantFrom(question('a.example.com'), question('x.y', { payload: 1232, type: 28 })),
      fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 6 }),
      fc.nat(60),
    )
    .map(([valid, edits, length]) => {
      const bytes = Buffer.from(valid);
      for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
      return length < 10 ? bytes : bytes.subarray(0, length);
    });
  const anything = fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes));
  let understood = 0;
  fc.assert(
    fc.property(fc.oneof(mutated, anything), (bytes) => {
      const query = readQuery(bytes);
      if (query === null) return true;
      understood += 1;
      if (query.kind === 'refused') return query.answer.length === 12;
      const records = { canonical: 'c.example.com', addresses: ['10.0.0.1', 'fd00::1'] };
      const answers = [
        writeAnswer(query, records, 30),
        writeTruncated(query),
        writeFailure(query, 2),
      ];
      const isShort = query.question.length <= 255 + 4;
      return isShort && answers.every((answer) => isAnswerTo(query, query.id, answer));
    }),
    { numRuns: 3000 },
  );
  expect(understood).toBeGreaterThan(100);
});

test('an answer is one only with the number and the question that were sent', () => {
  const query = read(question('api.example.com', { id: 9 }));
  const right = answerTo(query.bytes);
  expect(isAnswerTo(query, 9, right)).toBe(true);
  expect(isAnswerTo(query, 9, answerTo(question('API.Example.com', { id: 9 })))).toBe(true);
  expect(isAnswerTo(query, 10, right)).toBe(false);
  expect(isAnswerTo(query, 9, query.bytes)).toBe(false);
  expect(isAnswerTo(query, 9, answerTo(question('api.example.org', { id: 9 })))).toBe(false);
  expect(isAnswerTo(query, 9, answerTo(question('api.example.com', { id: 9, type: 28 })))).toBe(
    false,
  );
  const bare = Buffer.from([0, 9, 0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0]);
  expect(isAnswerTo(query, 9, bare)).toBe(true);
  expect(isAnswerTo(query, 9, change(bare, 3, 0x80))).toBe(false);
});

test('whatever comes as an answer, looking at it never throws', () => {
  const query = read(question('api.example.com'));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      expect(typeof isAnswerTo(query, 7, Buffer.from(bytes))).toBe('boolean');
    }),
  );
});

function change(bytes: Buffer, at: number, value: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = value;
  return changed;
}
