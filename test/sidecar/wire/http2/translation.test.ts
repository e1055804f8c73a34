import { once } from 'node:events';
import http from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import type { Socket } from 'node:net';

import { afterEach, describe, expect, test } from 'vitest';

import { failures } from '#sidecar/failures.ts';
import { refuse } from '#sidecar/request-path.ts';
import { code, flag, frame, setting } from '#sidecar/wire/http2/frames.ts';
import { Client, eachHead, waitFor } from '#test/sidecar/wire/http1/rig.ts';

import { application, ask, heldBytes, settles } from './peers.ts';
import type { Answer, Application, Serve, Version } from './peers.ts';
import { frameOf, get, Http2Rig, literal, post, RawPeer, rawServer, settingBytes } from './rig.ts';
import type { Http2RigOptions } from './rig.ts';

let rig: Http2Rig | null = null;
const stops: (() => Promise<void>)[] = [];

afterEach(async () => {
  await rig?.stop();
  rig = null;
  for (const stop of stops.splice(0)) await stop();
});

async function start(
  upstream: Version,
  serve: Serve,
  options: Partial<Http2RigOptions> = {},
  continues?: Serve,
): Promise<{ rig: Http2Rig; app: Application; port: number }> {
  const app = await application(upstream, serve, continues);
  stops.push(() => app.stop());
  rig = await Http2Rig.start({ upstreamPort: app.port, upstream, ...options });
  return { rig, app, port: rig.port };
}

/** An upstream of HTTP/1.1 that writes bytes by hand. */
async function rawHttp1(serve: (socket: Socket) => void): Promise<number> {
  const sockets: Socket[] = [];
  const server = net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stops.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as net.AddressInfo).port;
}

async function startRaw(
  upstream: Version,
  upstreamPort: number,
  options: Partial<Http2RigOptions> = {},
): Promise<Http2Rig> {
  rig = await Http2Rig.start({ upstreamPort, upstream, ...options });
  return rig;
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += (chunk as Buffer).toString('latin1');
  return text;
}

async function sayBack(
  request: IncomingMessage,
  response: ServerResponse,
  say: (text: string) => string,
): Promise<void> {
  const text = await textOf(request);
  response.end(say(text));
}

/** What an answer of HTTP/2 may not have. */
function ofHttp1({ headers }: Answer): string[] {
  return ['connection', 'keep-alive', 'transfer-encoding'].filter((name) => name in headers);
}

function fieldsOf(request: IncomingMessage): Record<string, string> {
  const all: Record<string, string> = {};
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i]!;
    const value = request.rawHeaders[i + 1]!;
    all[name] = name in all ? `${all[name]}\n${value}` : value;
  }
  return all;
}

const pairs: [Version, Version][] = [
  ['http1', 'http1'],
  ['http1', 'http2'],
  ['http2', 'http1'],
  ['http2', 'http2'],
];

const hints: Serve = (request, response) => {
  response.writeEarlyHints({ link: '</a.css>; rel=preload' });
  void sayBack(request, response, (text) => text);
};

