import { once } from 'node:events';
import net from 'node:net';
import type { AddressInfo, OnReadOpts, Socket } from 'node:net';
import tls from 'node:tls';

import { afterEach, describe, expect, test } from 'vitest';

import type { Exchange } from '#sidecar/exchange.ts';
import { http1PoolLimits } from '#sidecar/wire/http1/limits.ts';
import { HttpPool } from '#sidecar/wire/http-pool.ts';
import { code, flag, frame, setting } from '#sidecar/wire/http2/frames.ts';
import { http2Limits } from '#sidecar/wire/http2/limits.ts';
import { waitFor } from '#test/sidecar/wire/http1/rig.ts';
import { issue, makeTestCa } from '#test/tls/fixtures.ts';

import { application, ask, settles } from './peers.ts';
import type { Serve, Version } from './peers.ts';
import {
  frameOf,
  get,
  Http2Rig,
  literal,
  post,
  RawPeer,
  rawServer,
  settingBytes,
  u32,
} from './rig.ts';
import type { Http2RigOptions } from './rig.ts';

const stops: (() => Promise<void>)[] = [];
const peers: RawPeer[] = [];

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.socket.destroy();
  for (const stop of stops.splice(0).toReversed()) await stop();
});

/** Answers when it is told to. */
class Held {
  readonly waiting: (() => void)[] = [];
  readonly serve: Serve = (request, response) => {
    if (request.url === '/now') response.end('now');
    else this.waiting.push(() => response.end(request.url));
  };

  release(): void {
    for (const one of this.waiting.splice(0)) one();
  }
}

async function start(
  serve: Serve,
  options: Partial<Http2RigOptions> = {},
  upstream: Version = 'http1',
): Promise<Http2Rig> {
  const app = await application(upstream, serve);
  stops.push(() => app.stop());
  return await startAt(app.port, { upstream, ...options });
}

async function startAt(upstreamPort: number, options: Partial<Http2RigOptions>): Promise<Http2Rig> {
  const rig = await Http2Rig.start({ upstreamPort, upstream: 'http2', ...options });
  stops.push(() => rig.stop());
  return rig;
}

async function client(rig: Http2Rig, settings?: Buffer): Promise<RawPeer> {
  const peer = await RawPeer.connect(rig.port, settings);
  peers.push(peer);
  return peer;
}

function at(path: string): readonly (readonly [string, string])[] {
  return [get[0]!, get[1]!, [':path', path], get[3]!];
}

/** Last stream and code of each GOAWAY so far. */
function goaways(peer: RawPeer): [number, number][] {
  return peer
    .of(frame.goaway)
    .map(({ payload }) => [payload.readUInt32BE(0), payload.readUInt32BE(4)]);
}

