import { once } from 'node:events';
import http2 from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import net from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { FrameReader } from '#sidecar/wire/http2/frame-reader.ts';
import type { FrameHandler } from '#sidecar/wire/http2/frame-reader.ts';
import { flag, frame, PREFACE, setting } from '#sidecar/wire/http2/frames.ts';
import { HpackDecoder } from '#sidecar/wire/http2/hpack/decoder.ts';
import { HpackEncoder } from '#sidecar/wire/http2/hpack/encoder.ts';
import {
  decodeBlock,
  encodeBlock,
  someFields,
  type Field,
} from '#test/sidecar/wire/http2/fields.ts';
import { frameOf, settingBytes } from '#test/sidecar/wire/http2/rig.ts';
import { waitFor } from '#test/sidecar/wire/http1/rig.ts';

const pseudo: readonly Field[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'a'],
];
/** Of these Node takes one line only. */
const single = new Set(['authorization', 'etag', 'user-agent']);

function sampled(count: number): Field[][] {
  const heads = fc.sample(someFields, { numRuns: count, seed: 7541 });
  return heads.map((fields) => {
    const seen = new Set<string>();
    return fields.filter(([name]) => {
      const again = seen.has(name);
      seen.add(name);
      return !(single.has(name) && again) && !/^(connection|te|host|upgrade)$/.test(name);
    });
  });
}

/** Values by name, as Node gives and takes them. */
function grouped(fields: readonly Field[]): Record<string, string[]> {
  const all: Record<string, string[]> = {};
  for (const [name, value] of fields) (all[name] ??= []).push(value);
  return all;
}

async function listening(server: net.Server | http2.Http2Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

test.each([0, 100, 4096, 65_536])(
  'nghttp2 with a table of %i bytes decodes what we encode',
  async (tableBytes) => {
    const heads = sampled(300);
    const got: Field[][] = [];
    const server = http2.createServer({ settings: { headerTableSize: tableBytes } });
    server.on('stream', (stream, _headers, _flags, raw) => {
      const fields: Field[] = [];
      for (let i = 0; i < raw.length; i += 2) fields.push([raw[i]!, raw[i + 1]!]);
      got.push(fields);
      stream.close();
    });
    const socket = net.connect({ port: await listening(server), host: '127.0.0.1' });
    socket.resume();
    const encoder = new HpackEncoder();
    encoder.setPeerTableBytesMax(tableBytes);
    socket.write(Buffer.concat([PREFACE, frameOf(frame.settings, 0, 0)]));
    const flags = flag.endHeaders | flag.endStream;
    for (const [i, fields] of heads.entries()) {
      const block = encodeBlock(encoder, [...pseudo, ...fields]);
      socket.write(frameOf(frame.headers, flags, 2 * i + 1, block));
      if (i % 50 === 49)
        await waitFor(
          () => got.length > i,
          () => `only ${got.length} heads came`,
        );
    }
    await waitFor(
      () => got.length === heads.length,
      () => `only ${got.length} heads came`,
    );
    socket.destroy();
    server.close();
    expect(got).toEqual(heads.map((fields) => [...pseudo, ...fields]));
  },
);

/** Decodes what an nghttp2 client sends, and answers each request with 204. */
class Decoding implements FrameHandler {
  readonly heads: (readonly Field[] | null)[] = [];
  readonly decoder = new HpackDecoder();
  private readonly reader = new FrameReader(this, true);
  private readonly socket: Socket;

  constructor(socket: Socket, tableBytes: number) {
    this.socket = socket;
    socket.write(frameOf(frame.settings, 0, 0, settingBytes(setting.headerTableSize, tableBytes)));
    socket.on('data', (chunk: Buffer) => this.reader.push(chunk, 0, chunk.length));
    socket.on('error', () => {});
  }

  frame(type: number, flags: number, id: number, payload: Buffer, from: number, to: number): void {
    if (type === frame.settings && (flags & flag.ack) === 0) {
      this.socket.write(frameOf(frame.settings, flag.ack, 0));
    }
    if (type !== frame.headers) return;
    // Node says its priority.
    const begin = (flags & flag.priority) === 0 ? from : from + 5;
    this.heads.push(decodeBlock(this.decoder, payload.subarray(begin, to)));
    const answer = Buffer.from([0x89]);
    this.socket.write(frameOf(frame.headers, flag.endHeaders | flag.endStream, id, answer));
  }

  dataBegin(): void {}

  dataPart(): void {}

  readError(code: number, message: string): void {
    this.socket.destroy(new Error(`${code} ${message}`));
  }
}

async function ask(client: ClientHttp2Session, headers: Record<string, unknown>): Promise<void> {
  const stream = client.request(headers as http2.OutgoingHttpHeaders);
  stream.resume();
  await once(stream, 'close');
}

async function withClient(
  tableBytes: number,
  use: (client: ClientHttp2Session, server: () => Decoding) => Promise<void>,
): Promise<void> {
  let decoding: Decoding | null = null;
  const server = net.createServer((socket) => {
    decoding = new Decoding(socket, tableBytes);
  });
  const client = http2.connect(`http://127.0.0.1:${await listening(server)}`);
  await once(client, 'remoteSettings');
  await use(client, () => decoding!);
  client.destroy();
  server.close();
}

test.each([0, 100, 4096])(
  'we decode what nghttp2 encodes for a table of %i bytes',
  async (tableBytes) => {
    const heads = sampled(300);
    await withClient(tableBytes, async (client, server) => {
      for (const fields of heads) await ask(client, { ':path': '/', ...grouped(fields) });
      const regular = server().heads.map((head) =>
        grouped((head ?? []).filter(([name]) => !name.startsWith(':'))),
      );
      expect(regular).toEqual(heads.map(grouped));
    });
  },
);

test('we decode the Huffman code of every byte that a value may have', async () => {
  await withClient(0, async (client, server) => {
    // Enough short codes that nghttp2 takes the Huffman form whatever the byte costs.
    const values = Array.from(
      { length: 224 },
      (_, i) => `${'0'.repeat(40)}${String.fromCharCode(32 + i)}${'a'.repeat(9)}`,
    ).filter((value) => value.charCodeAt(40) !== 127);
    for (const value of values) await ask(client, { ':path': '/', 'x-a': value });
    const got = server().heads.map((head) => head?.find(([name]) => name === 'x-a')?.[1]);
    expect(got).toEqual(values);
  });
});
