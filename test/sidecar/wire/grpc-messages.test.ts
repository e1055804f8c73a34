// gRPC's messages are counted right however a body is cut.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { MessageCounter } from '#sidecar/wire/grpc-messages.ts';

test('however a body is cut into pieces, its messages are as many', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 })),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      (messages, cuts) => {
        const body = Buffer.concat(messages.flatMap((message) => [prefixOf(message), message]));
        const counter = new MessageCounter();
        for (let at = 0, i = 0; at < body.length; i++) {
          const to = Math.min(body.length, at + (cuts[i % cuts.length] ?? 1));
          counter.read(body, at, to);
          at = to;
        }
        expect(counter.count).toBe(messages.length);
      },
    ),
  );
});

test('bytes that are no messages end, whatever they say of their length', () => {
  const counter = new MessageCounter();
  const bytes = Buffer.alloc(1 << 16, 0xff);
  counter.read(bytes, 0, bytes.length);
  expect(counter.count).toBe(1);
});

function prefixOf(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return prefix;
}