describe('a connection of a client', () => {
  test('drains: streams that are on their way are served, none is lost', async () => {
    const held = new Held();
    const rig = await start(held.serve);
    const peer = await client(rig);
    peer.headers(1, at('/1'));
    await waitFor(() => held.waiting.length === 1);
    rig.connections[0]!.drain();
    await peer.until(() => peer.of(frame.goaway).length === 1, 'no GOAWAY');
    expect(goaways(peer)).toEqual([[0x7fff_ffff, code.none]]);
    peer.headers(3, at('/3'));
    await waitFor(() => held.waiting.length === 2);
    await peer.until(() => peer.of(frame.goaway).length === 2, 'no last GOAWAY');
    expect(goaways(peer)[1]).toEqual([3, code.none]);
    // From here on it is late, and nobody does anything with it.
    peer.headers(5, at('/5'));
    held.release();
    expect([await peer.body(1), await peer.body(3)]).toEqual(['/1', '/3']);
    await peer.closed;
    expect(peer.of(frame.headers, 5).length + held.waiting.length).toBe(0);
    expect(rig.finished.map(({ failure }) => failure)).toEqual([null, null]);
  });

  test('drains a body that is still being sent', async () => {
    const rig = await start((request, response) => {
      let bytes = 0;
      request.on('data', (chunk: Buffer) => (bytes += chunk.length));
      request.on('end', () => response.end(String(bytes)));
    });
    const peer = await client(rig);
    peer.headers(1, post(), false);
    peer.data(1, 'x'.repeat(1_000));
    await peer.until(() => peer.of(frame.settings).length > 0, 'no SETTINGS');
    rig.connections[0]!.drain();
    await peer.until(() => peer.of(frame.goaway).length === 2, 'no last GOAWAY');
    peer.data(1, 'x'.repeat(1_000), true);
    expect(await peer.body(1)).toBe('2000');
    await peer.closed;
  });

  test('drains at once when nothing is to be waited for', async () => {
    const rig = await start((_request, response) => response.end());
    const peer = await client(rig);
    await peer.until(() => peer.of(frame.settings).length > 1, 'no SETTINGS');
    rig.connections[0]!.drain(false);
    await peer.closed;
    expect(goaways(peer)).toEqual([[0, code.none]]);
  });

  test('closes: what is under way is cut off', async () => {
    const held = new Held();
    const rig = await start((request, response) => {
      if (request.url === '/half') response.write('half');
      else held.serve(request, response);
    });
    const peer = await client(rig);
    peer.headers(1, at('/1'));
    peer.headers(3, at('/half'));
    await peer.until(() => peer.of(frame.data, 3).length > 0, 'no DATA');
    await waitFor(() => held.waiting.length === 1);
    rig.connections[0]!.close();
    await peer.closed;
    expect((await peer.head(1))[':status']).toBe('503');
    expect(peer.of(frame.data, 3).every(({ flags }) => (flags & flag.endStream) === 0)).toBe(true);
    expect(rig.finished.map(({ failure }) => failure?.code)).toEqual(['draining', 'draining']);
  });

  test('is drained after so many requests', async () => {
    const rig = await start((_request, response) => response.end('ok'), {
      http2: { requestsPerConnectionMax: 3 },
    });
    const peer = await client(rig);
    for (let id = 1; id <= 5; id += 2) {
      peer.headers(id, get);
      expect(await peer.body(id)).toBe('ok');
    }
    await peer.closed;
    expect(goaways(peer).at(-1)).toEqual([5, code.none]);
  });

  test('is asked whether it is there, and ended when it does not answer', async () => {
    const held = new Held();
    const rig = await start(held.serve, { http2: { pingEveryMs: 250 } });
    const silent = await client(rig);
    const alive = await client(rig);
    silent.headers(1, get);
    const answer = setInterval(() => {
      for (const { payload, flags } of alive.of(frame.ping).splice(0)) {
        if (flags === 0) alive.send(frameOf(frame.ping, flag.ack, 0, payload));
      }
    }, 20);
    await silent.closed;
    clearInterval(answer);
    expect(silent.of(frame.ping).length).toBe(1);
    expect(await silent.goaway()).toBe(code.none);
    expect([alive.of(frame.ping).length > 0, alive.of(frame.goaway).length]).toEqual([true, 0]);
    await waitFor(() => rig.finished.length === 1);
    expect(rig.finished[0]!.failure?.code).toBe('downstream-gone');
  });

  test('is ended when it is idle, but not while a stream is open', async () => {
    const held = new Held();
    const rig = await start(held.serve, { http2: { idleTimeoutMs: 300 } });
    const busy = await client(rig);
    busy.headers(1, get);
    const idle = await client(rig);
    await idle.closed;
    expect(goaways(idle)).toEqual([[0, code.none]]);
    expect(busy.of(frame.goaway).length).toBe(0);
    held.release();
    expect(await busy.body(1)).toBe('/');
    await busy.closed;
  });

  test('a stream without a byte is answered 504 or 408, others go on', async () => {
    const held = new Held();
    const rig = await start(held.serve, { http2: { streamIdleTimeoutMs: 300 } });
    const peer = await client(rig);
    peer.headers(1, at('/slow'));
    peer.headers(3, post(), false);
    expect((await peer.head(1))[':status']).toBe('504');
    expect((await peer.head(3))[':status']).toBe('408');
    peer.headers(5, at('/now'));
    expect(await peer.body(5)).toBe('now');
  });

  test('a stream that takes nothing does not starve another', async () => {
    const big = Buffer.alloc(4 * 1024 * 1024, 'x');
    const rig = await start((request, response) => {
      response.end(request.url === '/big' ? big : 'small');
    });
    // The connection has a large window, streams have little.
    const peer = await client(rig, settingBytes(setting.initialWindowSize, 20_000));
    peer.send(frameOf(frame.windowUpdate, 0, 0, u32(0x3fff_0000)));
    for (let id = 1; id < 40; id += 2) peer.headers(id, at('/big'));
    await peer.head(39);
    await settles(() => peer.frames.length, 50);
    peer.headers(41, get);
    expect(await peer.body(41)).toBe('small');
  });

  test('streams that share a window have their turns', async () => {
    const big = Buffer.alloc(1024 * 1024, 'x');
    const rig = await start((_request, response) => response.end(big));
    const peer = await client(rig, settingBytes(setting.initialWindowSize, 0x7fff_ffff));
    for (let id = 1; id < 16; id += 2) peer.headers(id, get);
    await peer.head(15);
    await settles(() => peer.frames.length, 100);
    const before = peer.of(frame.data).length;
    for (let i = 0; i < 80; i++) {
      peer.send(frameOf(frame.windowUpdate, 0, 0, u32(16_384)));
      await settles(() => peer.frames.length, 5);
    }
    await settles(() => peer.frames.length, 100);
    const bytes = new Map<number, number>();
    for (const { id, payload } of peer.of(frame.data).slice(before)) {
      bytes.set(id, (bytes.get(id) ?? 0) + payload.length);
    }
    expect(bytes.size).toBe(8);
    expect(Math.min(...bytes.values())).toBeGreaterThan(Math.max(...bytes.values()) / 3);
  });

  test('a client that stops sending one body does not stop another', async () => {
    const rig = await start(
      (request, response) => {
        request.on('error', () => {});
        if (request.url === '/stalled') return;
        request.resume();
        request.on('end', () => response.end('ok'));
      },
      {},
      'http2',
    );
    const peer = await client(rig);
    peer.headers(1, [[':method', 'POST'], ...at('/stalled').slice(1)], false);
    for (let i = 0; i < 16; i++) peer.data(1, Buffer.alloc(16_000));
    peer.headers(3, post(), false);
    for (let i = 0; i < 15; i++) peer.data(3, Buffer.alloc(16_000));
    peer.data(3, '', true);
    expect(await peer.body(3)).toBe('ok');
  });
});

