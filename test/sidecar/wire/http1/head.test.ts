import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { http1Limits } from '#sidecar/wire/http1/limits.ts';
import { RequestHead } from '#sidecar/wire/http1/request-head.ts';
import { ResponseHead } from '#sidecar/wire/http1/response-head.ts';

import { naiveHead } from './naive.ts';

const start = 'POST /a HTTP/1.1\r\nhost: a\r\n';

/** Parses text that comes in one piece. */
function parse(text: string, head = new RequestHead(http1Limits)): string {
  const bytes = Buffer.from(text, 'latin1');
  return head.feed(bytes, 0, bytes.length);
}

/** Parses text that comes in pieces; each is overwritten after it was given, as a read buffer is. */
function parsePieces(
  text: string,
  cuts: readonly number[],
  head = new RequestHead(http1Limits),
): string {
  let state = 'more';
  const ends = [...cuts, text.length];
  for (let i = 0, from = 0; i < ends.length && state === 'more'; from = ends[i++]!) {
    const piece = Buffer.from(text.slice(from, ends[i]), 'latin1');
    state = head.feed(piece, 0, piece.length);
    if (state === 'more') piece.fill(0x21);
  }
  return state;
}

function forwarded(head: RequestHead): string {
  const out = Buffer.alloc(head.http1BytesMax());
  return out.toString('latin1', 0, head.writeHttp1(out, 0));
}

const accepted: readonly string[] = [
  'GET / HTTP/1.1\r\n\r\n',
  '\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n',
  'GET / HTTP/1.0\r\n\r\n',
  'GET / HTTP/1.1\r\nhost: user@a:80\r\n\r\n',
  'GET http://a/b?c HTTP/1.1\r\nhost: a\r\n\r\n',
  'CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n',
  'FOO * HTTP/1.1\r\nhost: a\r\n\r\n',
  `${start}content-length: 0\r\n\r\n`,
  `${start}content-length:  12  \r\n\r\n`,
  `${start}content-length: 999999999999999\r\n\r\n`,
  `${start}transfer-encoding: chunked\r\n\r\n`,
  `${start}Transfer-Encoding: CHUNKED\r\n\r\n`,
  `${start}x: \x80\xff\t \r\n\r\n`,
  `${start}x:\r\ny: \r\n\r\n`,
];