describe.each(pairs)('%s to %s', (client, upstream) => {
  test('GET and HEAD', async () => {
    const seen: string[] = [];
    const { port } = await start(upstream, (request, response) => {
      const authority = request.headers[':authority'] ?? request.headers.host;
      seen.push(`${request.method} ${request.url} ${String(authority)}`);
      response.setHeader('content-length', '5');
      response.setHeader('set-cookie', ['a=1', 'b=2']);
      response.end('hello');
    });
    const one = await ask(client, port, { path: '/a%2Fb?c=d' });
    expect([one.status, one.body, one.broken]).toEqual([200, 'hello', false]);
    expect(one.headers['content-length']).toBe('5');
    expect(one.headers['set-cookie']).toBe('a=1\nb=2');
    const two = await ask(client, port, { method: 'HEAD' });
    expect([two.status, two.body, two.broken]).toEqual([200, '', false]);
    expect(two.headers['content-length']).toBe('5');
    expect(seen).toEqual(['GET /a%2Fb?c=d shop', 'HEAD / shop']);
  });

  test('a body by its length', async () => {
    const { port, rig } = await start(upstream, (request, response) => {
      void sayBack(request, response, (text) => `${request.headers['content-length']}:${text}`);
    });
    const headers = { 'content-length': '11' };
    const answer = await ask(client, port, { method: 'POST', headers, body: ['hello ', 'world'] });
    expect([answer.body, answer.broken]).toEqual(['11:hello world', false]);
    await waitFor(() => rig.finished.length === 1);
    const x = rig.finished[0]!;
    expect([x.requestBodyBytes, x.responseBodyBytes, x.failure]).toEqual([11, 14, null]);
  });

  test('a body of unsaid length, and trailers, both ways', async () => {
    const { port } = await start(upstream, (request, response) => {
      void sayBack(request, response, (text) => {
        const { 'x-sum': sum, host } = request.trailers;
        expect(host).toBeUndefined();
        response.writeHead(200, { trailer: 'grpc-status' });
        response.write(`${request.headers['content-length']}:${text}:`);
        response.addTrailers({ 'grpc-status': '0', 'x-t': 'é' });
        return sum ?? '';
      });
    });
    const answer = await ask(client, port, {
      method: 'POST',
      headers: { te: 'trailers', trailer: 'x-sum' },
      body: ['one', 'two', 'x'.repeat(40_000)],
      trailers: { 'x-sum': '7' },
    });
    expect(answer.body).toBe(`undefined:onetwo${'x'.repeat(40_000)}:7`);
    expect(answer.trailers['grpc-status']).toBe('0');
    expect(answer.broken).toBe(false);
    await waitFor(() => rig!.finished.length === 1);
    expect(rig!.finished[0]!.grpcStatus).toBe('0');
  });

  test('a body of no bytes, and one whose end comes alone', async () => {
    const { port } = await start(upstream, (request, response) => {
      void sayBack(request, response, (text) => {
        response.write('');
        return `[${text}]`;
      });
    });
    expect((await ask(client, port, { method: 'POST', body: [] })).body).toBe('[]');
    const headers = { 'content-length': '0' };
    expect((await ask(client, port, { method: 'PUT', headers, body: [] })).body).toBe('[]');
  });

  test('204, 304 and an answer without content', async () => {
    const { port } = await start(upstream, (request, response) => {
      response.writeHead(Number(request.url!.slice(1)), { etag: '"1"' });
      response.end();
    });
    for (const status of [204, 304, 200]) {
      const answer = await ask(client, port, { path: `/${status}` });
      expect([answer.status, answer.body, answer.broken]).toEqual([status, '', false]);
      expect(answer.headers.etag).toBe('"1"');
      const length = status === 204 ? answer.headers['content-length'] : undefined;
      expect(length).toBeUndefined();
    }
  });

  test('100 when it is waited for, and 103', async () => {
    const { port } = await start(upstream, hints, {}, (request, response) => {
      setImmediate(() => {
        response.writeContinue();
        hints(request, response);
      });
    });
    const hinted = await ask(client, port, {});
    expect([hinted.interims, hinted.status]).toEqual([[103], 200]);
    const answer = await ask(client, port, {
      method: 'POST',
      headers: { expect: '100-continue', 'content-length': '2' },
      body: ['ok'],
      waitsForContinue: true,
    });
    expect([answer.status, answer.body]).toEqual([200, 'ok']);
    // Node counts 100 as an interim head only in HTTP/1.1.
    expect(answer.interims).toContain(103);
  });

  test('no field of one connection goes through, in either direction', async () => {
    let seen: Record<string, string> = {};
    const { port } = await start(upstream, (request, response) => {
      seen = fieldsOf(request);
      if (upstream === 'http1') {
        response.setHeader('keep-alive', 'timeout=5');
        response.setHeader('connection', 'keep-alive, x-mine');
        response.setHeader('x-mine', '1');
      }
      response.setHeader('x-kept', '1');
      response.end('ok');
    });
    const hops = {
      connection: 'te, x-hop',
      'keep-alive': '1',
      'x-hop': '1',
      'proxy-connection': 'a',
    };
    const answer = await ask(client, port, {
      headers: { ...(client === 'http1' && hops), te: 'trailers', 'x-end': '1' },
    });
    const allowed = new Set(['host', ':authority', ':method', ':path', ':scheme', 'te', 'x-end']);
    if (upstream === 'http1') allowed.add('connection');
    expect(Object.keys(seen).filter((name) => !allowed.has(name.toLowerCase()))).toEqual([]);
    expect(seen['x-end']).toBe('1');
    expect(seen.te ?? 'trailers').toBe('trailers');
    expect(answer.headers['x-kept']).toBe('1');
    expect(answer.headers['x-mine']).toBeUndefined();
    expect(client === 'http2' ? ofHttp1(answer) : []).toEqual([]);
  });

  test('crumbs of a cookie are one line, values go as they are', async () => {
    let cookie: unknown;
    let mark: unknown;
    const { port } = await start(upstream, (request, response) => {
      cookie = fieldsOf(request).cookie;
      mark = request.headers['x-mark'];
      response.setHeader('x-back', 'caf\u00e9');
      response.end();
    });
    const headers = { 'x-mark': 'a, b', cookie: client === 'http2' ? ['a=1', 'b=2'] : 'a=1; b=2' };
    const answer = await ask(client, port, { headers });
    expect(cookie).toBe('a=1; b=2');
    expect(String(mark).trim()).toBe('a, b');
    expect(Buffer.from(answer.headers['x-back']!, 'latin1').toString('latin1')).toBe('caf\u00e9');
  });

  test('an early answer arrives though the body never ends', async () => {
    const { port, rig } = await start(upstream, (request, response) => {
      request.on('error', () => {});
      response.writeHead(413, { 'content-length': '3' });
      response.end('big');
    });
    await (client === 'http1' ? earlyByHttp1(port) : earlyByHttp2(port));
    await waitFor(() => rig.finished.length > 0);
    expect(rig.finished[0]!.status).toBe(413);
    expect(rig.finished[0]!.failure).toBe(null);
  });

  test('64 MB to a client that stops reading', { timeout: 60_000 }, async () => {
    const size = 64 * 1024 * 1024;
    const piece = Buffer.alloc(64 * 1024, 'x');
    let sent = 0;
    const { port } = await start(upstream, (_request, response) => {
      const more = (): void => {
        while (sent < size) {
          sent += piece.length;
          if (!response.write(piece)) {
            response.once('drain', more);
            return;
          }
        }
        response.end();
      };
      response.writeHead(200);
      more();
    });
    const before = heldBytes();
    const { source, cancel } = await reader(client, port);
    source.pause();
    const stalled = await settles(() => sent);
    expect(stalled).toBeLessThan(24 * 1024 * 1024);
    expect(heldBytes() - before).toBeLessThan(48 * 1024 * 1024);
    let got = 0;
    source.on('data', (chunk: Buffer) => (got += chunk.length));
    source.resume();
    await once(source, 'end');
    cancel();
    expect(got).toBe(size);
  });

  test('64 MB to an upstream that stops reading', { timeout: 60_000 }, async () => {
    const size = 64 * 1024 * 1024;
    const piece = Buffer.alloc(64 * 1024, 'x');
    let body: IncomingMessage | null = null;
    let got = 0;
    const { port } = await start(upstream, (request, response) => {
      body = request;
      request.pause();
      request.on('data', (chunk: Buffer) => (got += chunk.length));
      request.pause();
      request.on('end', () => response.end('all'));
    });
    const before = heldBytes();
    const { sink, answered } = writer(client, port);
    let sent = 0;
    const more = (): void => {
      while (sent < size) {
        sent += piece.length;
        if (!sink.write(piece)) {
          sink.once('drain', more);
          return;
        }
      }
      sink.end();
    };
    more();
    const stalled = await settles(() => sent);
    expect(stalled).toBeLessThan(24 * 1024 * 1024);
    expect(heldBytes() - before).toBeLessThan(48 * 1024 * 1024);
    body!.resume();
    expect(await answered).toBe('all');
    expect(got).toBe(size);
  });
});