describe('a pool', () => {
  test('sends many calls on one connection', async () => {
    const held = new Held();
    const rig = await start(held.serve, {}, 'http2');
    const peer = await client(rig);
    for (let id = 1; id < 160; id += 2) peer.headers(id, at(`/${id}`));
    await waitFor(() => held.waiting.length === 80);
    held.release();
    for (let id = 1; id < 160; id += 2) expect(await peer.body(id)).toBe(`/${id}`);
    expect(rig.opened).toBe(1);
    expect(rig.finished.length).toBe(80);
  });

  test('opens another connection where the peer takes no more streams', async () => {
    const raw = await rawServer((peer) => {
      peer.send(frameOf(frame.settings, 0, 0, settingBytes(setting.concurrentStreamsMax, 5)));
    });
    stops.push(raw.stop);
    const rig = await startAt(raw.port, {});
    const peer = await client(rig);
    peer.headers(1, get);
    await waitFor(() => raw.peers[0]?.heads.has(1) === true);
    // The first came before SETTINGS; now they are known.
    await raw.peers[0]!.until(() => raw.peers[0]!.of(frame.settings).length > 2, 'no SETTINGS');
    for (let id = 3; id < 14; id += 2) peer.headers(id, get);
    await waitFor(() => rig.opened === 2);
    await waitFor(() => raw.peers.reduce((sum, one) => sum + one.heads.size, 0) === 7);
    expect(raw.peers[0]!.heads.size).toBe(5);
    for (const one of raw.peers) {
      for (const id of one.heads.keys()) one.headers(id, [[':status', '204']]);
    }
    for (let id = 1; id < 14; id += 2) expect((await peer.head(id))[':status']).toBe('204');
  });

  test('sends again what the upstream refused, or left out of GOAWAY', async () => {
    const refusals: [string, (peer: RawPeer) => void][] = [
      ['REFUSED_STREAM', (peer) => peer.send(frameOf(frame.rstStream, 0, 1, u32(7)))],
      ['GOAWAY', (peer) => peer.send(frameOf(frame.goaway, 0, 0, Buffer.alloc(8)))],
      [
        'GOAWAY with an error',
        (peer) => peer.send(frameOf(frame.goaway, 0, 0, Buffer.concat([u32(0), u32(11)]))),
      ],
      [
        'GOAWAY and the end',
        (peer) => {
          peer.send(frameOf(frame.goaway, 0, 0, Buffer.alloc(8)));
          peer.socket.end();
        },
      ],
    ];
    for (const [what, refuses] of refusals) {
      for (const fields of [get, post(), post(['content-length', '4'])]) {
        let calls = 0;
        const raw = await rawServer((peer) => {
          const id = what === 'REFUSED_STREAM' ? [1, 3] : [1];
          for (const one of id) {
            peer.onHead(one, () => {
              if (++calls === 1) refuses(peer);
              else
                peer.headers(one, [
                  [':status', '200'],
                  ['x-what', what],
                ]);
            });
          }
        });
        const rig = await startAt(raw.port, {});
        const peer = await client(rig);
        const hasBody = fields.length > 4;
        peer.headers(1, fields, !hasBody);
        if (hasBody) setTimeout(() => peer.data(1, 'body', true), 0);
        const head = await peer.head(1);
        // What went of a body is not kept, so then the failure is told.
        if (head[':status'] === '200') await waitFor(() => rig.finished.length === 1);
        expect(head[':status']).toMatch(hasBody ? /^(200|503)$/ : /^200$/);
        expect(head['x-what']).toBe(head[':status'] === '200' ? what : undefined);
        expect(calls).toBe(head[':status'] === '200' ? 2 : 1);
        await rig.stop();
        await raw.stop();
      }
    }
  });

  test('sends nothing again that may have been done', async () => {
    for (const reason of [code.internal, code.cancel, code.none, code.enhanceYourCalm]) {
      let calls = 0;
      const raw = await rawServer((peer) => {
        peer.onHead(1, () => {
          calls++;
          peer.send(frameOf(frame.rstStream, 0, 1, u32(reason)));
        });
      });
      const rig = await startAt(raw.port, {});
      const answer = await ask('http1', rig.port, { method: 'POST', body: [] });
      expect(answer.status).toBe(503);
      await settles(() => calls, 50);
      expect(calls).toBe(1);
      await rig.stop();
      await raw.stop();
    }
  });

  test('a call whose client goes away while it is to be sent again is sent to nobody', async () => {
    const peer1: RawPeer[] = [];
    const raw = await rawServer((peer) => {
      peer1.push(peer);
    });
    stops.push(raw.stop);
    const rig = await startAt(raw.port, {});
    const peer = await client(rig);
    peer.headers(1, get);
    peer.headers(3, get);
    await waitFor(() => peer1[0]?.heads.size === 2);
    // Both in one turn of the engine's loop, or in two: either way nothing may break.
    peer1[0]!.send(frameOf(frame.rstStream, 0, 1, u32(code.refusedStream)));
    peer.send(frameOf(frame.rstStream, 0, 1, u32(code.cancel)));
    await waitFor(() => rig.finished.length === 1);
    await settles(() => peer1[0]!.frames.length, 50);
    for (const { id } of peer1[0]!.of(frame.rstStream)) expect(peer1[0]!.heads.has(id)).toBe(true);
    peer1[0]!.headers(3, [[':status', '204']]);
    expect((await peer.head(3))[':status']).toBe('204');
  });

  test('what was taken before GOAWAY is answered, new calls go to another connection', async () => {
    const raw = await rawServer((peer) => {
      peer.onHead(1, () => {
        peer.send(frameOf(frame.goaway, 0, 0, Buffer.concat([u32(1), u32(0)])));
      });
    });
    stops.push(raw.stop);
    const rig = await startAt(raw.port, {});
    const peer = await client(rig);
    peer.headers(1, get);
    await waitFor(() => raw.peers.length === 1 && raw.peers[0]!.heads.has(1));
    await settles(() => raw.peers[0]!.frames.length, 50);
    peer.headers(3, get);
    await waitFor(() => raw.peers.length === 2 && raw.peers[1]!.heads.has(1));
    for (const one of raw.peers) one.headers(1, [[':status', '204']]);
    expect((await peer.head(1))[':status']).toBe('204');
    expect((await peer.head(3))[':status']).toBe('204');
    await raw.peers[0]!.closed;
  });

  test('ends connections that are idle, or that answer no PING', async () => {
    const app = await application('http2', (_request, response) => response.end('ok'));
    stops.push(() => app.stop());
    const rig = await startAt(app.port, { pool: { idleTimeoutMs: 300 } });
    expect((await ask('http1', rig.port, {})).body).toBe('ok');
    expect(rig.pool.connections).toBe(1);
    await waitFor(() => rig.pool.connections === 0);
    const raw = await rawServer(() => {});
    stops.push(raw.stop);
    const dead = await startAt(raw.port, { pool: { pingEveryMs: 250 } });
    const answer = await ask('http1', dead.port, {});
    expect(answer.status).toBe(503);
    expect(raw.peers[0]!.of(frame.ping).length).toBe(1);
  });

  test('waits for the answer to a PING as long as is said', async () => {
    const raw = await rawServer(() => {});
    stops.push(raw.stop);
    const dead = await startAt(raw.port, { pool: { pingEveryMs: 250, pingTimeoutMs: 1_500 } });
    const begunMs = performance.now();
    expect((await ask('http1', dead.port, {})).status).toBe(503);
    expect(performance.now() - begunMs).toBeGreaterThan(1_500);
    expect(raw.peers[0]!.of(frame.ping).length).toBe(1);
  });

  test('a call that waits for a connection is failed in time, or when there are too many', async () => {
    const silent = net.createServer(() => {});
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    silent.close();
    const rig = await startAt(port, {});
    const answers = await Promise.all([1, 2, 3].map(() => ask('http2', rig.port, {})));
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 503]);
  });
});