const refused: Readonly<Record<string, string>> = {
  'expect named by connection': `${start}connection: expect\r\nexpect: 100-continue\r\n\r\n`,
  'bare LF after the request line': 'GET / HTTP/1.1\nhost: a\r\n\r\n',
  'bare LF after a field': `${start}a: b\nc: d\r\n\r\n`,
  'bare LF at the end': `${start}a: b\r\n\n`,
  'bare CR in a value': `${start}a: b\rc\r\n\r\n`,
  'bare CR in a name': `${start}a\rb: c\r\n\r\n`,
  'CR CR LF': `${start}a: b\r\r\n\r\n`,
  'NUL in a value': `${start}a: b\0c\r\n\r\n`,
  'NUL in a name': `${start}a\0: c\r\n\r\n`,
  'NUL in the method': 'G\0T / HTTP/1.1\r\nhost: a\r\n\r\n',
  'NUL in the target': 'GET /\0 HTTP/1.1\r\nhost: a\r\n\r\n',
  'DEL in a value': `${start}a: b\x7f\r\n\r\n`,
  'a control in a value': `${start}a: b\x0bc\r\n\r\n`,
  'obs-fold': `${start}a: b\r\n c\r\n\r\n`,
  'obs-fold with a tab': `${start}a: b\r\n\tc\r\n\r\n`,
  'obs-fold of transfer-encoding': `${start}transfer-encoding:\r\n chunked\r\n\r\n`,
  'a folded first line': 'GET / HTTP/1.1\r\n host: a\r\n\r\n',
  'blank before the colon': `${start}content-length : 1\r\n\r\n`,
  'tab before the colon': `${start}transfer-encoding\t: chunked\r\n\r\n`,
  'empty name': `${start}: b\r\n\r\n`,
  'no colon': `${start}abc\r\n\r\n`,
  'a non-token name': `${start}a(b): c\r\n\r\n`,
  'a high byte in a name': `${start}\xe9: c\r\n\r\n`,
  'CL.TE': `${start}content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n`,
  'TE.CL': `${start}transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n`,
  'CL 0 with TE': `${start}content-length: 0\r\ntransfer-encoding: chunked\r\n\r\n`,
  'two lengths': `${start}content-length: 1\r\ncontent-length: 2\r\n\r\n`,
  'two equal lengths': `${start}content-length: 1\r\ncontent-length: 1\r\n\r\n`,
  'a list of lengths': `${start}content-length: 1, 1\r\n\r\n`,
  'an empty length': `${start}content-length:\r\n\r\n`,
  'a signed length': `${start}content-length: +1\r\n\r\n`,
  'a negative length': `${start}content-length: -1\r\n\r\n`,
  'a hexadecimal length': `${start}content-length: 0x1\r\n\r\n`,
  'a length with a leading zero': `${start}content-length: 010\r\n\r\n`,
  'a length with a blank inside': `${start}content-length: 1 0\r\n\r\n`,
  'a fractional length': `${start}content-length: 1.0\r\n\r\n`,
  'a length with an underscore': `${start}content-length: 1_0\r\n\r\n`,
  'a quoted length': `${start}content-length: "1"\r\n\r\n`,
  'a length over 2^53': `${start}content-length: 9999999999999999\r\n\r\n`,
  'a vertical tab before the length': `${start}content-length: \x0b1\r\n\r\n`,
  'a high digit': `${start}content-length: \xb2\r\n\r\n`,
  'a tab before the length': `${start}content-length:\t12\r\n\r\n`,
  'a tab after the length': `${start}content-length: 12\t\r\n\r\n`,
  'a tab before TE': `${start}transfer-encoding:\tchunked\r\n\r\n`,
  'a tab after TE': `${start}transfer-encoding: chunked\t\r\n\r\n`,
  'TE.TE': `${start}transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n`,
  'TE twice': `${start}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n`,
  'an unknown TE': `${start}transfer-encoding: xchunked\r\n\r\n`,
  'TE identity': `${start}transfer-encoding: identity\r\n\r\n`,
  'TE gzip, chunked': `${start}transfer-encoding: gzip, chunked\r\n\r\n`,
  'TE chunked, identity': `${start}transfer-encoding: chunked, identity\r\n\r\n`,
  'TE chunked with a comma': `${start}transfer-encoding: chunked,\r\n\r\n`,
  'TE chunked with a parameter': `${start}transfer-encoding: chunked;q=1\r\n\r\n`,
  'TE quoted': `${start}transfer-encoding: "chunked"\r\n\r\n`,
  'TE empty': `${start}transfer-encoding:\r\n\r\n`,
  'TE with a vertical tab': `${start}transfer-encoding: chunked\x0b\r\n\r\n`,
  'TE with a leading NUL': `${start}transfer-encoding: \0chunked\r\n\r\n`,
  'TE with a high blank': `${start}transfer-encoding: \xa0chunked\r\n\r\n`,
  'TE in HTTP/1.0': 'POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n',
  'two hosts': `${start}host: b\r\n\r\n`,
  'two equal hosts': `${start}Host: a\r\n\r\n`,
  'a host with a path': 'GET / HTTP/1.1\r\nhost: a/b\r\n\r\n',
  'a host with a blank': 'GET / HTTP/1.1\r\nhost: a b\r\n\r\n',
  'a host with a high byte': 'GET / HTTP/1.1\r\nhost: \xe9\r\n\r\n',
  'HTTP/0.9': 'GET /\r\n\r\n',
  'HTTP/1.2': 'GET / HTTP/1.2\r\nhost: a\r\n\r\n',
  'HTTP/2.0': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'HTTP/1.10': 'GET / HTTP/1.10\r\nhost: a\r\n\r\n',
  'http/1.1': 'GET / http/1.1\r\nhost: a\r\n\r\n',
  'blank after the version': 'GET / HTTP/1.1 \r\nhost: a\r\n\r\n',
  'two blanks after the method': 'GET  / HTTP/1.1\r\nhost: a\r\n\r\n',
  'two blanks before the version': 'GET /  HTTP/1.1\r\nhost: a\r\n\r\n',
  'a tab after the method': 'GET\t/ HTTP/1.1\r\nhost: a\r\n\r\n',
  'a blank in the target': 'GET /a b HTTP/1.1\r\nhost: a\r\n\r\n',
  'a blank first': ' GET / HTTP/1.1\r\nhost: a\r\n\r\n',
  'a high byte in the target': 'GET /\xe9 HTTP/1.1\r\nhost: a\r\n\r\n',
  'DEL in the target': 'GET /\x7f HTTP/1.1\r\nhost: a\r\n\r\n',
  'two empty lines first': '\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n',
  'a bare LF first': '\nGET / HTTP/1.1\r\nhost: a\r\n\r\n',
  'no method': ' / HTTP/1.1\r\nhost: a\r\n\r\n',
  'a TLS hello': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 junk\r\n\r\n',
  'Connection: content-length': `${start}connection: content-length\r\ncontent-length: 1\r\n\r\n`,
  'Connection: transfer-encoding': `${start}connection: close, Transfer-Encoding\r\n\r\n`,
  'Connection: host': `${start}connection: host\r\n\r\n`,
  'a long Connection': `${start}connection: ${'a,'.repeat(200)}b\r\n\r\n`,
  'two Upgrade lines': `${start}connection: upgrade\r\nupgrade: a\r\nupgrade: b\r\n\r\n`,
  'CONNECT with a body': 'CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\ncontent-length: 1\r\n\r\n',
};

