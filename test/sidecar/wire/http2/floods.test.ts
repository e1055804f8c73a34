import { afterEach, describe, expect, test } from 'vitest';

import { code, flag, frame, setting } from '#sidecar/wire/http2/frames.ts';
import { waitFor } from '#test/sidecar/wire/http1/rig.ts';

import { application, ask, heldBytes, settles } from './peers.ts';
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

const answers: Serve = (request, response) => {
  request.on('error', () => {});
  request.resume();
  request.on('end', () => response.end('ok'));
};

async function start(
  serve: Serve = answers,
  options: Partial<Http2RigOptions> = {},
  upstream: Version = 'http1',
): Promise<Http2Rig> {
  const app = await application(upstream, serve);
  stops.push(() => app.stop());
  const rig = await Http2Rig.start({ upstreamPort: app.port, upstream, ...options });
  stops.push(() => rig.stop());
  return rig;
}

async function attacker(rig: Http2Rig, settings?: Buffer): Promise<RawPeer> {
  const peer = await RawPeer.connect(rig.port, settings);
  peers.push(peer);
  return peer;
}

/** What an attack may cost this process, the attacker's own work and the collector's garbage included. */
const cpuMsMax = 3_000;
const bytesMax = 256 * 1024 * 1024;

interface Cost {
  cpuMs: number;
  bytes: number;
}

/** Runs an attack while another client asks on; fails when it costs too much or the other waits. */
async function under(rig: Http2Rig, attack: () => Promise<void>): Promise<Cost> {
  const bytesBefore = heldBytes();
  const cpuBefore = process.cpuUsage();
  const until = { over: false };
  let peak = 0;
  let served = 0;
  const other = (async () => {
    do {
      const startedMs = performance.now();
      const answer = await ask('http2', rig.port, { path: '/other' });
      expect([answer.status, answer.body]).toEqual([200, 'ok']);
      expect(performance.now() - startedMs).toBeLessThan(2_000);
      served++;
      peak = Math.max(peak, heldBytes() - bytesBefore);
    } while (!until.over);
  })();
  try {
    await attack();
  } finally {
    until.over = true;
    await other;
  }
  const { user, system } = process.cpuUsage(cpuBefore);
  const cost = { cpuMs: (user + system) / 1000, bytes: peak };
  expect(served).toBeGreaterThan(0);
  expect(cost.cpuMs).toBeLessThan(cpuMsMax);
  expect(cost.bytes).toBeLessThan(bytesMax);
  return cost;
}

/** Sends pieces until the connection is ended, or `max` are out; whether the peer reads them or not. */
async function flood(peer: RawPeer, piece: (at: number) => Buffer, max = 200_000): Promise<number> {
  const each = 500;
  let at = 0;
  while (at < max && !peer.gone && peer.of(frame.goaway).length === 0) {
    const parts: Buffer[] = [];
    for (let i = 0; i < each; i++) parts.push(piece(at++));
    peer.send(...parts);
    await new Promise((resolve) => setImmediate(resolve));
    if (peer.socket.writableLength > 1024 * 1024) {
      await waitFor(
        () => peer.socket.writableLength < 1024 * 1024 || peer.gone,
        () => 'nothing is read any more, and nothing is ended',
      );
    }
  }
  return at;
}

function opening(id: number): Buffer {
  return frameOf(frame.headers, flag.endHeaders | flag.endStream, id, literal(get));
}

function resetOf(id: number, reason: number): Buffer {
  return frameOf(frame.rstStream, 0, id, u32(reason));
}

