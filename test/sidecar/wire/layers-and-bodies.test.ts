// What layers may ask of the engine: a body before anything is decided, an answer whole, another try, an end in time.
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';

import { afterEach, describe, expect, test } from 'vitest';

import type { BodyRead, Exchange, RequestPath, UpstreamPool } from '#sidecar/exchange.ts';
import type { ResponseTap } from '#sidecar/response-tap.ts';
import type { Call } from '#sidecar/wire/call.ts';
import { delayed } from '#sidecar/outbound/retry.ts';
import type { FailureCode } from '#sidecar/failures.ts';
import { Http2Rig } from '#test/sidecar/wire/http2/rig.ts';

type Version = 'http1' | 'http2';
type Handler = (body: string, count: number) => { status: number; body: string; afterMs?: number };

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

interface Seen {
  readonly method: string;
  readonly length: string | undefined;
  readonly body: string;
}

async function upstream(
  version: Version,
  handler: Handler,
): Promise<{ port: number; seen: Seen[] }> {
  const seen: Seen[] = [];
  const serve = (
    request: http.IncomingMessage | http2.Http2ServerRequest,
    response: { writeHead(status: number): unknown; write(text: string): unknown; end(): unknown },
  ): void => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const length = request.headers['content-length'];
      seen.push({ method: request.method ?? '', length, body });
      const reply = handler(body, seen.length);
      setTimeout(() => {
        response.writeHead(reply.status);
        // In two pieces, of no known length.
        const half = Math.ceil(reply.body.length / 2);
        response.write(reply.body.slice(0, half));
        setImmediate(() => {
          response.write(reply.body.slice(half));
          response.end();
        });
      }, reply.afterMs ?? 0);
    });
  };
  const server = version === 'http1' ? http.createServer(serve) : http2.createServer(serve);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => {
    if ('closeAllConnections' in server) server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, seen };
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly length: string | undefined;
}

/** @param pieces of the body; each is sent a moment after the one before */
async function call(version: Version, port: number, pieces: readonly string[]): Promise<Answer> {
  const method = pieces.length === 0 ? 'GET' : 'POST';
  if (version === 'http1') {
    // One piece has a length, several are chunks.
    const [only = ''] = pieces;
    const headers = pieces.length === 1 ? { 'content-length': only.length } : {};
    const request = http.request({ port, host: '127.0.0.1', method, headers, agent: false });
    void sendPieces(request, pieces);
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    const body = await textOf(response);
    return { status: response.statusCode ?? 0, body, length: response.headers['content-length'] };
  }
  const session = http2.connect(`http://127.0.0.1:${port}`);
  closers.push(() => session.destroy());
  const stream = session.request(
    { ':method': method, ':path': '/' },
    { endStream: pieces.length === 0 },
  );
  if (pieces.length > 0) void sendPieces(stream, pieces);
  const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
  const body = await textOf(stream);
  return { status: Number(headers[':status']), body, length: headers['content-length'] };
}