test.each(accepted)('%j is a request', (text) => {
  expect(parse(text)).toBe('done');
});

test.each(Object.entries(refused))('%s is refused', (_, text) => {
  expect(parse(text)).toBe('malformed');
  const bytewise = Array.from({ length: text.length }, (_, i) => i + 1);
  expect(parsePieces(text, bytewise)).toBe('malformed');
});

const sample =
  '\r\nPOST /path?q=1 HTTP/1.1\r\nHost: shop.example:8080\r\nX-One:  1 \r\nx-two: \r\n' +
  'Connection: keep-alive, X-Gone\r\nx-gone: secret\r\nX-ONE: 2\r\ncontent-length: 5\r\n\r\nhello';

test('a head that is split at any byte, or at any two, reads the same', () => {
  for (let first = 1; first < sample.length; first++) {
    for (let second = first; second < sample.length; second += 7) {
      const head = new RequestHead(http1Limits);
      expect(parsePieces(sample, [first, second], head)).toBe('done');
      expect(head.method).toBe('POST');
      expect(head.path).toBe('/path?q=1');
      expect(head.authority).toBe('shop.example:8080');
      expect(head.values('x-one')).toEqual(['1', '2']);
      expect(head.values('x-two')).toEqual(['']);
      expect(head.values('x-gone')).toEqual([]);
      expect(head.values('connection')).toEqual([]);
      expect(head.contentLength).toBe(5);
      const had = head.buffer.toString('latin1', head.end, head.limit);
      expect('hello'.startsWith(had)).toBe(true);
    }
  }
});

test('edits are seen by lookups and in what is forwarded', () => {
  const head = new RequestHead(http1Limits);
  expect(parse(`${start}X-A: 1\r\nCookie: c\r\nx-a: 2\r\nb: 3\r\n\r\n`, head)).toBe('done');
  head.remove('x-a');
  head.append('x-a', 'new');
  head.append('x-b', 'gr\u00fc\u00df');
  expect(head.values('x-a')).toEqual(['new']);
  expect(head.values('x-b')).toEqual(['gr\u00fc\u00df']);
  expect(head.lines()).toEqual([
    ['host', 'a'],
    ['Cookie', 'c'],
    ['b', '3'],
    ['x-a', 'new'],
    ['x-b', 'gr\u00fc\u00df'],
  ]);
  expect(Buffer.from(forwarded(head), 'latin1').toString('utf8')).toBe(
    'POST /a HTTP/1.1\r\nhost: a\r\nCookie: c\r\nb: 3\r\nx-a: new\r\nx-b: gr\u00fc\u00df\r\n\r\n',
  );
  head.remove('x-a');
  expect(head.values('x-a')).toEqual([]);
  expect(forwarded(head)).not.toContain('x-a');
});

