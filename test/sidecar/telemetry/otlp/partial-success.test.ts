// What collectors say of spans that they took: read as OpenTelemetry reads it, and whatever comes, by bounds.
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { MessageWriter } from '#sidecar/authorizer/protobuf.ts';
import { readPartialSuccess } from '#sidecar/telemetry/otlp/partial-success.ts';
import { damaged } from '#test/sidecar/damaged.ts';

const nothingSaid = { rejectedSpans: 0, message: '' };

function answerOf(rejected: number, message: string): Buffer {
  const said = new MessageWriter().number(1, rejected).text(2, message);
  return new MessageWriter().message(1, said).finish();
}

test('an answer is read as OpenTelemetry reads it, whatever else is in it', () => {
  const rejected = fc.nat(2 ** 31 - 1);
  const message = fc.stringMatching(/^[!-~]{0,100}$/);
  fc.assert(
    fc.property(rejected, message, fc.integer({ min: 3, max: 99 }), (count, text, unknown) => {
      const said = new MessageWriter().text(unknown, text).number(1, count).text(2, text);
      const answer = new MessageWriter().number(unknown, count).message(1, said).finish();
      const { partialSuccess } = ProtobufTraceSerializer.deserializeResponse(answer);
      expect(readPartialSuccess(answer)).toEqual({
        rejectedSpans: partialSuccess?.rejectedSpans ?? 0,
        message: partialSuccess?.errorMessage ?? '',
      });
      expect(readPartialSuccess(answer)).toEqual({ rejectedSpans: count, message: text });
    }),
  );
});

test('an answer that says nothing, or that is none, says that nothing was rejected', () => {
  const minusOne = Buffer.from([0x0a, 0x0b, 0x08, ...Array<number>(9).fill(0xff), 0x01]);
  const texts = ['', '{"partialSuccess":{"rejectedSpans":"3"}}', '<html>', '\n\x02\x08'];
  for (const answer of [...texts.map((text) => Buffer.from(text)), minusOne]) {
    expect([answer, readPartialSuccess(answer)]).toEqual([answer, nothingSaid]);
  }
});

test('a message is one line, and no longer than a log bears', () => {
  const { message } = readPartialSuccess(answerOf(1, ' a\r\n{"level":"error"}\0\u2028b '));
  expect(message).toBe('a {"level":"error"} b');
  expect(readPartialSuccess(answerOf(1, 'x'.repeat(50_000))).message).toBe('x'.repeat(200));
  expect(readPartialSuccess(answerOf(1, `${'x'.repeat(199)}😀`)).message).toMatch(/^x{199}\ufffd$/);
});

test('bytes at random, and good answers cut or changed, are read within bounds', () => {
  const good = answerOf(300, 'spans of yesterday');
  const changed = damaged(good);
  const random = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
  // Within the right envelope, so that the inner reader is reached.
  const inner = random.map((bytes) => new MessageWriter().raw(1, bytes).finish());
  fc.assert(
    fc.property(fc.oneof(random, inner, changed), (bytes) => {
      const { rejectedSpans, message } = readPartialSuccess(bytes);
      expect(Number.isSafeInteger(rejectedSpans) && rejectedSpans >= 0).toBe(true);
      expect(message.length).toBeLessThanOrEqual(200);
      expect(message).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
      expect(message.isWellFormed()).toBe(true);
    }),
    { numRuns: 5000 },
  );
});
