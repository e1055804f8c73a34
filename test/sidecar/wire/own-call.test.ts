import { expect, test } from 'vitest';

import type { UpstreamPool } from '#sidecar/exchange.ts';
import { callUnary } from '#sidecar/wire/unary-call.ts';
import type { UpstreamCall, UpstreamStream } from '#sidecar/wire/upstream.ts';

class FakePool implements UpstreamPool {
  readonly address = '10.0.0.7:80';
  waiting: UpstreamCall[] = [];

  request(call: UpstreamCall): void {
    this.waiting.push(call);
  }

  cancel(call: UpstreamCall): void {
    this.waiting = this.waiting.filter((one) => one !== call);
  }

  close(): void {}
}

function fakeStream(): { stream: UpstreamStream; aborted: () => number } {
  let aborted = 0;
  const abort = (): void => void (aborted += 1);
  const stream = { sendHead: () => true, abort } as unknown as UpstreamStream;
  return { stream, aborted: () => aborted };
}

function ask(pool: UpstreamPool, timeoutMs: number): Promise<Buffer> {
  const target = { path: '/a.B/C', authority: 'b.shop', scheme: 'http' };
  return callUnary(pool, { ...target, message: Buffer.alloc(1), timeoutMs, answerBytesMax: 100 });
}

test('one that is asked again and is late before its turn leaves the queue, and a dead stream alone', async () => {
  const pool = new FakePool();
  const answer = ask(pool, 30);
  const [call] = pool.waiting.splice(0);
  const { stream, aborted } = fakeStream();
  call?.granted(stream);
  expect(call?.mayReplay(true)).toBe(true);
  pool.waiting.push(...(call === undefined ? [] : [call]));
  await expect(answer).rejects.toThrow('30 ms');
  expect(pool.waiting).toEqual([]);
  expect(aborted()).toBe(0);
});

test('one that is late while it is answered leaves its stream', async () => {
  const pool = new FakePool();
  const answer = ask(pool, 30);
  const { stream, aborted } = fakeStream();
  pool.waiting.splice(0)[0]?.granted(stream);
  await expect(answer).rejects.toThrow('30 ms');
  expect(aborted()).toBe(1);
});