async function earlyByHttp1(port: number): Promise<void> {
  const one = new Client(port);
  one.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nabc');
  await one.until('\r\n\r\nbig');
  one.socket.destroy();
}

async function earlyByHttp2(port: number): Promise<void> {
  const peer = await RawPeer.connect(port);
  peer.headers(1, post(['content-length', '1000']), false);
  peer.data(1, 'abc');
  expect((await peer.head(1))[':status']).toBe('413');
  expect(await peer.body(1)).toBe('big');
  // Whoever still sends is told that nobody wants it (RFC 9113 8.1).
  expect(await peer.reset(1)).toBe(code.none);
  peer.headers(3, get);
  expect((await peer.head(3))[':status']).toBe('413');
  peer.socket.destroy();
}

/** A client whose answer can be held back. */
async function reader(
  version: Version,
  port: number,
): Promise<{ source: NodeJS.ReadableStream; cancel: () => void }> {
  if (version === 'http1') {
    const request = http.get({ port, host: '127.0.0.1', agent: false });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return { source: response, cancel: () => request.destroy() };
  }
  const session = http2.connect(`http://127.0.0.1:${port}`);
  const stream = session.request({ ':path': '/' });
  await once(stream, 'response');
  return { source: stream, cancel: () => session.destroy() };
}