async function sendPieces(
  to: { write(text: string): unknown; end(): unknown },
  pieces: readonly string[],
): Promise<void> {
  for (const piece of pieces) {
    to.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
  to.end();
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += chunk.toString();
  return text;
}

async function engine(
  up: Version,
  port: number,
  path: (pool: () => Http2Rig['pool']['http1'] | Http2Rig['pool']) => Partial<RequestPath>,
): Promise<Http2Rig> {
  let rig: Http2Rig | null = null;
  const pool = (): Http2Rig['pool'] | Http2Rig['pool']['http1'] => {
    if (rig === null) throw new Error('not started');
    return up === 'http2' ? rig.pool : rig.pool.http1;
  };
  rig = await Http2Rig.start({ upstreamPort: port, upstream: up, path: path(pool) });
  const started = rig;
  closers.push(() => started.stop());
  return rig;
}

async function readThen(
  x: Exchange,
  bytesMax: number,
  waitMs: number,
  then: (read: BodyRead) => void,
): Promise<void> {
  then(await x.stream.readBody(bytesMax, waitMs));
}

const versions = ['http1', 'http2'] as const;
const pairs = versions.flatMap((down) => versions.map((up) => [down, up] as const));

describe.each(pairs)('from %s to %s', (down, up) => {
  test('a body that a layer reads goes upstream whole, with its length', async () => {
    const { port, seen } = await upstream(up, (body) => ({ status: 200, body: `got ${body}` }));
    const reads: BodyRead[] = [];
    const rig = await engine(up, port, (pool) => ({
      start: (x) =>
        void readThen(x, 1000, 0, (read) => {
          reads.push(read);
          x.stream.forward(pool());
        }),
    }));
    const answer = await call(down, rig.port, ['one ', 'two ', 'three']);
    expect(String(reads[0])).toBe('one two three');
    expect(answer).toMatchObject({ status: 200, body: 'got one two three' });
    expect(seen).toEqual([{ method: 'POST', length: '13', body: 'one two three' }]);
    expect((await call(down, rig.port, [])).body).toBe('got ');
    expect(reads[1]).toEqual(Buffer.alloc(0));
  });

  test('a body may be replaced', async () => {
    const { port, seen } = await upstream(up, (body) => ({ status: 200, body }));
    const rig = await engine(up, port, (pool) => ({
      start: (x) =>
        void readThen(x, 1000, 0, () => {
          x.stream.replaceBody(Buffer.from('another, longer body'));
          x.stream.forward(pool());
        }),
    }));
    expect((await call(down, rig.port, ['short'])).body).toBe('another, longer body');
    expect(seen[0]?.length).toBe('20');
  });

  test('of a body that is too large or late what came goes first, and the rest follows', async () => {
    const { port, seen } = await upstream(up, (body) => ({ status: 200, body }));
    let waitMs = 0;
    const reads: BodyRead[] = [];
    const rig = await engine(up, port, (pool) => ({
      start: (x) =>
        void readThen(x, 10, waitMs, (read) => {
          reads.push(read);
          x.stream.forward(pool());
        }),
    }));
    const long = ['12345', '67890', 'abc', 'def'.repeat(20_000)];
    expect((await call(down, rig.port, long)).body).toBe(long.join(''));
    waitMs = 40;
    const slow = ['1', '2', '3', '4', '5', '6'];
    expect((await call(down, rig.port, slow)).body).toBe('123456');
    expect(reads).toEqual(['too-large', 'late']);
    expect(seen.map(({ body }) => body.length)).toEqual([60_013, 6]);
  });

  test('an answer that is taken whole goes on with what the layer makes of it', async () => {
    const { port } = await upstream(up, () => ({ status: 200, body: 'hello there' }));
    const tap: ResponseTap = {
      begin: (_x, head) => (head.status === 200 ? 100 : 0),
      whole: async (_x, head, body) => {
        head.append('x-made', 'yes');
        return Buffer.from(body.toString().toUpperCase());
      },
      tooLong: () => undefined,
      failed: () => undefined,
    };
    const rig = await engine(up, port, (pool) => ({
      start: (x) => {
        x.tap = tap;
        x.stream.forward(pool());
      },
    }));
    for (let i = 0; i < 3; i++) {
      const answer = await call(down, rig.port, ['x']);
      expect(answer).toEqual({ status: 200, body: 'HELLO THERE', length: '11' });
    }
    expect(rig.finished.every((x) => x.responseBodyBytes === 11)).toBe(true);
  });

  test('an answer that is longer than wanted passes as it comes', async () => {
    const body = 'y'.repeat(100_000);
    const { port } = await upstream(up, () => ({ status: 200, body }));
    let long = 0;
    const rig = await engine(up, port, (pool) => ({
      start: (x) => {
        x.tap = {
          begin: () => 1000,
          whole: () => Buffer.alloc(0),
          tooLong: () => void (long += 1),
          failed: () => undefined,
        };
        x.stream.forward(pool());
      },
    }));
    expect((await call(down, rig.port, ['x'])).body === body).toBe(true);
    expect(long).toBe(1);
  });

  test('a layer that throws over an answer makes it a 500', async () => {
    const { port } = await upstream(up, () => ({ status: 200, body: 'hello' }));
    const faults: unknown[] = [];
    const rig = await engine(up, port, (pool) => ({
      start: (x) => {
        x.tap = {
          begin: () => 1000,
          whole: () => Promise.reject(new Error('no')),
          tooLong: () => undefined,
          failed: (_x, error) => void faults.push(error),
        };
        x.stream.forward(pool());
      },
    }));
    expect((await call(down, rig.port, ['x'])).status).toBe(500);
    expect(faults).toHaveLength(1);
  });

  test('an answer that a layer will not let through is a failure in its place, and the connection goes on', async () => {
    const body = 'y'.repeat(100_000);
    const { port } = await upstream(up, () => ({ status: 200, body }));
    let begin: number | FailureCode = 0;
    const rig = await engine(up, port, (pool) => ({
      start: (x) => {
        x.tap = {
          begin: () => begin,
          whole: () => Promise.reject(new Error('no')),
          tooLong: () => 'upstream-malformed',
          failed: () => 'upstream-malformed',
        };
        x.stream.forward(pool());
      },
    }));
    for (const wanted of ['upstream-malformed', 1000, 1_000_000, 'upstream-malformed'] as const) {
      begin = wanted;
      expect((await call(down, rig.port, ['x'])).status).toBe(502);
    }
    begin = 0;
    expect((await call(down, rig.port, ['x'])).body === body).toBe(true);
  });

  test('a body that two layers read is the same to both, and as one left it to the other', async () => {
    const { port } = await upstream(up, (body) => ({ status: 200, body }));
    const reads: BodyRead[] = [];
    const rig = await engine(up, port, (pool) => ({
      start: (x) => {
        const read = async (): Promise<void> => {
          reads.push(await x.stream.readBody(1000));
          x.stream.replaceBody(Buffer.from('another'));
          reads.push(await x.stream.readBody(1000), await x.stream.readBody(3));
          x.stream.forward(pool());
        };
        void read();
      },
    }));
    expect((await call(down, rig.port, ['one'])).body).toBe('another');
    expect(reads.map(String)).toEqual(['one', 'another', 'too-large']);
  });

  test('an answer may be asked again of another, the body included', async () => {
    const { port, seen } = await upstream(up, (body, count) =>
      count < 3 ? { status: 503, body: 'not now' } : { status: 200, body },
    );
    const rig = await engine(up, port, (pool) => ({
      start: (x) => x.stream.forward(pool()),
      retry: () => null,
      retryAnswer: (_x, { status }) => (status === 503 ? pool() : null),
    }));
    const body = down === 'http1' ? ['once'] : ['in ', 'pieces'];
    const answer = await call(down, rig.port, body);
    expect(answer).toMatchObject({ status: 200, body: body.join('') });
    expect(seen.map((one) => one.body)).toEqual(Array(3).fill(body.join('')));
    expect((await call(down, rig.port, [])).status).toBe(200);
  });

  test('an exchange that takes too long is a 504, and so is a try', async () => {
    const { port } = await upstream(up, () => ({ status: 200, body: 'late', afterMs: 400 }));
    let limits: [number, number] = [60, 0];
    const rig = await engine(up, port, (pool) => ({
      start: (x) => {
        x.stream.limitTime(...limits);
        x.stream.forward(pool());
      },
    }));
    expect((await call(down, rig.port, [])).status).toBe(504);
    expect(rig.finished[0]?.details).toBe('response_timeout');
    limits = [0, 60];
    expect((await call(down, rig.port, [])).status).toBe(504);
    expect(rig.finished[1]?.details).toBe('upstream_per_try_timeout');
    limits = [5000, 5000];
    expect((await call(down, rig.port, [])).status).toBe(200);
  });

  test('what the client sent while nobody could take it follows what was read', async () => {
    const { port } = await upstream(up, (body) => ({ status: 200, body }));
    const rig = await engine(up, port, (pool) => ({
      start: (x) => void readThen(x, 1000, 20, () => x.stream.forward(delayed(pool(), 150))),
    }));
    expect((await call(down, rig.port, ['1', '2', '3', '4'])).body).toBe('1234');
  });

  test('an answer whose try ran out of time while a layer worked on it counts no more', async () => {
    const { port } = await upstream(up, (_body, count) => ({ status: 200, body: `${count}` }));
    let works = 0;
    const whole = async (_x: Exchange, _head: unknown, body: Buffer): Promise<Buffer> => {
      works += 1;
      if (works === 1) await new Promise((resolve) => setTimeout(resolve, 600));
      return body;
    };
    const rig = await engine(up, port, (pool) => ({
      start: (x) => {
        x.tap = { begin: () => 100, whole, tooLong: () => undefined, failed: () => undefined };
        x.stream.limitTime(0, 400);
        x.stream.forward(pool());
      },
      // The second endpoint takes its time too, so that the first answer would come before its own.
      retry: () => delayed(pool(), 800),
    }));
    expect(await call(down, rig.port, ['x'])).toMatchObject({ status: 200, body: '2' });
    expect(rig.finished).toHaveLength(1);
    expect(works).toBe(2);
  });

  test('a try that still waits for a connection is withdrawn before the next', async () => {
    const { port, seen } = await upstream(up, (body) => ({ status: 200, body }));
    const [waiting, withdrawn]: [unknown[], unknown[]] = [[], []];
    const full: UpstreamPool = {
      address: '10.0.0.1:80',
      request: (one) => void waiting.push(one),
      cancel: (one) => void withdrawn.push(one),
      close: () => undefined,
    };
    for (const perTryMs of [40, 0]) {
      const rig = await engine(up, port, (pool) => ({
        start: (x) => {
          x.stream.limitTime(0, perTryMs);
          x.stream.forward(full);
          if (perTryMs === 0)
            setTimeout(() => (x.stream as unknown as Call).fail('upstream-timeout'), 20);
        },
        retry: () => pool(),
      }));
      expect(await call(down, rig.port, ['x'])).toMatchObject({ status: 200, body: 'x' });
    }
    expect(withdrawn).toEqual(waiting);
    expect(seen).toHaveLength(2);
  });

  test('a client that waits to be asked for its body is asked', async () => {
    const { port, seen } = await upstream(up, (body) => ({ status: 200, body }));
    const reads: BodyRead[] = [];
    const rig = await engine(up, port, (pool) => ({
      start: (x) =>
        void readThen(x, 1000, 2000, (read) => {
          reads.push(read);
          x.stream.forward(pool());
        }),
    }));
    const expect100 = { expect: '100-continue', 'content-length': '4' };
    const { promise, resolve } = Promise.withResolvers<string>();
    if (down === 'http1') {
      const options = { port: rig.port, host: '127.0.0.1', method: 'POST', agent: false as const };
      const request = http.request({ ...options, headers: expect100 });
      request.once('continue', () => request.end('body'));
      request.once('response', (response) => void textOf(response).then(resolve));
      request.flushHeaders();
    } else {
      const session = http2.connect(`http://127.0.0.1:${rig.port}`);
      closers.push(() => session.destroy());
      const stream = session.request({ ':method': 'POST', ...expect100 }, { endStream: false });
      stream.once('continue', () => stream.end('body'));
      stream.once('response', () => void textOf(stream).then(resolve));
    }
    expect(await promise).toBe('body');
    expect(reads.map(String)).toEqual(['body']);
    expect(seen[0]?.body).toBe('body');
  });

  test('a client that goes while its body is read is told to the layer', async () => {
    const { port } = await upstream(up, () => ({ status: 200, body: '' }));
    const reads: BodyRead[] = [];
    const rig = await engine(up, port, () => ({
      start: (x) => void x.stream.readBody(1000).then((read) => reads.push(read)),
    }));
    if (down === 'http1') {
      const request = http.request({ port: rig.port, host: '127.0.0.1', method: 'POST' });
      request.on('error', () => undefined);
      request.write('a');
      setTimeout(() => request.destroy(), 50);
    } else {
      const session = http2.connect(`http://127.0.0.1:${rig.port}`);
      const stream = session.request({ ':method': 'POST', ':path': '/' }, { endStream: false });
      stream.on('error', () => undefined);
      stream.write('a');
      setTimeout(() => session.destroy(), 50);
    }
    await expect.poll(() => reads).toEqual(['gone']);
  });
});

test('while a layer works on an answer, no other request takes the place of its own', async () => {
  const { port } = await upstream('http1', () => ({ status: 200, body: 'hello' }));
  const seen: string[] = [];
  const releases: (() => void)[] = [];
  const rig = await engine('http1', port, (pool) => ({
    start: (x) => {
      x.tap = {
        begin: () => 1000,
        whole: async (one, _head, body) => {
          const before = one.request.path;
          await new Promise<void>((resolve) => releases.push(resolve));
          seen.push(`${before} ${one.request.path}`);
          return body;
        },
        tooLong: () => undefined,
        failed: () => undefined,
      };
      x.stream.limitTime(60, 0);
      x.stream.forward(pool());
    },
  }));
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const get = async (path: string): Promise<number> => {
    const request = http.request({ port: rig.port, host: '127.0.0.1', path, agent }).end();
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    await textOf(response);
    return response.statusCode ?? 0;
  };
  expect(await get('/first')).toBe(504);
  expect(await get('/second')).toBe(504);
  for (const release of releases) release();
  await expect.poll(() => seen.toSorted()).toEqual(['/first /first', '/second /second']);
  agent.destroy();
});
