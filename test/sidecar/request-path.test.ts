import { expect, test } from 'vitest';

import {
  Exchange,
  type Downstream,
  type RequestStream,
  type RequestView,
  type ResponseView,
} from '#sidecar/exchange.ts';
import { failures } from '#sidecar/failures.ts';
import { composePath, ENDED, PASS, type Layer } from '#sidecar/request-path.ts';

interface Run {
  readonly calls: string[];
  readonly replies: { status: number; headers: string; body: string; close: boolean }[];
  readonly faults: unknown[];
  readonly x: Exchange;
}

function start(...layers: Layer[]): Run {
  const calls: string[] = [];
  const replies: Run['replies'] = [];
  const faults: unknown[] = [];
  const stream = {
    reply: (status: number, headers: string, body: string | Buffer, close: boolean) =>
      void replies.push({ status, headers, body: String(body), close }),
    forward: () => undefined,
    tunnel: () => undefined,
    serveInside: () => undefined,
    cutOff: () => undefined,
    readBody: async () => 'gone' as const,
    bodyStart: () => Buffer.alloc(0),
    replaceBody: () => undefined,
    limitTime: () => undefined,
  };
  // No layer here looks at the connection or the head.
  const x = new Exchange({} as Downstream, {} as RequestView, stream, 'HTTP/1.1');
  const path = composePath({
    observer: { begin: () => void calls.push('begin'), end: () => void calls.push('end') },
    request: layers.map((layer, i) => (one: Exchange) => {
      calls.push(String(i));
      return layer(one);
    }),
    response: [],
    finish: () => void calls.push('finish'),
    onFault: (error) => void faults.push(error),
  });
  path.start(x);
  return { calls, replies, faults, x };
}

async function settled(): Promise<void> {
  await new Promise((done) => setImmediate(done));
}

test('layers run in order within one turn until one ends the exchange', () => {
  const run = start(
    () => PASS,
    () => ENDED,
    () => PASS,
  );
  expect(run.calls).toEqual(['begin', '0', '1']);
  expect(run.replies).toEqual([]);
});

test('a failure is answered with its status and body, and nothing after it runs', () => {
  const run = start(
    () => failures.denied,
    () => ENDED,
  );
  expect(run.calls).toEqual(['begin', '0']);
  expect(run.replies).toMatchObject([{ status: 403, body: 'RBAC: access denied', close: false }]);
  expect(run.replies[0]?.headers).toContain('content-type: text/plain\r\n');
  expect(run.x.failure).toBe(failures.denied);
});

test('a layer that waits is waited for, and the next ones follow', async () => {
  const gate = Promise.withResolvers<typeof PASS>();
  const run = start(
    () => gate.promise,
    () => failures.denied,
  );
  expect(run.calls).toEqual(['begin', '0']);
  gate.resolve(PASS);
  await settled();
  expect(run.calls).toEqual(['begin', '0', '1']);
  expect(run.replies).toHaveLength(1);
});

test('a layer that throws or rejects refuses the call and is reported', async () => {
  const thrown = new Error('thrown');
  const at = start(() => {
    throw thrown;
  });
  const rejected = new Error('rejected');
  const late = start(() => Promise.reject(rejected));
  await settled();
  for (const run of [at, late]) {
    expect(run.replies).toMatchObject([{ status: 500, close: true }]);
    expect(run.x.failure).toBe(failures.internal);
  }
  expect([...at.faults, ...late.faults]).toEqual([thrown, rejected]);
});

test('a path whose last layer lets pass refuses: nothing is forwarded by accident', () => {
  const run = start(() => PASS);
  expect(run.replies).toMatchObject([{ status: 500 }]);
});

test('details that a layer told stay, and its headers go first', () => {
  const run = start((x) => {
    x.details = 'more exact';
    x.replyHeaders = 'content-type: application/json\r\n';
    return failures['authorizer-denied'];
  });
  expect(run.x.details).toBe('more exact');
  expect(run.replies[0]?.headers).toMatch(/^content-type: application\/json\r\ndate: /);
});

test('a fault of what looks on or edits is reported, and ends nothing but the layers it came before', () => {
  const faults: string[] = [];
  const calls: string[] = [];
  const fail = (name: string) => (): never => {
    calls.push(name);
    throw new Error(name);
  };
  const reply = (status: number): void => void calls.push(`reply ${status}`);
  const stream = { reply } as unknown as RequestStream;
  const x = new Exchange({} as Downstream, {} as RequestView, stream, 'HTTP/1.1');
  const path = composePath({
    observer: { begin: fail('begin'), end: fail('end') },
    request: [fail('layer')],
    response: [fail('edit')],
    finish: fail('finish'),
    retry: fail('retry'),
    onFault: (error) => void faults.push(error instanceof Error ? error.message : ''),
  });
  path.start(x);
  path.respond(x, {} as ResponseView);
  path.finish(x);
  path.unheard?.(x);
  expect(path.retry?.(x, failures['upstream-connect'], true)).toBe(null);
  expect(calls).toEqual(['begin', 'reply 500', 'edit', 'finish', 'end', 'end', 'retry']);
  expect(faults).toEqual(['begin', 'edit', 'finish', 'end', 'end', 'retry']);
});