function writer(
  version: Version,
  port: number,
): { sink: NodeJS.WritableStream; answered: Promise<string> } {
  if (version === 'http1') {
    const request = http.request({ port, host: '127.0.0.1', agent: false, method: 'POST' });
    const answered = once(request, 'response').then(([response]) => textOf(response as never));
    return { sink: request, answered };
  }
  const session = http2.connect(`http://127.0.0.1:${port}`);
  const stream = session.request({ ':path': '/', ':method': 'POST' });
  const answered = textOf(stream as never).then((text) => {
    session.destroy();
    return text;
  });
  return { sink: stream, answered };
}

describe.each(['http1', 'http2'] as const)('%s', (client) => {
  test('an answer until the connection closes is whole', async () => {
    const upstreamPort = await rawHttp1(
      eachHead((_head, socket) => {
        socket.write('HTTP/1.1 200 OK\r\nx-a: 1\r\n\r\nhello ');
        setImmediate(() => socket.end('world'));
      }),
    );
    const { port } = await startRaw('http1', upstreamPort);
    const answer = await ask(client, port, {});
    expect([answer.body, answer.broken]).toEqual(['hello world', false]);
  });

  test('fields that one version may not have never come out of the other', async () => {
    let head = '';
    const upstreamPort = await rawHttp1(
      eachHead((text, socket) => {
        if (!text.startsWith('POST')) return;
        head = text;
        socket.write(
          'HTTP/1.1 200 OK\r\nConnection: x-gone, upgrade\r\nX-Gone: 1\r\nUpgrade: h2c\r\n' +
            'Keep-Alive: timeout=1\r\nProxy-Connection: a\r\nTransfer-Encoding: chunked\r\n' +
            'X-Kept: 1\r\n\r\n2\r\nok\r\n0\r\n\r\n',
        );
      }),
    );
    const { port } = await startRaw('http1', upstreamPort);
    const answer = await ask(client, port, { method: 'POST', body: ['abc'] });
    expect([answer.status, answer.body, answer.broken]).toEqual([200, 'ok', false]);
    expect(head).not.toMatch(/^(:|connection|keep-alive|http2-settings)/im);
    expect(head).toMatch(/^host: shop\r$/im);
    expect(answer.headers['x-kept']).toBe('1');
    for (const name of ['x-gone', 'upgrade', 'proxy-connection']) {
      expect(answer.headers[name]).toBeUndefined();
    }
    expect(client === 'http2' ? ofHttp1(answer) : []).toEqual([]);
  });

  const broken: [string, (peer: RawPeer, id: number) => void][] = [
    ['is reset by its upstream', (peer, id) => peer.send(resetOf(id, code.internal))],
    ['is reset without an error', (peer, id) => peer.send(resetOf(id, code.none))],
    ['loses its connection', (peer) => peer.socket.destroy()],
    ['loses its connection in good order', (peer) => peer.socket.end()],
    ['is too long', (peer, id) => peer.data(id, 'x'.repeat(100), true)],
    ['is too short', (peer, id) => peer.data(id, 'x', true)],
  ];
  test.each(broken)('a body that %s is not taken for whole', async (_how, breaks) => {
    const raw = await rawServer((peer) => {
      peer.onHead(1, () => {
        peer.headers(
          1,
          [
            [':status', '200'],
            ['content-length', '10'],
          ],
          false,
        );
        peer.data(1, 'hello');
        setTimeout(() => breaks(peer, 1), 10);
      });
    });
    stops.push(raw.stop);
    const { port, finished } = await startRaw('http2', raw.port);
    const answer = await ask(client, port, {});
    expect([answer.status, answer.broken]).toEqual([200, true]);
    await waitFor(() => finished.length === 1);
    expect(finished[0]!.failure).not.toBe(null);
  });

  test('a body of unsaid length that is reset is not taken for whole', async () => {
    const raw = await rawServer((peer) => {
      peer.onHead(1, () => {
        peer.headers(1, [[':status', '200']], false);
        peer.data(1, 'hello');
        setTimeout(() => peer.send(resetOf(1, code.cancel)), 10);
      });
    });
    stops.push(raw.stop);
    const { port } = await startRaw('http2', raw.port);
    const answer = await ask(client, port, {});
    expect([answer.status, answer.body, answer.broken]).toEqual([200, 'hello', true]);
  });

  test('chunks that break off are not taken for whole', async () => {
    const upstreamPort = await rawHttp1(
      eachHead((_head, socket) => {
        socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n');
        setTimeout(() => socket.end(), 10);
      }),
    );
    const { port } = await startRaw('http1', upstreamPort);
    const answer = await ask(client, port, {});
    expect([answer.status, answer.body, answer.broken]).toEqual([200, 'hello', true]);
  });

  const malformed: [string, [string, string][]][] = [
    [
      'upper case',
      [
        [':status', '200'],
        ['X-A', '1'],
      ],
    ],
    ['no status', [['x-a', '1']]],
    ['101', [[':status', '101']]],
    ['a status of two digits', [[':status', '20']]],
    [
      'two statuses',
      [
        [':status', '200'],
        [':status', '200'],
      ],
    ],
    [
      'a pseudo-header field of requests',
      [
        [':status', '200'],
        [':path', '/'],
      ],
    ],
    [
      'connection',
      [
        [':status', '200'],
        ['connection', 'close'],
      ],
    ],
    [
      'transfer-encoding',
      [
        [':status', '200'],
        ['transfer-encoding', 'chunked'],
      ],
    ],
    [
      'a line break',
      [
        [':status', '200'],
        ['x-a', 'b\r\nset-cookie: a=b'],
      ],
    ],
    [
      'a name with a line break',
      [
        [':status', '200'],
        ['x-a: b\r\nx', 'b'],
      ],
    ],
    [
      'two lengths',
      [
        [':status', '200'],
        ['content-length', '1'],
        ['content-length', '2'],
      ],
    ],
    [
      'a length of no number',
      [
        [':status', '200'],
        ['content-length', '-1'],
      ],
    ],
  ];
  test.each(malformed)('an answer with %s is 502', async (_what, fields) => {
    const raw = await rawServer((peer) => {
      peer.onHead(1, () => peer.headers(1, fields));
    });
    stops.push(raw.stop);
    const { port } = await startRaw('http2', raw.port);
    const answer = await ask(client, port, {});
    expect([answer.status, answer.headers['set-cookie']]).toEqual([502, undefined]);
    expect(await raw.peers[0]!.reset(1)).toBe(code.protocol);
  });

  test('a client that goes away in the middle of its body is seen upstream', async () => {
    for (const upstream of ['http1', 'http2'] as const) {
      let aborted = false;
      let ended = false;
      let begun = false;
      const { port } = await start(upstream, (request) => {
        begun = true;
        request.on('error', () => {});
        request.on('aborted', () => (aborted = true));
        request.on('end', () => (ended = true));
        request.resume();
      });
      if (client === 'http2') {
        const peer = await RawPeer.connect(port);
        peer.headers(1, post(), false);
        peer.data(1, 'half');
        await waitFor(() => begun);
        peer.send(resetOf(1, code.cancel));
      } else {
        const one = new Client(port);
        one.send('POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n');
        await waitFor(() => begun);
        one.socket.destroy();
      }
      await waitFor(
        () => aborted,
        () => `${upstream} hears nothing`,
      );
      expect([aborted, upstream === 'http1' && ended]).toEqual([true, false]);
      await rig!.stop();
    }
  });

  test('what is refused to a gRPC caller is its own kind of failure', async () => {
    for (const [failure, status] of [
      ['denied', '7'],
      ['token-refused', '16'],
      ['endpoint-missing', '14'],
      ['internal', '2'],
    ] as const) {
      const path = { start: (x: Parameters<typeof refuse>[0]) => refuse(x, failures[failure]) };
      const { port } = await startRaw('http1', 1, { path });
      const headers = { 'content-type': 'application/grpc+proto', te: 'trailers' };
      const answer = await ask(client, port, { method: 'POST', headers, body: [] });
      expect([answer.status, answer.headers['grpc-status']]).toEqual([200, status]);
      expect(answer.headers['content-type']).toBe('application/grpc');
      expect(answer.body).toBe('');
      const plain = await ask(client, port, {});
      expect(plain.status).toBe(failures[failure].status);
      expect(plain.body).toBe(failures[failure].body);
      await rig!.stop();
    }
  });

  test('an edit that cannot be sent is 500, and others are not hurt', async () => {
    for (const upstream of ['http1', 'http2'] as const) {
      const { port } = await start(upstream, (_request, response) => response.end('ok'), {
        path: {
          start: (x) => {
            if (x.request.path === '/bad') x.request.setPath('/a b\r\nx: y');
            x.stream.forward(upstream === 'http2' ? rig!.pool : rig!.pool.http1);
          },
        },
      });
      expect((await ask(client, port, {})).body).toBe('ok');
      expect((await ask(client, port, { path: '/bad' })).status).toBe(500);
      expect((await ask(client, port, {})).body).toBe('ok');
      expect(upstream === 'http2' ? rig!.opened : 1).toBe(1);
      await rig!.stop();
    }
  });
});