describe('a hostile client', () => {
  test('resets streams as fast as it opens them (CVE-2023-44487)', async () => {
    const rig = await start((request, response) => {
      if (request.url === '/other') response.end('ok');
      else setTimeout(() => response.end('ok'), 100);
    });
    const peer = await attacker(rig);
    await under(rig, async () => {
      const sent = await flood(peer, (i) =>
        Buffer.concat([opening(2 * i + 1), resetOf(2 * i + 1, code.cancel)]),
      );
      expect(sent).toBeLessThan(20_000);
      expect(await peer.goaway()).toBe(code.enhanceYourCalm);
    });
    await peer.closed;
  });

  test('makes us reset streams (CVE-2025-8671)', async () => {
    const rig = await start((request, response) => {
      if (request.url === '/other') response.end('ok');
    });
    for (const bad of [
      (id: number) => frameOf(frame.windowUpdate, 0, id, u32(0)),
      (id: number) => frameOf(frame.windowUpdate, 0, id, u32(0x7fff_ffff)),
      (id: number) => frameOf(frame.priority, 0, id, Buffer.concat([u32(id), Buffer.from([0])])),
    ]) {
      const peer = await attacker(rig);
      await under(rig, async () => {
        const sent = await flood(peer, (i) =>
          Buffer.concat([
            frameOf(frame.headers, flag.endHeaders, 2 * i + 1, literal(post())),
            bad(2 * i + 1),
          ]),
        );
        expect(sent).toBeLessThan(20_000);
        expect(await peer.goaway()).toBe(code.enhanceYourCalm);
      });
    }
  });

  test('sends requests that are none', async () => {
    const rig = await start();
    const peer = await attacker(rig);
    const bad = literal([...get, ['X', '1']]);
    await under(rig, async () => {
      const sent = await flood(peer, (i) => frameOf(frame.headers, 5, 2 * i + 1, bad));
      expect(sent).toBeLessThan(20_000);
      expect(await peer.goaway()).toBe(code.enhanceYourCalm);
    });
  });

  test.each([
    ['large', 16_000],
    ['of a byte', 1],
    ['empty', 0],
  ])('sends CONTINUATION without end: %s (CVE-2024-27316)', async (_what, size) => {
    const rig = await start();
    const peer = await attacker(rig);
    peer.send(frameOf(frame.headers, 0, 1, literal(get)));
    const part = Buffer.alloc(size);
    if (size > 0) literal([['x', 'y'.repeat(size)]]).copy(part);
    await under(rig, async () => {
      const sent = await flood(peer, () => frameOf(frame.continuation, 0, 1, part));
      expect(sent).toBeLessThan(20_000);
      expect(await peer.goaway()).toBe(code.enhanceYourCalm);
    });
  });

  test.each([
    ['empty DATA', () => frameOf(frame.data, 0, 1)],
    ['padding and nothing else', () => frameOf(frame.data, flag.padded, 1, Buffer.from([0]))],
    ['SETTINGS', () => frameOf(frame.settings, 0, 0, settingBytes(4, 65_535))],
    ['acknowledgements of SETTINGS', () => frameOf(frame.settings, flag.ack, 0)],
    ['PING', () => frameOf(frame.ping, 0, 0, Buffer.alloc(8))],
    ['answers to PING', () => frameOf(frame.ping, flag.ack, 0, Buffer.alloc(8))],
    ['PRIORITY', () => frameOf(frame.priority, 0, 1, Buffer.from([0, 0, 0, 3, 1]))],
    ['unknown frames', () => frameOf(0x20, 0, 0)],
    ['WINDOW_UPDATE on the connection', () => frameOf(frame.windowUpdate, 0, 0, u32(1))],
    ['WINDOW_UPDATE on a stream', () => frameOf(frame.windowUpdate, 0, 1, u32(1))],
    ['RST_STREAM on a closed stream', () => resetOf(1, code.cancel)],
    ['GOAWAY', () => frameOf(frame.goaway, 0, 0, Buffer.alloc(8))],
  ])('floods with %s', async (_what, piece) => {
    const rig = await start((request, response) => {
      if (request.url === '/other') response.end('ok');
    });
    const peer = await attacker(rig);
    const { 0: method } = post();
    peer.headers(1, [method!, ...get.slice(1)], false);
    await under(rig, async () => {
      const sent = await flood(peer, piece);
      expect(sent).toBeLessThan(20_000);
      expect(await peer.goaway()).toBe(code.enhanceYourCalm);
    });
    await peer.closed;
  });

  test.each([
    ['PING', frameOf(frame.ping, 0, 0, Buffer.alloc(8))],
    ['SETTINGS', frameOf(frame.settings, 0, 0, settingBytes(4, 65_535))],
  ])('floods with %s and reads nothing (CVE-2019-9512)', async (_what, one) => {
    const rig = await start(answers, {
      // So that only the answers that wait can end it.
      http2: { controlsBurst: 1e9, pendingAnswersMax: 1_000 },
    });
    const peer = await attacker(rig);
    peer.socket.pause();
    await under(rig, async () => {
      const many = Buffer.concat(Array.from({ length: 4_000 }, () => one));
      // What is sent after the end is read for a while, so that GOAWAY can be.
      const endMs = performance.now() + 8_000;
      while (!peer.gone && performance.now() < endMs) {
        if (peer.socket.write(many)) await new Promise((resolve) => setTimeout(resolve, 1));
        else await settles(() => peer.socket.writableLength, 50);
      }
      expect(peer.gone).toBe(true);
    });
  });

  test('sends a bomb of HPACK references', async () => {
    const rig = await start();
    const peer = await attacker(rig);
    const big = 'v'.repeat(3_900);
    // Literal with incremental indexing: name `x`, then 16 000 references to it.
    const length = Buffer.from([127, ...varint(big.length - 127)]);
    const entry = Buffer.concat([Buffer.from([0x40, 1, 0x78]), length, Buffer.from(big)]);
    const refs = Buffer.alloc(12_000, 0x80 | 62);
    await under(rig, async () => {
      for (let id = 1; id < 400; id += 2) {
        const block = Buffer.concat([literal(get), entry, refs]);
        peer.send(frameOf(frame.headers, flag.endHeaders | flag.endStream, id, block));
        expect((await peer.head(id))[':status']).toBe('431');
      }
      // The table is in step all the same.
      const last = Buffer.concat([literal(get), Buffer.from([0x80 | 62])]);
      peer.send(frameOf(frame.headers, flag.endHeaders | flag.endStream, 401, last));
      expect((await peer.head(401))[':status']).toBe('200');
    });
    expect(rig.unheard.length).toBe(200);
    expect(rig.unheard[0]!.failure?.code).toBe('head-too-large');
  });

  test('sends more fields, crumbs or bytes of a head than there may be', async () => {
    const rig = await start();
    const peer = await attacker(rig);
    const crumbs = Array.from({ length: 120 }, () => ['cookie', 'a=1'] as const);
    const fields = Array.from({ length: 120 }, (_, i) => [`x-${i}`, ''] as const);
    const empties = Array.from({ length: 120 }, () => ['x', ''] as const);
    let id = 1;
    for (const more of [crumbs, fields, empties]) {
      peer.headers(id, [...get, ...more]);
      expect((await peer.head(id))[':status']).toBe('431');
      id += 2;
    }
    const large = literal([
      ...get,
      ...Array.from({ length: 5 }, () => ['x', 'y'.repeat(15_000)] as const),
    ]);
    const parts = [0, 1, 2, 3, 4].map((i) => large.subarray(i * 16_000, (i + 1) * 16_000));
    peer.send(
      frameOf(frame.headers, flag.endStream, id, large.subarray(0, 16_000)),
      ...parts.slice(1).map((part, i) => frameOf(frame.continuation, i === 3 ? 4 : 0, id, part)),
    );
    expect(await peer.goaway()).toBe(code.enhanceYourCalm);
  });

  test('opens more streams than it may', async () => {
    const rig = await start(
      (request, response) => {
        if (request.url === '/other') response.end('ok');
      },
      { http2: { streamsMax: 10 } },
    );
    const peer = await attacker(rig);
    for (let id = 1; id <= 41; id += 2) peer.headers(id, get);
    expect(await peer.reset(21)).toBe(code.refusedStream);
    expect(await peer.reset(41)).toBe(code.refusedStream);
    expect(peer.of(frame.rstStream, 19).length).toBe(0);
    peer.send(resetOf(1, code.cancel));
    peer.headers(43, [...get.slice(0, 2), [':path', '/other'], get[3]!]);
    expect((await peer.head(43))[':status']).toBe('200');
    await under(rig, async () => {
      await flood(peer, (i) => opening(45 + 2 * i));
      expect(await peer.goaway()).toBe(code.enhanceYourCalm);
    });
  });

  test('asks for much and opens no window (CVE-2019-9517)', async () => {
    const size = 192 * 1024;
    const bytes = Buffer.alloc(size);
    const rig = await start((request, response) => {
      if (request.url === '/other') response.end('ok');
      else response.end(bytes);
    });
    const peer = await attacker(rig, settingBytes(setting.initialWindowSize, 0));
    await under(rig, async () => {
      for (let id = 1; id < 600; id += 2) peer.headers(id, get);
      await peer.head(599);
      await settles(() => peer.frames.length, 200);
      expect(peer.of(frame.data).length).toBe(0);
    });
    // All of it comes once there is room: nothing was lost.
    peer.send(
      frameOf(frame.settings, 0, 0, settingBytes(setting.initialWindowSize, 2 * size)),
      frameOf(frame.windowUpdate, 0, 0, u32(0x7000_0000)),
    );
    await peer.until(
      () => peer.frames.some((one) => one.type === 0 && one.id === 599 && (one.flags & 1) !== 0),
      'the last body does not come',
      15_000,
    );
  });

  test('opens a window byte by byte on many streams', async () => {
    const rig = await start((request, response) => {
      if (request.url === '/other') response.end('ok');
      else response.end(Buffer.alloc(20_000));
    });
    const peer = await attacker(rig, settingBytes(setting.initialWindowSize, 0));
    for (let id = 1; id < 2_000; id += 2) peer.headers(id, get);
    await peer.head(1_999);
    const { cpuMs } = await under(rig, async () => {
      await flood(peer, (i) => frameOf(frame.windowUpdate, 0, 2 * (i % 1_000) + 1, u32(1)), 40_000);
    });
    expect(cpuMs).toBeLessThan(cpuMsMax);
  });

  test('opens windows beyond what there can be', async () => {
    const rig = await start((request, response) => {
      if (request.url === '/other') response.end('ok');
    });
    const one = await attacker(rig);
    one.headers(1, get);
    one.send(frameOf(frame.windowUpdate, 0, 1, u32(0x7fff_ffff)));
    expect(await one.reset(1)).toBe(code.flowControl);
    one.send(frameOf(frame.windowUpdate, 0, 0, u32(0x7fff_ffff)));
    expect(await one.goaway()).toBe(code.flowControl);
    const two = await attacker(rig);
    two.headers(1, get);
    two.send(frameOf(frame.windowUpdate, 0, 1, u32(0x7fff_0000 - 65_535)));
    two.send(frameOf(frame.settings, 0, 0, settingBytes(setting.initialWindowSize, 0x7fff_ffff)));
    expect(await two.goaway()).toBe(code.flowControl);
    const three = await attacker(rig, settingBytes(setting.initialWindowSize, 0x8000_0000));
    expect(await three.goaway()).toBe(code.flowControl);
  });

  test('sends more than it was let', async () => {
    const rig = await start(
      (request, response) => {
        if (request.url === '/other') response.end('ok');
      },
      { http2: { streamWindowBytes: 20_000, connectionWindowBytes: 65_535 } },
    );
    const one = await attacker(rig);
    one.headers(1, post(), false);
    one.data(1, Buffer.alloc(16_000));
    one.data(1, Buffer.alloc(16_000));
    // The application takes what comes, so the window may have been opened: the next overruns it.
    for (let i = 0; i < 200 && one.of(frame.rstStream).length === 0 && !one.gone; i++) {
      one.data(1, Buffer.alloc(16_000));
    }
    await one.until(
      () => one.of(frame.rstStream, 1).length + one.of(frame.goaway).length > 0,
      'no end',
    );
    const [reset] = one.of(frame.rstStream, 1);
    const reason = reset === undefined ? await one.goaway() : reset.payload.readUInt32BE(0);
    expect(reason).toBe(code.flowControl);
  });

  test('sends a body byte by byte to an upstream that takes none', async () => {
    for (const upstream of ['http1', 'http2'] as const) {
      const rig = await start(
        (request, response) => {
          if (request.url === '/other') response.end('ok');
          else request.pause();
        },
        {},
        upstream,
      );
      const peer = await attacker(rig);
      for (let id = 1; id < 20; id += 2) peer.headers(id, post(), false);
      const piece = frameOf(frame.data, 0, 1, 'x');
      const { bytes } = await under(rig, async () => {
        for (let id = 1; id < 20; id += 2) {
          const one = Buffer.from(piece);
          one.writeUInt32BE(id, 5);
          const many = Buffer.concat(Array.from({ length: 5_000 }, () => one));
          for (let sent = 0; sent < 200_000; sent += 5_000) {
            peer.send(many);
            await new Promise((resolve) => setImmediate(resolve));
          }
        }
        await settles(() => peer.socket.writableLength + peer.frames.length, 300);
      });
      expect(bytes).toBeLessThan(bytesMax);
    }
  }, 60_000);

  test('sends half a head, and no more', async () => {
    const rig = await start(answers, { http2: { headTimeoutMs: 300 } });
    const one = await attacker(rig);
    one.send(frameOf(frame.headers, 0, 1, literal(get)));
    expect(await one.goaway()).toBe(code.enhanceYourCalm);
    const two = await attacker(rig);
    two.send(opening(1).subarray(0, 12));
    expect(await two.goaway()).toBe(code.enhanceYourCalm);
    await Promise.all([one.closed, two.closed]);
  });

  test('sends half a head while other streams are busy', async () => {
    const rig = await start(
      (request, response) => {
        if (request.url === '/other') response.end('ok');
        else setInterval(() => response.write('x'), 20).unref();
      },
      { http2: { headTimeoutMs: 300 } },
    );
    const peer = await attacker(rig);
    peer.headers(1, get);
    await peer.head(1);
    peer.send(frameOf(frame.headers, 0, 3, literal(get)));
    expect(await peer.goaway()).toBe(code.enhanceYourCalm);
  });

  test('says no SETTINGS', async () => {
    const rig = await start(answers, { declaredHttp2: true, http2: { headTimeoutMs: 300 } });
    const peer = await attacker(rig);
    // What connects has sent SETTINGS already, so this one is made by hand.
    const net = await import('node:net');
    const socket = net.connect({ port: rig.port, host: '127.0.0.1' });
    const silent = new RawPeer(socket);
    peers.push(silent);
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    expect(await silent.goaway()).toBe(code.settingsTimeout);
    expect(peer.of(frame.goaway).length).toBe(0);
    const eager = new RawPeer(net.connect({ port: rig.port, host: '127.0.0.1' }));
    peers.push(eager);
    eager.send(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), opening(1));
    expect(await eager.goaway()).toBe(code.protocol);
  });
});

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128);
  return [...bytes, rest];
}

