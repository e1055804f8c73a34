// Requests that are nearly right, read by us and by Node's llhttp: what we let through must read the same behind us.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { readByNode, readByUs } from './llhttp.ts';

const seeds: readonly string[] = [
  'GET /a?b=c HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n',
  'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc',
  'POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nTrailer: t\r\n\r\n',
  'PUT http://b/c HTTP/1.1\r\nHost: a\r\nConnection: close, x\r\nX: 1\r\nContent-Length: 0\r\n\r\n',
  'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nraw',
  'POST /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi',
  'OPTIONS * HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\nCookie: c=d\r\n\r\n',
  'POST /t HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n00A\r\n0123456789\r\n0\r\n\r\n',
];
const next = 'GET /next HTTP/1.1\r\nHost: n\r\n\r\n';

/** What published smuggling attacks are made of. */
const pieces: readonly string[] = [
  '\r\n',
  '\n',
  '\r',
  '\r\n\r\n',
  '\n\n',
  '\0',
  ' ',
  '\t',
  '\v',
  '\f',
  '\x7f',
  '\xa0',
  '\x85',
  '\xff',
  ':',
  ',',
  ';',
  '"',
  '0',
  '3',
  '-1',
  '+3',
  '0x3',
  '3 ',
  '1e1',
  '0\r\n\r\n',
  'chunked',
  'Chunked',
  'xchunked',
  'identity',
  'gzip, chunked',
  'chunked, chunked',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding : chunked\r\n',
  'Transfer-Encoding:\r\n chunked\r\n',
  ' Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding:\tchunked\t\r\n',
  'Transfer_Encoding: chunked\r\n',
  'Transfer-Encoding: chunked, identity\r\n',
  'Content-Length: 3\r\n',
  'Content-Length: 0\r\n',
  'Content-Length : 3\r\n',
  'Content-Length: 3, 3\r\n',
  'content-length:\t3\r\n',
  'Content-Length: \r\n',
  'Host: b\r\n',
  'Host : b\r\n',
  'Host:\r\n',
  'Connection: content-length\r\n',
  'Connection: host\r\n',
  'Connection: keep-alive, transfer-encoding\r\n',
  'Connection: close\r\n',
  'Upgrade: h2c\r\n',
  'Connection: upgrade\r\n',
  'Expect: 100-continue\r\n',
  'Trailer: host\r\n',
  'GET /x HTTP/1.1\r\nHost: x\r\n\r\n',
  ' HTTP/1.1',
  ' HTTP/1.0',
  ' HTTP/0.9',
  'HTTP/1.1',
  'CONNECT x:1',
  '/',
  'http://x/',
  '%00',
  '#',
  '\\',
  'x'.repeat(300),
];

/** One change at one place of a text. */
const change = fc.record({
  kind: fc.constantFrom('insert', 'replace', 'delete', 'repeat'),
  at: fc.nat({ max: 10_000 }),
  length: fc.nat({ max: 12 }),
  piece: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...pieces) },
    { weight: 1, arbitrary: fc.nat({ max: 255 }).map((code) => String.fromCharCode(code)) },
  ),
});

const mutated = fc
  .tuple(fc.constantFrom(...seeds), fc.array(change, { minLength: 1, maxLength: 3 }))
  .map(([seed, changes]) => {
    let text = seed;
    for (const { kind, at, length, piece } of changes) {
      // Half of the places are ends of lines, where the trouble is.
      const ends = [...text.matchAll(/\r\n/g)].map(({ index }) => index + 2 * (at & 1));
      const place = at % 4 < 2 ? (ends[at % ends.length] ?? 0) : at % (text.length + 1);
      const cut = kind === 'insert' ? 0 : kind === 'repeat' ? 0 : length;
      const put =
        kind === 'delete' ? '' : kind === 'repeat' ? text.slice(place, place + length) : piece;
      text = text.slice(0, place) + put + text.slice(place + cut);
    }
    return text + next;
  });

const runs = { numRuns: 10_000, seed: 26 };

test('whatever we forward reads the same to an application on llhttp', async () => {
  let forwarded = 0;
  await fc.assert(
    fc.asyncProperty(mutated, async (text) => {
      const ours = readByUs(Buffer.from(text, 'latin1'));
      if (ours.requests.length === 0) return;
      forwarded += 1;
      const theirs = await readByNode(ours.forwarded);
      expect(theirs).toEqual({ requests: ours.requests, error: '' });
    }),
    runs,
  );
  // Else the test would say nothing.
  expect(forwarded).toBeGreaterThan(runs.numRuns / 8);
});

test('whatever we accept a proxy on llhttp before us has read the same way', async () => {
  await fc.assert(
    fc.asyncProperty(mutated, async (text) => {
      const ours = readByUs(Buffer.from(text, 'latin1'));
      const theirs = await readByNode(Buffer.from(text, 'latin1'));
      const read = theirs.requests.map(({ method, body }) => `${method} ${body}`);
      const most = theirs.error === '' ? read.length : Math.min(read.length, ours.read.length);
      expect(read.slice(0, ours.read.length)).toEqual(ours.read.slice(0, most));
    }),
    { ...runs, seed: 27 },
  );
});
