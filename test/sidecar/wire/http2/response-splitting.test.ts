// Answers of an HTTP/2 upstream that lies about its framing: nothing that it injects reaches a client of either version.
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { plain, readToEnd, Rig, serviceOf } from '#test/sidecar/rig.ts';

import { block, flags, frame, frames, RawClient } from './raw-client.ts';
import type { Fields } from './raw-client.ts';
import { request } from './smuggling-corpus.ts';

const { endHeaders, endStream } = flags;
const ok: Fields = [[':status', '200']];
const hidden = 'HTTP/1.1 200 OK\r\nevil: 1\r\ncontent-length: 0\r\n\r\n';

interface Answer {
  readonly name: string;
  /** What a client may be told: 502, or an answer that breaks off before its end. */
  readonly becomes: 'refused' | 'broken' | 'whole';
  readonly frames: (id: number) => Buffer;
}

function head(id: number, fields: Fields, ends = true): Buffer {
  return frame(frames.headers, endHeaders | (ends ? endStream : 0), id, block(fields));
}

function heads(name: string, fields: Fields): Answer {
  return { name, becomes: 'refused', frames: (id) => head(id, fields) };
}

function bodies(
  name: string,
  becomes: Answer['becomes'],
  fields: Fields,
  body: string,
  trailers?: Fields,
): Answer {
  const ends = trailers === undefined ? endStream : 0;
  return {
    name,
    becomes,
    frames: (id) =>
      Buffer.concat([
        head(id, [...ok, ...fields], false),
        frame(frames.data, ends, id, body),
        ...(trailers === undefined ? [] : [head(id, trailers)]),
      ]),
  };
}

const answers: readonly Answer[] = [
  heads('CRLF in a value', [...ok, ['x', 'y\r\nevil: 1']]),
  heads('LF in a value', [...ok, ['x', 'y\nevil: 1']]),
  heads('CR in a value', [...ok, ['x', 'y\revil: 1']]),
  heads('NUL in a value', [...ok, ['x', 'y\0evil: 1']]),
  heads('a whole answer in a value', [...ok, ['x', `y\r\n\r\n${hidden}`]]),
  heads('CRLF in a name', [...ok, ['x\r\nevil', '1']]),
  heads('a colon in a name', [...ok, ['evil: 1\r\nx', '1']]),
  heads('upper case in a name', [...ok, ['X-Evil', '1']]),
  heads('an empty name', [...ok, ['', '1']]),
  heads('transfer-encoding', [...ok, ['transfer-encoding', 'chunked']]),
  heads('connection', [...ok, ['connection', 'keep-alive']]),
  heads('upgrade', [...ok, ['upgrade', 'evil']]),
  heads('no status', [['x', 'y']]),
  heads('two statuses', [...ok, ...ok]),
  heads('a status after a field', [['x', 'y'], ...ok]),
  heads('a status with a line end', [[':status', '200 OK\r\nevil: 1']]),
  heads('a status of four digits', [[':status', '2000']]),
  heads('a status of two digits', [[':status', '20']]),
  heads('status 101', [[':status', '101']]),
  heads('an interim answer that ends', [[':status', '100']]),
  heads('a pseudo-header field of requests', [...ok, [':path', '/evil']]),
  heads('two lengths', [...ok, ['content-length', '0'], ['content-length', '9']]),
  heads('a list of lengths', [...ok, ['content-length', '0, 0']]),
  heads('a signed length', [...ok, ['content-length', '+0']]),
  heads('a length and no body', [...ok, ['content-length', '9']]),
  bodies('a body longer than it says', 'broken', [['content-length', '3']], `abc${hidden}`),
  bodies('a body where none is said', 'broken', [['content-length', '0']], hidden),
  bodies('a body shorter than it says', 'broken', [['content-length', '900']], 'abc'),
  bodies('a trailer with a line end', 'broken', [], 'abc', [['x', '1\r\nevil: 1']]),
  bodies('a trailer that is a status', 'broken', [], 'abc', [[':status', '200']]),
  bodies('trailers too early', 'broken', [['content-length', '9']], 'abc', [['x', '1']]),
  bodies('a body without a length', 'whole', [], hidden),
  bodies('trailers that are framing', 'whole', [], 'abc', [['content-length', '9']]),
];

let rig: Rig;
let outbound = 0;
let answer: Answer | null = null;

beforeAll(async () => {
  rig = await Rig.create();
  const server = createServer((socket) => serve(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  rig.onClose(() => server.close());
  const { port } = server.address() as AddressInfo;
  const services = [serviceOf('payments', [{ port }], 'http2')];
  outbound = (await rig.sidecar({ account: 'web', services })).outboundPort;
});
afterAll(() => rig.close());

/** Answers each head that comes with `answer`. */
function serve(socket: Socket): void {
  rig.onClose(() => socket.destroy());
  let input: Buffer = Buffer.alloc(0);
  let skipped = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'.length;
  socket.write(frame(frames.settings, 0, 0, ''));
  socket.on('error', () => undefined);
  socket.on('data', (bytes: Buffer) => {
    input = Buffer.concat([input, bytes]);
    while (input.length >= skipped + 9) {
      const size = skipped + 9 + input.readUIntBE(skipped, 3);
      if (input.length < size) return;
      const type = input[skipped + 3];
      if (type === frames.headers) socket.write(answer!.frames(input.readUInt32BE(skipped + 5)));
      input = input.subarray(size);
      skipped = 0;
    }
  });
}

test.each(answers)('$name: $becomes', async (one) => {
  answer = one;
  const socket = await plain(outbound);
  socket.write('GET http://payments/ HTTP/1.1\r\nhost: payments\r\nconnection: close\r\n\r\n');
  const text = await readToEnd(socket);
  const [line = ''] = text.split('\r\n');
  const client = await RawClient.connect(outbound);
  const fields = block(request({ ':method': 'GET' }));
  const outcome = await client.send((id) =>
    frame(frames.headers, endHeaders | endStream, id, fields),
  );
  client.close();
  const whole = outcome.status === 200 && !outcome.refused;
  expect({
    http1: /^HTTP\/1\.1 (\d+)/.exec(line)?.[1] ?? 'nothing',
    whole,
    // A head of 200 may have gone on before the lie came.
    http2: outcome.refused && outcome.status === 200 ? 0 : outcome.status,
  }).toEqual(
    {
      refused: { http1: '502', whole: false, http2: 502 },
      broken: { http1: expect.stringMatching(/200|502|nothing/), whole: false, http2: 0 },
      whole: { http1: '200', whole: true, http2: 200 },
    }[one.becomes],
  );
  expect(Object.keys(outcome.headers).filter((name) => name.includes('evil'))).toEqual([]);
  const [headText = '', ...rest] = text.split('\r\n\r\n');
  expect(headText).not.toMatch(/[\r\n\0]evil/);
  // Of a body that breaks off, no end is told.
  expect(one.becomes === 'broken' && line.includes(' 200') && isWhole(headText, rest)).toBe(false);
});

/** Whether a client of HTTP/1.1 would take the answer for complete. */
function isWhole(headText: string, rest: readonly string[]): boolean {
  const said = /content-length: (\d+)/i.exec(headText)?.[1];
  const body = rest.join('\r\n\r\n');
  return said === undefined ? body.includes('0\r\n') : body.length === Number(said);
}