test('path and authority are rewritten in place', () => {
  const head = new RequestHead(http1Limits);
  parse('GET http://b/x HTTP/1.1\r\nx-1: a\r\nConnection: x-2\r\nHost: a\r\nx-2: b\r\n\r\n', head);
  head.setPath('/x');
  head.setAuthority('b');
  expect(forwarded(head)).toBe('GET /x HTTP/1.1\r\nx-1: a\r\nHost: b\r\n\r\n');
});

test('an authority without a Host line becomes one', () => {
  const head = new RequestHead(http1Limits);
  parse('GET http://b/x HTTP/1.1\r\nx: 1\r\n\r\n', head);
  head.path = '/x';
  head.authority = 'b';
  expect(forwarded(head)).toBe('GET /x HTTP/1.1\r\nhost: b\r\nx: 1\r\n\r\n');
});

test('a rewritten path or authority that could split the request is not sent', () => {
  for (const bad of ['/a b', '/a\r\nx: y', '/\u00e9', '/\0']) {
    const head = new RequestHead(http1Limits);
    parse(`${start}\r\n`, head);
    head.setPath(bad);
    expect(head.http1BytesMax()).toBe(-1);
    head.setPath('/');
    head.setAuthority(bad);
    expect(head.http1BytesMax()).toBe(-1);
  }
});

test('line breaks in an appended value become blanks, framing headers cannot be touched', () => {
  const head = new RequestHead(http1Limits);
  parse(`${start}content-length: 3\r\n\r\n`, head);
  head.append('x', 'a\r\nevil: 1\0');
  head.append('content-length', '9');
  head.append('transfer-encoding', 'chunked');
  head.append('a b', 'c');
  head.append('', 'c');
  head.remove('content-length');
  head.remove('host');
  expect(forwarded(head)).toBe(`${start}content-length: 3\r\nx: a  evil: 1 \r\n\r\n`);
});

test('every spelling of a name goes, and no name that is only near', () => {
  const head = new RequestHead(http1Limits);
  const near = 'x-a-bc: 1\r\nx-a_: 1\r\nx.a.b: 1\r\n';
  parse(`${start}X-A-B: 1\r\n${near}x_a_b: 1\r\nX-a_B: 1\r\n\r\n`, head);
  head.append('x-a-b', '1');
  head.removeSpellings('x-a-b');
  head.removeSpellings('transfer-encoding');
  head.append('x-a-b', '2');
  expect(forwarded(head)).toBe(`${start}${near}x-a-b: 2\r\n\r\n`);
});

test('hop-by-hop headers and those that Connection names are not forwarded', () => {
  const head = new RequestHead(http1Limits);
  parse(
    `${start}Connection: close, X-Forwarded-Client-Cert\r\nx-forwarded-client-cert: forged\r\n` +
      'Keep-Alive: timeout=5\r\nProxy-Connection: close\r\nTE: gzip\r\nUpgrade: h2c\r\n\r\n',
    head,
  );
  head.append('x-forwarded-client-cert', 'By=us');
  expect(forwarded(head)).toBe(`${start}x-forwarded-client-cert: By=us\r\n\r\n`);
  expect(head.close).toBe(true);
  expect(head.upgrade).toBe('');
});

test('an upgrade to h2c is not forwarded: what came through it no policy would see', () => {
  for (const value of ['h2c', 'H2C']) {
    const head = new RequestHead(http1Limits);
    parse(
      `${start}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: ${value}\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`,
      head,
    );
    expect(head.upgrade).toBe('');
    expect(head.upgradeAsked).toBe(false);
    expect(forwarded(head)).toBe(`${start}\r\n`);
  }
});

test('a body with an upgrade to websocket is malformed: some take it for what follows the upgrade', () => {
  const upgrade = `${start}connection: upgrade\r\nupgrade: websocket\r\n`;
  expect(parse(`${upgrade}content-length: 0\r\n\r\n`)).toBe('done');
  expect(parse(`${upgrade}content-length: 3\r\n\r\nabc`)).toBe('malformed');
  expect(parse(`${upgrade}transfer-encoding: chunked\r\n\r\n0\r\n\r\n`)).toBe('malformed');
});

