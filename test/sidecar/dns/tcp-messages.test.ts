import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { readMessages, writeMessage } from '#sidecar/dns/tcp-messages.ts';

test('messages are whole however their bytes are cut', () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 });
  fc.assert(
    fc.property(messages, fc.integer({ min: 1, max: 50 }), (sent, size) => {
      const bytes = Buffer.concat(sent.map((one) => writeMessage(Buffer.from(one))));
      const got: (Buffer | null)[] = [];
      const take = readMessages(300, (message) => got.push(message));
      for (let at = 0; at < bytes.length; at += size) take(bytes.subarray(at, at + size));
      expect(got.map((one) => [...(one ?? [])])).toEqual(sent.map((one) => [...one]));
    }),
  );
});

test('one that is too long ends it', () => {
  const got: (Buffer | null)[] = [];
  const take = readMessages(10, (message) => got.push(message));
  take(Buffer.from([0, 11]));
  take(writeMessage(Buffer.from('short')));
  expect(got).toEqual([null]);
});