function resetOf(id: number, reason: number): Buffer {
  return frameOf(frame.rstStream, 0, id, Buffer.from([0, 0, 0, reason]));
}

describe('what a client of HTTP/2 may not send', () => {
  const good = get.slice(1);
  const bad: [string, readonly (readonly [string, string])[]][] = [
    ['no method', good],
    ['no path', [...get.slice(0, 2), get[3]!]],
    ['two paths', [...get, [':path', '/']]],
    ['a path without a slash', [get[0]!, get[1]!, [':path', 'a'], get[3]!]],
    ['a path with a blank', [get[0]!, get[1]!, [':path', '/a b'], get[3]!]],
    ['a path with a line break', [get[0]!, get[1]!, [':path', '/a\r\nx: y'], get[3]!]],
    ['a method with a blank', [[':method', 'GET /x'], ...good]],
    ['an authority with a line break', [...get.slice(0, 3), [':authority', 'a\r\nb: c']]],
    ['a pseudo-header field after others', [...get.slice(0, 3), ['x-a', '1'], get[3]!]],
    ['an unknown pseudo-header field', [...get, [':status', '200']]],
    ['upper case', [...get, ['X-A', '1']]],
    ['connection', [...get, ['connection', 'keep-alive']]],
    ['transfer-encoding', [...get, ['transfer-encoding', 'chunked']]],
    ['upgrade', [...get, ['upgrade', 'h2c']]],
    ['keep-alive', [...get, ['keep-alive', '1']]],
    ['proxy-connection', [...get, ['proxy-connection', '1']]],
    ['te beyond trailers', [...get, ['te', 'gzip']]],
    ['another host', [...get, ['host', 'b']]],
    ['two hosts', [...get, ['host', 'a'], ['host', 'a']]],
    ['a value with a line break', [...get, ['x-a', 'a\r\nb: c']]],
    ['a value with NUL', [...get, ['x-a', 'a\0']]],
    ['a name with a colon', [...get, ['x: a', '1']]],
    ['an empty name', [...get, ['', '1']]],
    ['two lengths', [...get, ['content-length', '0'], ['content-length', '0']]],
    ['a length and no body', [...get, ['content-length', '5']]],
    ['a list of lengths', [...get, ['content-length', '0, 0']]],
  ];
  test.each(bad)('%s', async (_what, fields) => {
    let calls = 0;
    const { port } = await start('http1', (_request, response) => {
      calls++;
      response.end();
    });
    const peer = await RawPeer.connect(port);
    peer.headers(1, fields);
    expect(await peer.reset(1)).toBe(code.protocol);
    expect(calls).toBe(0);
    // The connection goes on.
    peer.headers(3, get);
    expect((await peer.head(3))[':status']).toBe('200');
    peer.socket.destroy();
  });

  const bodies: [string, (peer: RawPeer) => void][] = [
    ['a body that is longer than it said', (peer) => peer.data(1, '123456', false)],
    ['a body that is shorter', (peer) => peer.data(1, '1234', true)],
    ['trailers before the body is whole', (peer) => peer.headers(1, [['x-t', '1']], true)],
    [
      'trailers with a pseudo-header field',
      (peer) => {
        peer.data(1, '12345');
        peer.headers(1, [[':path', '/']], true);
      },
    ],
    [
      'trailers with a line break',
      (peer) => {
        peer.data(1, '12345');
        peer.headers(1, [['x-t', 'a\r\nb']], true);
      },
    ],
    ['trailers that do not end the stream', (peer) => peer.headers(1, [['x-t', '1']], false)],
  ];
  test.each(bodies)('%s', async (_what, sends) => {
    for (const upstream of ['http1', 'http2'] as const) {
      let whole = false;
      let aborted = false;
      let begun = false;
      const { port } = await start(upstream, (request) => {
        begun = true;
        request.on('error', () => {});
        request.on('aborted', () => (aborted = true));
        request.on('end', () => (whole = !aborted));
        request.resume();
      });
      const peer = await RawPeer.connect(port);
      peer.headers(1, post(['content-length', '5']), false);
      await waitFor(() => begun);
      sends(peer);
      expect(await peer.reset(1)).toBe(code.protocol);
      await waitFor(
        () => aborted,
        () => `${upstream} hears nothing`,
      );
      expect(whole).toBe(false);
      peer.socket.destroy();
      await rig!.stop();
    }
  });
});

