// gRPC calls of every kind by grpc-js through two sidecars with mutual TLS, by a tunnel and directly.
import { once } from 'node:events';

import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Rig } from '../rig.ts';

import { everyByte, failureMessage } from './methods.ts';
import { caller, grpcServer, sidecars, statusOf } from './rig.ts';
import type { Caller, EchoServer, Pair, Way } from './rig.ts';

const megabyte = 1024 * 1024;
const ways: readonly Way[] = ['tunnel', 'direct'];

let rig: Rig;
let server: EchoServer;
let pair: Pair;

beforeAll(async () => {
  rig = await Rig.create();
  server = await grpcServer(rig);
  pair = await sidecars(rig, server.port);
});
afterAll(() => rig.close());

describe.each(ways)('gRPC, the caller asks by %s', (way) => {
  let calls: Caller;

  beforeAll(() => {
    calls = caller(rig, pair.client.outboundPort, way);
  });

  test('a unary call, with metadata and bytes both ways', async () => {
    const metadata = new grpc.Metadata();
    metadata.set('x-words', 'a, b; c="d"');
    metadata.add('x-many', '1');
    metadata.add('x-many', '2');
    metadata.set('x-bytes-bin', everyByte);
    const reply = await calls.unary('hello', {}, metadata);
    expect(reply).toMatchObject({ code: grpc.status.OK });
    expect(reply.message.toString()).toBe('hello');
    expect(reply.initial.get('x-initial')).toEqual(['first']);
    expect(reply.initial.get('x-initial-bin')).toEqual([everyByte]);
    expect(reply.trailers.get('x-trailer')).toEqual(['last']);
    expect(reply.trailers.get('x-trailer-bin')).toEqual([everyByte]);
    const seen = server.metadata();
    expect(seen.get('x-words')).toEqual(['a, b; c="d"']);
    expect(seen.get('x-many').join(', ')).toBe('1, 2');
    expect(seen.get('x-bytes-bin')).toEqual([everyByte]);
    expect(seen.get('x-forwarded-client-cert').join('')).toContain('/sa/web');
  });

  test('each call is an exchange of its own at both sidecars', async () => {
    await calls.unary('first, so that the connections are there');
    const before = [pair.client, pair.server].map(({ telemetry }) => telemetry.ended.length);
    await calls.unary('a');
    await calls.unary('fail');
    const ended = [pair.client, pair.server].map(({ telemetry }) => telemetry.ended);
    expect(ended.map(({ length }) => length)).toEqual(before.map((length) => length + 2));
    for (const exchanges of ended) {
      expect(exchanges.at(-1)).toMatchObject({ status: 200, failure: '' });
    }
  });

  test('client streaming', async () => {
    const reply = await calls.upload((call) => {
      for (let i = 0; i < 100; i += 1) call.write(Buffer.alloc(1000 + i));
      call.end();
    });
    expect(reply.code).toBe(grpc.status.OK);
    expect(reply.message.toString()).toBe('100 104950');
    expect(reply.trailers.get('x-trailer-bin')).toEqual([everyByte]);
  });

  test('server streaming', async () => {
    const call = calls.download('100x1000');
    const sizes: number[] = [];
    call.on('data', (bytes: Buffer) => sizes.push(bytes.length));
    const { code, metadata } = await statusOf(call);
    expect(code).toBe(grpc.status.OK);
    expect(sizes).toEqual(Array.from({ length: 100 }, () => 1000));
    expect(metadata.get('x-trailer')).toEqual(['last']);
  });

  test('bidirectional streaming, one message at a time', async () => {
    const call = calls.chat();
    const ended = statusOf(call);
    for (let i = 0; i < 50; i += 1) {
      call.write(Buffer.from(`message ${i}`));
      const [bytes] = (await once(call, 'data')) as [Buffer];
      expect(bytes.toString()).toBe(`message ${i}`);
    }
    call.end();
    expect(await ended).toMatchObject({ code: grpc.status.OK });
  });

  test('an error of the server arrives with its message and metadata', async () => {
    const reply = await calls.unary('fail');
    expect(reply).toMatchObject({ code: grpc.status.NOT_FOUND, details: failureMessage });
    expect(reply.trailers.get('x-trailer-bin')).toEqual([everyByte]);
  });

  test('an error in the middle of a stream comes after its messages', async () => {
    const call = calls.download('part');
    const messages: string[] = [];
    call.on('data', (bytes: Buffer) => messages.push(bytes.toString()));
    const status = await statusOf(call);
    expect(status).toMatchObject({ code: grpc.status.INTERNAL, details: 'and no more' });
    expect(messages).toEqual(['one']);
  });

  test('messages of 4 MB pass both ways', async () => {
    const big = Buffer.alloc(4 * megabyte, 'abcdefghijk');
    const reply = await calls.unary(big);
    expect(reply.code).toBe(grpc.status.OK);
    expect(reply.message.equals(big)).toBe(true);
    const call = calls.chat();
    const ended = statusOf(call);
    call.write(big);
    call.end(big);
    let bytes = 0;
    call.on('data', (part: Buffer) => (bytes += part.length));
    expect(await ended).toMatchObject({ code: grpc.status.OK });
    expect(bytes).toBe(2 * big.length);
  });

  test('100 calls at once', async () => {
    const replies = await Promise.all(
      Array.from({ length: 100 }, (_, i) => calls.unary(`call ${i} ${'x'.repeat(i * 100)}`)),
    );
    expect(replies.every(({ code }) => code === grpc.status.OK)).toBe(true);
    expect(replies.map(({ message }) => message.toString().split(' ')[1])).toEqual(
      Array.from({ length: 100 }, (_, i) => String(i)),
    );
  });

  test('a deadline ends the call at the client and at the server', async () => {
    const cancelled = server.untilCancelled();
    const reply = await calls.unary('hang', { deadline: Date.now() + 200 });
    expect(reply.code).toBe(grpc.status.DEADLINE_EXCEEDED);
    await cancelled;
  });

  test('a client that cancels is seen at once by the server, in every kind of call', async () => {
    const kinds: [string, () => { cancel(): void }][] = [
      ['Download', () => calls.download('0x0')],
      ['Chat', () => calls.chat()],
    ];
    for (const [name, begin] of kinds) {
      const begun = server.untilBegun();
      const call = begin() as ReturnType<Caller['chat']>;
      const ended = statusOf(call);
      await begun;
      const cancelled = server.untilCancelled();
      const startedAtMs = performance.now();
      call.cancel();
      expect((await ended).code).toBe(grpc.status.CANCELLED);
      await cancelled;
      expect(server.cancelled.at(-1)).toBe(name);
      expect(performance.now() - startedAtMs).toBeLessThan(1000);
    }
    const begun = server.untilBegun();
    const hanging = calls.unary('hang', {}, new grpc.Metadata(), (call) => {
      void begun.then(() => call.cancel());
    });
    const cancelled = server.untilCancelled();
    expect((await hanging).code).toBe(grpc.status.CANCELLED);
    await cancelled;
    expect(server.cancelled.at(-1)).toBe('Unary');
  });

  test('a stream that nobody reads holds no other call up, and loses nothing', async () => {
    const call = calls.download('64x262144');
    const ended = statusOf(call);
    for (let i = 0; i < 20; i += 1) {
      const replies = await Promise.all(
        Array.from({ length: 10 }, () => calls.unary(Buffer.alloc(10_000, 'u'))),
      );
      expect(replies.every(({ code }) => code === grpc.status.OK)).toBe(true);
    }
    let bytes = 0;
    call.on('data', (part: Buffer) => (bytes += part.length));
    expect((await ended).code).toBe(grpc.status.OK);
    expect(bytes).toBe(16 * megabyte);
  });

  test('a slow conversation beside busy calls is never starved', async () => {
    const call = calls.chat();
    const ended = statusOf(call);
    const over = new AbortController();
    let served = 0;
    const busy = Array.from({ length: 16 }, async () => {
      while (!over.signal.aborted) {
        const { code } = await calls.unary(Buffer.alloc(100_000, 'b'));
        expect(code).toBe(grpc.status.OK);
        served += 1;
      }
    });
    let longestMs = 0;
    for (let i = 0; i < 30; i += 1) {
      const startedAtMs = performance.now();
      call.write(Buffer.from(String(i)));
      const [bytes] = (await once(call, 'data')) as [Buffer];
      expect(bytes.toString()).toBe(String(i));
      longestMs = Math.max(longestMs, performance.now() - startedAtMs);
    }
    over.abort();
    await Promise.all(busy);
    call.end();
    expect((await ended).code).toBe(grpc.status.OK);
    expect(served).toBeGreaterThan(30);
    expect(longestMs).toBeLessThan(3000);
  });
});