test('an upgrade that Connection names goes on with a Connection of our own', () => {
  const head = new RequestHead(http1Limits);
  parse(
    `${start}Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nTE: trailers\r\n\r\n`,
    head,
  );
  expect(head.upgrade).toBe('websocket');
  expect(forwarded(head)).toBe(
    `${start}Upgrade: WebSocket\r\nTE: trailers\r\nconnection: upgrade\r\n\r\n`,
  );
});

test('an expectation stays one whatever other line stands beside it', () => {
  for (const lines of ['expect: 100-continue\r\nexpect: x', 'expect: x\r\nexpect: 100-continue']) {
    const head = new RequestHead(http1Limits);
    expect(parse(`${start}content-length: 1\r\n${lines}\r\n\r\n`, head)).toBe('done');
    expect(head.expectsContinue).toBe(true);
  }
});

test('a head that grows over several reads after an empty line keeps every byte', () => {
  const target = `/${'y'.repeat(2_000)}`;
  const text = `\r\nGET ${target} HTTP/1.1\r\nhost: a\r\n\r\n`;
  for (const cut of [1, 2, 3]) {
    for (const next of [4, 10, 600, 1_500]) {
      const head = new RequestHead(http1Limits);
      expect(parsePieces(text, [cut, next], head)).toBe('done');
      expect(head.rawTarget).toBe(target);
      expect(head.end - head.start).toBe(text.length - 2);
    }
  }
});

test('nothing of a request is left when the next one is read', () => {
  const head = new RequestHead(http1Limits);
  parse(
    `${start}connection: close, x\r\nx: 1\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n`,
    head,
  );
  head.append('y', '1');
  head.clear();
  parse('GET / HTTP/1.1\r\n\r\n', head);
  expect([head.method, head.close, head.expectsContinue, head.hasBody, head.authority]).toEqual([
    'GET',
    false,
    false,
    false,
    '',
  ]);
  expect(head.hosts).toEqual([]);
  expect(head.lines()).toEqual([]);
});

test('heads over a limit are too large, whole or dripped', () => {
  const limits = { ...http1Limits, headBytesMax: 200, headerCountMax: 5 };
  const long = `${start}x: ${'a'.repeat(200)}\r\n\r\n`;
  const many = `${start}${'a: b\r\n'.repeat(6)}\r\n`;
  const bytewise = Array.from({ length: 300 }, (_, i) => i + 1);
  for (const text of [long, many]) {
    expect(parse(text, new RequestHead(limits))).toBe('too-large');
    expect(parsePieces(text, bytewise.slice(0, text.length), new RequestHead(limits))).toBe(
      'too-large',
    );
  }
  expect(parse(`${start}${'a: b\r\n'.repeat(4)}\r\n`, new RequestHead(limits))).toBe('done');
});

test('a head of 60 KiB that drips in byte by byte costs no more than linear time', () => {
  const head = new RequestHead(http1Limits);
  const byte = Buffer.from('a');
  parse(`${start}x: `, head);
  const began = performance.now();
  let state = 'more';
  for (let i = 0; i < 70_000 && state === 'more'; i++) state = head.feed(byte, 0, 1);
  expect(state).toBe('too-large');
  expect(performance.now() - began).toBeLessThan(500);
});

test.each([
  ['HTTP/1.1 200 OK\r\n\r\n', 'done'],
  ['HTTP/1.0 204 \r\n\r\n', 'done'],
  ['HTTP/1.1 200\r\n\r\n', 'done'],
  ['HTTP/1.1 999 x\r\n\r\n', 'done'],
  ['HTTP/1.1 099 x\r\n\r\n', 'malformed'],
  ['HTTP/1.1 20 OK\r\n\r\n', 'malformed'],
  ['HTTP/1.1 2000 OK\r\n\r\n', 'malformed'],
  ['HTTP/1.1  200 OK\r\n\r\n', 'malformed'],
  ['HTTP/2.0 200 OK\r\n\r\n', 'malformed'],
  ['HTTP/1.2 200 OK\r\n\r\n', 'malformed'],
  ['ICY 200 OK\r\n\r\n\r\n\r\n', 'malformed'],
  ['\r\nHTTP/1.1 200 OK\r\n\r\n', 'malformed'],
  ['HTTP/1.1 200 O\0K\r\n\r\n', 'malformed'],
  ['HTTP/1.1 200 OK\n\n', 'malformed'],
  ['HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n', 'malformed'],
  ['HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n', 'malformed'],
  ['HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n', 'malformed'],
  ['HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n', 'malformed'],
  ['HTTP/1.1 200 OK\r\nset-cookie: a\rb\r\n\r\n', 'malformed'],
])('the response head %j is %s', (text, state) => {
  const whole = new ResponseHead(http1Limits);
  const bytes = Buffer.from(text, 'latin1');
  expect(whole.feed(bytes, 0, bytes.length)).toBe(state);
  const dripped = new ResponseHead(http1Limits);
  let last = 'more';
  for (let i = 0; i < bytes.length && last === 'more'; i++) {
    last = dripped.feed(Buffer.from(bytes.subarray(i, i + 1)), 0, 1);
  }
  expect(last).toBe(state);
});