describe.each(['http1', 'http2'] as const)('a body in frames of a byte to %s', (upstream) => {
  test.each([0, 30])('with layers that take %i ms', async (layersMs) => {
    const { port } = await start(
      upstream,
      (request, response) => {
        void sayBack(request, response, (text) => `${text}|${request.trailers['x-t']}`);
      },
      {
        path: {
          start: (x) => {
            const pool = upstream === 'http2' ? rig!.pool : rig!.pool.http1;
            if (layersMs === 0) x.stream.forward(pool);
            else setTimeout(() => x.stream.forward(pool), layersMs);
          },
        },
      },
    );
    const peer = await RawPeer.connect(port);
    const text = Array.from({ length: 1_000 }, (_, i) => String(i)).join(',');
    peer.headers(1, post(), false);
    const frames = Array.from({ length: text.length }, (_, i) =>
      frameOf(frame.data, 0, 1, text[i]),
    );
    const half = frames.length >> 1;
    peer.send(...frames.slice(0, half));
    // One part before the layers are through, one after.
    await settles(() => peer.frames.length, 60);
    peer.send(...frames.slice(half));
    peer.headers(1, [['x-t', '1']], true);
    expect(await peer.body(1)).toBe(`${text}|1`);
    peer.headers(3, post(), false);
    peer.send(...frames.map((one) => at(one, 3)), at(frameOf(frame.data, 1, 3), 3));
    expect(await peer.body(3)).toBe(`${text}|undefined`);
    peer.socket.destroy();
  });
});