async function tlsPool(
  port: number,
  caPem: string,
): Promise<{ pool: HttpPool; options: Partial<Http2RigOptions> }> {
  const sockets: Socket[] = [];
  const connect =
    (alpn: string[]) =>
    (onread?: OnReadOpts): Socket => {
      const socket = tls.connect({
        host: '127.0.0.1',
        port,
        ca: caPem,
        ALPNProtocols: alpn,
        checkServerIdentity: () => undefined,
        ...(onread !== undefined && { onread }),
      } as tls.ConnectionOptions);
      sockets.push(socket);
      return socket;
    };
  const pool = new HttpPool({
    address: `127.0.0.1:${port}`,
    connectHttp1: connect(['http/1.1']),
    connectHttp2: connect(['h2', 'http/1.1']),
    http1: http1PoolLimits,
    http2: http2Limits,
  });
  stops.push(async () => {
    pool.close();
    for (const socket of sockets) socket.destroy();
    await Promise.resolve();
  });
  return { pool, options: { path: { start: (x: Exchange) => x.stream.forward(pool) } } };
}

async function secure(
  version: Version,
  keys: { keyPem: string; certPem: string },
  port: number,
): Promise<{ port: number; stop: () => Promise<void>; connections: () => number }> {
  const app = await application(version, (request, response) => {
    response.end(`${request.httpVersion} ${request.url}`);
  });
  const sockets: Socket[] = [];
  let connections = 0;
  const server = tls.createServer(
    {
      key: keys.keyPem,
      cert: keys.certPem,
      ALPNProtocols: [version === 'http1' ? 'http/1.1' : 'h2'],
    },
    (socket) => {
      connections++;
      const inner = net.connect({ port: app.port, host: '127.0.0.1' });
      sockets.push(socket, inner);
      for (const one of [socket, inner]) one.on('error', () => {});
      socket.pipe(inner).pipe(socket);
    },
  );
  server.on('tlsClientError', () => {});
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const stop = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    await app.stop();
  };
  return { port: (server.address() as AddressInfo).port, stop, connections: () => connections };
}