test('a response goes on in our version, without its hop-by-hop headers', () => {
  const head = new ResponseHead(http1Limits);
  const text =
    'HTTP/1.0 200 OK\r\nConnection: close\r\nKeep-Alive: timeout=7, max=2\r\nA: b\r\n\r\n';
  head.feed(Buffer.from(text), 0, text.length);
  const out = Buffer.alloc(head.http1BytesMax('x: y\r\n'));
  expect(out.toString('latin1', 0, head.writeHttp1(out, 0, 'x: y\r\n'))).toBe(
    'HTTP/1.1 200 OK\r\nA: b\r\nx: y\r\n\r\n',
  );
  expect(head.keepAliveTimeoutSeconds).toBe(7);
});

/** Mostly valid heads with something odd in them. */
const oddHead = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom('a: b\r\n', 'X-Y:z\r\n', 'host: c\r\n', 'e: \r\n') },
      fc.constantFrom(
        'content-length: 3\r\n',
        'content-length: 03\r\n',
        'transfer-encoding: chunked\r\n',
        'connection: close, a\r\n',
        'connection: host\r\n',
        'upgrade: x\r\n',
        'te: x\r\n',
      ),
      fc.constantFrom('\r', '\n', '\r\n', ' ', '\t', ':', '\0', 'x', '\x80', ','),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''));

test('the parser agrees with a naive one, whole and in pieces', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('GET / HTTP/1.1\r\n', 'POST /a?b HTTP/1.0\r\n', '\r\nX * HTTP/1.1\r\n', 'G'),
      oddHead,
      fc.array(fc.nat(120), { maxLength: 4 }),
      (line, rest, cuts) => {
        const text = `${line}${rest}\r\nbody\r\n\r\n`;
        const expected = naiveHead(text);
        const sorted = cuts.filter((cut) => cut < text.length).toSorted((a, b) => a - b);
        for (const pieces of [[], sorted]) {
          const head = new RequestHead(http1Limits);
          const done = parsePieces(text, pieces, head) === 'done';
          const { method, rawTarget: target, minor, contentLength, chunked } = head;
          const got = done ? { method, target, minor, contentLength, chunked } : null;
          if (expected === null || expected === 'more') {
            if (got !== null) return false;
            continue;
          }
          const { lines: _lines, rest: _rest, ...rest } = expected;
          expect(got).toEqual(rest);
        }
        return true;
      },
    ),
    { seed: 7, numRuns: 3_000 },
  );
});

test('what is forwarded is a request that says the same, without hop-by-hop headers', () => {
  fc.assert(
    fc.property(oddHead, (rest) => {
      const text = `GET /p HTTP/1.1\r\n${rest}\r\n`;
      const head = new RequestHead(http1Limits);
      if (parse(text, head) !== 'done') return;
      head.append('x-own', '1');
      const again = naiveHead(forwarded(head));
      expect(again).not.toBeNull();
      if (again === null || again === 'more') throw new Error(`forwarded ${forwarded(head)}`);
      expect(again.lines).toEqual(head.lines());
      expect([again.contentLength, again.chunked]).toEqual([head.contentLength, head.chunked]);
      expect(again.rest).toBe(forwarded(head).length);
    }),
    { seed: 11, numRuns: 3_000 },
  );
});