/** That frame on another stream. */
function at(bytes: Buffer, id: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt32BE(id, 5);
  return copy;
}

describe('authority and host', () => {
  const forms: [string, readonly (readonly [string, string])[]][] = [
    ['both, the same', [...get, ['host', 'a']]],
    ['host alone', [...get.slice(0, 3), ['host', 'a']]],
    ['authority alone', get],
  ];
  test.each(forms)('%s', async (_what, fields) => {
    let head = '';
    const upstreamPort = await rawHttp1(
      eachHead((text, socket) => {
        head = text;
        socket.write('HTTP/1.1 204 No Content\r\n\r\n');
      }),
    );
    const { port, finished } = await startRaw('http1', upstreamPort);
    const peer = await RawPeer.connect(port);
    peer.headers(1, fields);
    expect((await peer.head(1))[':status']).toBe('204');
    expect(head).toBe('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await waitFor(() => finished.length === 1);
    expect(finished[0]!.request.authority).toBe('a');
    peer.socket.destroy();
  });
});

const connect: readonly (readonly [string, string])[] = [
  [':method', 'CONNECT'],
  [':protocol', 'websocket'],
  [':scheme', 'http'],
  [':path', '/chat'],
  [':authority', 'a'],
  ['sec-websocket-version', '13'],
];

async function echo(): Promise<{ port: number; heads: string[] }> {
  const heads: string[] = [];
  const port = await rawHttp1((socket) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      if (heads.length > 0) {
        socket.write(chunk);
        return;
      }
      text += chunk.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      if (end < 0) return;
      heads.push(text.slice(0, end + 4));
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n' +
          'sec-websocket-accept: x\r\nsec-websocket-protocol: p\r\n\r\nfirst',
      );
      if (text.length > end + 4) socket.write(Buffer.from(text.slice(end + 4), 'latin1'));
    });
    socket.on('end', () => socket.end('bye'));
  });
  return { port, heads };
}

