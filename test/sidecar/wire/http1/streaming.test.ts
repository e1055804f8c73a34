import { createHash, randomBytes } from 'node:crypto';

import { afterEach, expect, test } from 'vitest';

import { eachHead, Rig, waitFor } from './rig.ts';

let rig: Rig;

afterEach(async () => {
  await rig.stop();
});

const bodyBytes = 64 * 1024 * 1024;
const piece = randomBytes(65_536);
const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
/** What the engine may hold of a body: what was read when the other side was full. */
const heldBytesMax = 512 * 1024;

/** Writes as fast as the socket takes. */
function pour(socket: NodeJS.WritableStream, pieces: number, make: () => Buffer | string): void {
  let left = pieces;
  const more = (): void => {
    while (left > 0) {
      left--;
      if (!socket.write(make())) {
        socket.once('drain', more);
        return;
      }
    }
  };
  more();
}

async function whileFlat(done: () => boolean): Promise<void> {
  let peak = 0;
  await waitFor(
    () => {
      peak = Math.max(peak, rig.heldBytes);
      return done();
    },
    () => 'the body does not end',
    15_000,
  );
  expect(peak).toBeGreaterThan(0);
  expect(peak).toBeLessThan(heldBytesMax);
}

test('a download of 64 MB to a slow reader holds memory flat', async () => {
  rig = await Rig.start(
    eachHead((_, socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${bodyBytes}\r\n\r\n`);
      pour(socket, bodyBytes / piece.length, () => piece);
    }),
  );
  const client = rig.connect();
  const got = createHash('sha1');
  let skip = -1;
  client.socket.on('data', (chunk: Buffer) => {
    if (skip < 0) skip = chunk.indexOf('\r\n\r\n') + 4;
    got.update(chunk.subarray(skip));
    skip = 0;
  });
  client.send('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await client.until('\r\n\r\n');
  client.socket.pause();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(client.bytes).toBeLessThan(bodyBytes / 2);
  expect(rig.heldBytes).toBeLessThan(heldBytesMax);
  client.socket.resume();
  const pauses = setInterval(() => {
    client.socket.pause();
    setTimeout(() => client.socket.resume(), 1);
  }, 3);
  await whileFlat(() => rig.finished.length === 1);
  clearInterval(pauses);
  await waitFor(() => client.bytes >= bodyBytes + 40);
  const sent = createHash('sha1');
  for (let i = 0; i < bodyBytes / piece.length; i++) sent.update(piece);
  expect(got.digest('hex')).toBe(sent.digest('hex'));
  expect(rig.finished[0]).toMatchObject({ responseBodyBytes: bodyBytes, failure: null });
});

test('a chunked upload of 64 MB to a slow upstream holds memory flat', async () => {
  let got = 0;
  rig = await Rig.start((socket) => {
    let last = '';
    socket.on('data', (chunk: Buffer) => {
      got += chunk.length;
      last = (last + chunk.toString('latin1')).slice(-5);
      if (last === '0\r\n\r\n') socket.write(ok);
      socket.pause();
      setImmediate(() => socket.resume());
    });
  });
  const client = rig.connect();
  client.send('POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n');
  const chunk = Buffer.concat([Buffer.from('10000\r\n'), piece, Buffer.from('\r\n')]);
  let left = bodyBytes / piece.length;
  pour(client.socket, left + 1, () => (left-- > 0 ? chunk : '0\r\n\r\n'));
  await whileFlat(() => rig.finished.length === 1);
  expect(rig.finished[0]).toMatchObject({ requestBodyBytes: bodyBytes, status: 200 });
  expect(got).toBeGreaterThan(bodyBytes);
});

test('a client that asks and asks and never reads is not read from for ever', async () => {
  rig = await Rig.start(() => {}, {
    path: { start: (x) => x.stream.reply(200, '', 'x'.repeat(10_000), false) },
  });
  const client = rig.connect();
  client.socket.pause();
  const requests = Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(2_000));
  pour(client.socket, 50, () => requests);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const served = rig.finished.length;
  expect(served).toBeLessThan(10_000);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(rig.finished.length).toBe(served);
  client.socket.resume();
  await waitFor(() => rig.finished.length === 100_000, undefined, 15_000);
});