/** A rig whose `/other` goes to an honest upstream, the rest to a hostile one. */
async function against(
  serve: (peer: RawPeer) => void,
  options: Partial<Http2RigOptions> = {},
): Promise<{ rig: Http2Rig; peer: () => RawPeer }> {
  const raw = await rawServer((peer) => {
    peer.socket.on('error', () => {});
    serve(peer);
  });
  stops.push(raw.stop);
  const honest = await start(answers);
  const rig = await Http2Rig.start({
    upstreamPort: raw.port,
    upstream: 'http2',
    path: {
      start: (x) => {
        x.stream.forward(x.request.path === '/other' ? honest.pool.http1 : rig.pool);
      },
    },
    ...options,
  });
  stops.push(() => rig.stop());
  return { rig, peer: () => raw.peers[0]! };
}

describe('a hostile upstream', () => {
  test.each([
    ['PING', () => frameOf(frame.ping, 0, 0, Buffer.alloc(8))],
    ['SETTINGS', () => frameOf(frame.settings, 0, 0, settingBytes(4, 65_535))],
    ['unknown frames', () => frameOf(0x20, 0, 0)],
    ['WINDOW_UPDATE', () => frameOf(frame.windowUpdate, 0, 0, u32(1))],
    ['empty DATA', () => frameOf(frame.data, 0, 1)],
  ])('floods with %s', async (_what, piece) => {
    const { rig, peer } = await against((one) => {
      one.onHead(1, () => one.headers(1, [[':status', '200']], false));
    });
    const asked = ask('http1', rig.port, {});
    await waitFor(() => rig.opened === 1 && peer()?.heads.has(1));
    await under(rig, async () => {
      expect(await flood(peer(), piece)).toBeLessThan(20_000);
      expect(await peer().goaway()).toBe(code.enhanceYourCalm);
    });
    const answer = await asked;
    expect(answer.broken || answer.status >= 500).toBe(true);
  });

  test('floods with interim answers', async () => {
    const { rig, peer } = await against((one) => {
      one.onHead(1, () => {
        for (let i = 0; i < 2_000; i++) one.headers(1, [[':status', '103']], false);
      });
    });
    const answer = await ask('http1', rig.port, {});
    expect([answer.status, answer.interims.length]).toEqual([502, 32]);
    expect(await peer().reset(1)).toBe(code.protocol);
  });

  test('sends a head without end', async () => {
    const { rig, peer } = await against((one) => {
      one.onHead(1, () => {
        one.send(frameOf(frame.headers, 0, 1, literal([[':status', '200']])));
        void flood(one, () =>
          frameOf(frame.continuation, 0, 1, literal([['x', 'y'.repeat(1_000)]])),
        );
      });
    });
    const answer = await ask('http1', rig.port, {});
    expect([502, 503]).toContain(answer.status);
    await peer().closed;
  });

  test('sends a head, and trailers, that are too large', async () => {
    const many = Array.from({ length: 110 }, (_, i) => [`x-${i}`, '1'] as const);
    const { rig } = await against((one) => {
      one.onHead(1, () => one.headers(1, [[':status', '200'], ...many]));
      one.onHead(3, () => {
        one.headers(3, [[':status', '200']], false);
        one.headers(3, [
          ['x', 'y'.repeat(8_000)],
          ['x', 'y'.repeat(8_000)],
          ['z', '1'.repeat(390)],
        ]);
      });
    });
    expect((await ask('http2', rig.port, {})).status).toBe(502);
    const answer = await ask('http2', rig.port, {});
    expect([answer.status, answer.broken]).toEqual([200, true]);
  });

  test('says GOAWAY, then that there may be no streams (CVE-2021-32780)', async () => {
    const { rig } = await against((one) => {
      one.onHead(1, () => {
        one.send(
          frameOf(frame.goaway, 0, 0, Buffer.concat([u32(1), u32(0)])),
          frameOf(frame.settings, 0, 0, settingBytes(setting.concurrentStreamsMax, 0)),
        );
        one.headers(1, [[':status', '200']], false);
        one.data(1, 'ok', true);
      });
    });
    for (let i = 0; i < 5; i++) {
      const answer = await ask('http2', rig.port, {});
      expect([answer.status, answer.body]).toEqual([200, 'ok']);
    }
    expect(rig.opened).toBe(5);
  });

  test('allows no streams at all', async () => {
    const { rig } = await against(
      (one) => {
        one.send(frameOf(frame.settings, 0, 0, settingBytes(setting.concurrentStreamsMax, 0)));
      },
      { pool1: { connectionsMax: 4, connectTimeoutMs: 500, pendingMax: 10 } },
    );
    await under(rig, async () => {
      for (let i = 0; i < 30; i++) void ask('http1', rig.port, {});
      await settles(() => rig.opened, 1_000);
      expect(rig.opened).toBeLessThanOrEqual(8);
    });
  });

  test.each([
    [
      'PUSH_PROMISE',
      (): Buffer => frameOf(frame.pushPromise, 4, 1, Buffer.concat([u32(2), literal(get)])),
    ],
    ['an answer on a stream that was never opened', (): Buffer => opening(7)],
    ['DATA on a stream that was never opened', (): Buffer => frameOf(frame.data, 0, 7, 'x')],
    ['HEADERS on an even stream', (): Buffer => opening(2)],
    ['RST_STREAM on a stream that was never opened', (): Buffer => resetOf(7, 0)],
    ['WINDOW_UPDATE of 0', (): Buffer => frameOf(frame.windowUpdate, 0, 0, u32(0))],
    ['SETTINGS that let us push', (): Buffer => frameOf(frame.settings, 0, 0, settingBytes(2, 1))],
    ['HEADERS on the connection', (): Buffer => opening(0)],
  ])('sends %s', async (_what, bad) => {
    const { rig, peer } = await against((one) => {
      one.onHead(1, () => one.send(bad()));
    });
    const answer = await ask('http1', rig.port, {});
    expect([502, 503]).toContain(answer.status);
    expect(await peer().goaway()).toBe(code.protocol);
    await peer().closed;
  });

  test('sends frames beyond their size, and HPACK that is none', async () => {
    for (const [bytes, reason] of [
      [frameOf(frame.data, 0, 1, Buffer.alloc(16_385)), code.frameSize],
      [
        frameOf(frame.headers, 5, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
        code.compression,
      ],
      [frameOf(frame.headers, 5, 1, Buffer.from([0x80])), code.compression],
    ] as const) {
      const { rig, peer } = await against((one) => {
        one.onHead(1, () => one.send(bytes));
      });
      expect([502, 503]).toContain((await ask('http1', rig.port, {})).status);
      expect(await peer().goaway()).toBe(reason);
    }
  });
});