describe('WebSocket by extended CONNECT (RFC 8441)', () => {
  test('bytes go both ways, and the client ends it', async () => {
    const upstream = await echo();
    const { port, finished } = await startRaw('http1', upstream.port);
    const peer = await RawPeer.connect(port);
    await peer.until(() => peer.of(frame.settings).length > 0, 'no SETTINGS');
    const entries = peer.of(frame.settings)[0]!.payload;
    expect(entries.includes(settingBytes(setting.enableConnectProtocol, 1))).toBe(true);
    peer.headers(1, connect, false);
    peer.data(1, 'early ');
    const head = await peer.head(1);
    expect(head[':status']).toBe('200');
    expect([head['sec-websocket-protocol'], head.upgrade, head.connection]).toEqual([
      'p',
      undefined,
      undefined,
    ]);
    expect(head['sec-websocket-accept']).toBeUndefined();
    const sent = upstream.heads[0]!;
    expect(sent).toMatch(/^GET \/chat HTTP\/1\.1\r\n/);
    expect(sent).toMatch(/\r\nconnection: upgrade\r\nupgrade: websocket\r\n/);
    expect(sent).toMatch(/\r\nsec-websocket-key: [A-Za-z0-9+/]{22}==\r\n/);
    const big = 'z'.repeat(40_000);
    for (let at = 0; at < big.length; at += 10_000) peer.data(1, big.slice(at, at + 10_000));
    peer.data(1, 'end', true);
    expect(await peer.body(1)).toBe(`firstearly ${big}endbye`);
    await waitFor(() => finished.length === 1);
    const x = finished[0]!;
    expect([x.requestBodyBytes, x.failure]).toEqual([40_009, null]);
    peer.socket.destroy();
  });

  test('a client that has ended its side before the answer is still served', async () => {
    const upstream = await echo();
    const { port } = await startRaw('http1', upstream.port);
    const peer = await RawPeer.connect(port);
    peer.headers(1, connect, false);
    peer.data(1, 'all', true);
    expect(await peer.body(1)).toBe('firstallbye');
    peer.socket.destroy();
  });

  test('a client that gives it up is seen upstream', async () => {
    const upstream = await echo();
    const { port, finished } = await startRaw('http1', upstream.port);
    const peer = await RawPeer.connect(port);
    peer.headers(1, connect, false);
    await peer.head(1);
    peer.send(resetOf(1, code.cancel));
    await waitFor(() => finished.length === 1 && rig!.pool.connections === 0);
    expect(finished[0]!.failure?.code).toBe('downstream-gone');
    peer.socket.destroy();
  });

  test('an upstream that refuses it answers', async () => {
    const { port } = await start('http1', (_request, response) => {
      response.writeHead(403);
      response.end('no');
    });
    const peer = await RawPeer.connect(port);
    peer.headers(1, connect, false);
    expect((await peer.head(1))[':status']).toBe('403');
    expect(await peer.body(1)).toBe('no');
    peer.socket.destroy();
  });

  test('by way of a pool of either version it is HTTP/1.1', async () => {
    const upstream = await echo();
    const { port } = await startRaw('http2', upstream.port);
    const peer = await RawPeer.connect(port);
    peer.headers(1, connect, false);
    expect((await peer.head(1))[':status']).toBe('200');
    peer.data(1, 'x', true);
    expect(await peer.body(1)).toBe('firstxbye');
    peer.socket.destroy();
  });

  test('a plain CONNECT is refused', async () => {
    const { port } = await start('http1', (_request, response) => response.end());
    const peer = await RawPeer.connect(port);
    peer.headers(
      1,
      [
        [':method', 'CONNECT'],
        [':authority', 'a:80'],
      ],
      false,
    );
    expect((await peer.head(1))[':status']).toBe('403');
    peer.send(frameOf(frame.headers, flag.endHeaders | flag.endStream, 3, literal(get)));
    expect((await peer.head(3))[':status']).toBe('200');
    peer.socket.destroy();
  });
});