describe('over TLS', () => {
  test('ALPN decides, and a server that comes back with another version is heard', async () => {
    const ca = await makeTestCa();
    const keys = await issue(ca, { uri: 'spiffe://a/ns/b/sa/c' });
    let server = await secure('http1', keys, 0);
    const { port } = server;
    const { pool, options } = await tlsPool(port, ca.certPem);
    const rig = await startAt(port, options);
    const all = async (): Promise<string[]> =>
      (await Promise.all([1, 2, 3].map((i) => ask('http2', rig.port, { path: `/${i}` })))).map(
        ({ body }) => body,
      );
    expect(await all()).toEqual(['1.1 /1', '1.1 /2', '1.1 /3']);
    expect(await all()).toEqual(['1.1 /1', '1.1 /2', '1.1 /3']);
    expect(server.connections()).toBeLessThanOrEqual(3);
    for (const [version, said] of [
      ['http2', '2.0'],
      ['http1', '1.1'],
    ] as const) {
      await server.stop();
      await waitFor(() => pool.connections === 0);
      server = await secure(version, keys, port);
      expect(await all()).toEqual([`${said} /1`, `${said} /2`, `${said} /3`]);
      expect(version === 'http2' ? server.connections() : 1).toBe(1);
    }
    await server.stop();
  });
});

test('a draining connection forgets no stream of many', async () => {
  const held = new Held();
  const rig = await start(held.serve, {}, 'http2');
  const peer = await client(rig);
  await peer.until(() => peer.of(frame.settings).length > 0, 'no SETTINGS');
  for (let round = 0; round < 3; round++) {
    peer.send(
      ...Array.from({ length: 20 }, (_, i) =>
        frameOf(frame.headers, 5, 2 * (round * 20 + i) + 1, literal(at('/x'))),
      ),
    );
    if (round === 1) rig.connections[0]!.drain();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await waitFor(() => held.waiting.length === 60);
  held.release();
  for (let id = 1; id < 120; id += 2) expect(await peer.body(id)).toBe('/x');
  await peer.closed;
  expect(rig.finished.every(({ failure }) => failure === null)).toBe(true);
});
