import { expect, test } from 'vitest';

import { HpackDecoder } from '#sidecar/wire/http2/hpack/decoder.ts';
import { HpackEncoder } from '#sidecar/wire/http2/hpack/encoder.ts';
import { http2Limits } from '#sidecar/wire/http2/limits.ts';
import { Http2RequestHead } from '#sidecar/wire/http2/request-head.ts';

import { decodeBlock, type Field } from './fields.ts';
import { get, literal, post } from './rig.ts';

function head(
  fields: readonly Field[],
  ends = true,
  limits = {},
  into = new Http2RequestHead({ ...http2Limits, ...limits }),
): Http2RequestHead {
  const block = literal(fields);
  into.begin();
  expect(new HpackDecoder().decode(block, 0, block.length, into)).toBe(true);
  expect(into.settle(ends)).toBe(into.state);
  return into;
}

function http1(one: Http2RequestHead): string | null {
  const room = one.http1BytesMax();
  if (room < 0) return null;
  const out = Buffer.alloc(room);
  const end = one.writeHttp1(out, 0);
  expect(end).toBeLessThanOrEqual(room);
  return out.toString('latin1', 0, end);
}

function http2(one: Http2RequestHead): readonly Field[] | null {
  const room = one.http2BytesMax();
  if (room < 0) return null;
  const out = Buffer.alloc(room);
  const end = one.writeHttp2(new HpackEncoder(), out, 0);
  expect(end).toBeLessThanOrEqual(room);
  return decodeBlock(new HpackDecoder(), out.subarray(0, end));
}

type Case = readonly [what: string, fields: readonly Field[], ends?: boolean];

function casesOf(
  all: readonly Case[],
): { what: string; fields: readonly Field[]; ends: boolean }[] {
  return all.map(([what, fields, ends = true]) => ({ what, fields, ends }));
}

const connect: readonly Field[] = [
  [':method', 'CONNECT'],
  [':authority', 'a:443'],
];
const websocket: readonly Field[] = [
  [':method', 'CONNECT'],
  [':protocol', 'WebSocket'],
  ...get.slice(1),
];

const accepted: readonly Case[] = [
  ['a plain GET', get],
  ['pseudo fields in any order', get.toReversed()],
  ['no authority', get.slice(0, 3)],
  ['https', [get[0]!, [':scheme', 'https'], ...get.slice(2)]],
  [
    'OPTIONS *',
    [
      [':method', 'OPTIONS'],
      [':scheme', 'http'],
      [':path', '*'],
    ],
  ],
  ['CONNECT', connect],
  ['extended CONNECT', websocket],
  ['te: trailers', [...get, ['te', 'trailers']]],
  ['an empty value', [...get, ['x', '']]],
  ['blanks inside a value', [...get, ['x', 'a \t b']]],
  ['obs-text', [...get, ['x', '\xe9\xff']]],
  ['every token byte', [...get, ["!#$%&'*+-.^_`|~09az", '1']]],
  ['a length of 0 and an end', [...get, ['content-length', '0']]],
  ['a length and a body', post(['content-length', '5']), false],
  ['the same Host', [...get, ['host', 'a']]],
  ['Host alone', [...get.slice(0, 3), ['host', 'a']]],
  ['expect', post(['expect', '100-continue']), false],
];

test.each(casesOf(accepted))('$what is a request', ({ fields, ends }) => {
  expect(head(fields, ends).state).toBe('ok');
});

function without(name: string): readonly Field[] {
  return get.filter(([one]) => one !== name);
}

function withValue(name: string, value: string): readonly Field[] {
  return get.map(([one, old]) => [one, one === name ? value : old] as const);
}

const malformed: readonly Case[] = [
  ['nothing', []],
  ['no method', without(':method')],
  ['no scheme', without(':scheme')],
  ['no path', without(':path')],
  ...get.map((field) => [`${field[0]} twice`, [...get, field]] as const),
  ...get.map(([name]) => [`an empty ${name}`, withValue(name, '')] as const),
  ['an unknown pseudo field', [...get, [':x', '1']]],
  ['a lone colon', [...get, [':', '1']]],
  [':status', [...get, [':status', '200']]],
  ['a pseudo field in upper case', [...without(':path'), [':Path', '/']]],
  ['a pseudo field after a regular one', [...get.slice(0, 3), ['x', '1'], get[3]!]],
  ['a method with a blank', withValue(':method', 'GE T')],
  ['another scheme', withValue(':scheme', 'ftp')],
  ['a scheme in upper case', withValue(':scheme', 'HTTP')],
  ['a path without a slash', withValue(':path', 'a')],
  ['an absolute path', withValue(':path', 'http://a/')],
  ['* of GET', withValue(':path', '*')],
  ['a blank in the path', withValue(':path', '/a b')],
  ['a request line in the path', withValue(':path', '/ HTTP/1.1\r\nx: y')],
  ['a byte beyond ASCII in the path', withValue(':path', '/\xe9')],
  ['a slash in the authority', withValue(':authority', 'a/b')],
  ['a blank in the authority', withValue(':authority', 'a b')],
  ['two hosts in the authority', withValue(':authority', 'a\r\nb')],
  ['another Host', [...get, ['host', 'b']]],
  ['a Host that differs in case', [...get, ['host', 'A']]],
  ['an empty Host', [...get, ['host', '']]],
  ['two Hosts', [...get, ['host', 'a'], ['host', 'a']]],
  ['a bad Host alone', [...get.slice(0, 3), ['host', 'a/b']]],
  ['CONNECT with a path', [...connect, [':path', '/']]],
  ['CONNECT with a scheme', [...connect, [':scheme', 'http']]],
  ['CONNECT to nobody', connect.slice(0, 1)],
  ['extended CONNECT without a path', websocket.filter(([name]) => name !== ':path')],
  ['extended CONNECT without a scheme', websocket.filter(([name]) => name !== ':scheme')],
  [':protocol of GET', [...get, [':protocol', 'websocket']]],
  [':protocol twice', [...websocket, [':protocol', 'websocket']]],
  [':protocol that is no token', [...connect, ...get.slice(1, 3), [':protocol', 'a b']]],
  ['an empty name', [...get, ['', 'x']]],
  ['an empty name before a value of 58 bytes', [...get, ['', 'x'.repeat(58)]]],
  ['a name in upper case', [...get, ['X-a', '1']]],
  ['a blank in a name', [...get, ['x a', '1']]],
  ['a colon in a name', [...get, ['x:a', '1']]],
  ['a byte beyond ASCII in a name', [...get, ['x\xe9', '1']]],
  ['a NUL in a value', [...get, ['x', 'a\0b']]],
  ['a CR in a value', [...get, ['x', 'a\rb']]],
  ['an LF in a value', [...get, ['x', 'a\nb']]],
  ['a DEL in a value', [...get, ['x', 'a\x7fb']]],
  ...[' a', 'a ', '\ta', 'a\t', ' '].map(
    (value) => [`blanks around ${JSON.stringify(value)}`, [...get, ['x', value]]] as const,
  ),
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'].map(
    (name) => [name, [...get, [name, 'x']]] as const,
  ),
  ['te: gzip', [...get, ['te', 'gzip']]],
  ['te: trailers, gzip', [...get, ['te', 'trailers, gzip']]],
  ['a length without a body', [...get, ['content-length', '1']]],
  ...['', '-1', '+1', '01', '1, 1', '0x1', '9999999999999999', 'a'].map(
    (value) => [`content-length: ${value}`, post(['content-length', value]), false] as const,
  ),
  ['two lengths', post(['content-length', '1'], ['content-length', '1']), false],
];

test.each(casesOf(malformed))('$what is malformed', ({ fields, ends }) => {
  expect(head(fields, ends).state).toBe('malformed');
});

test('the head is told as that of HTTP/1.1 is', () => {
  const one = head(post(['content-length', '5'], ['X-A'.toLowerCase(), '1']), false);
  expect(one).toMatchObject({
    method: 'POST',
    rawTarget: '/',
    path: '/',
    authority: 'a',
    scheme: 'http',
    contentLength: 5,
    hasBody: true,
    upgrade: '',
    expectsContinue: false,
  });
  expect(one.values('host')).toEqual(['a']);
  expect(one.values('x-a')).toEqual(['1']);
  expect(head(get).hasBody).toBe(false);
  expect(head(get, false).hasBody).toBe(true);
  expect(head(post(['content-length', '0']), false).hasBody).toBe(false);
  expect(head(post(['expect', '100-continue']), false).expectsContinue).toBe(true);
});

test('Host stands for the authority, and is not forwarded beside it', () => {
  const one = head([...get.slice(0, 3), ['host', 'b:80'], ['x', '1']]);
  expect([one.authority, one.values('host')]).toEqual(['b:80', ['b:80']]);
  expect(http1(one)).toBe('GET / HTTP/1.1\r\nhost: b:80\r\nx: 1\r\n\r\n');
  expect(http2(one)).toEqual([...get.slice(0, 3), [':authority', 'b:80'], ['x', '1']]);
});

test('CONNECT names what is called, extended CONNECT the upgrade that it stands for', () => {
  expect(head(connect)).toMatchObject({ rawTarget: 'a:443', path: 'a:443', authority: 'a:443' });
  const one = head(websocket, false);
  expect(one).toMatchObject({ method: 'GET', path: '/', upgrade: 'websocket', hasBody: false });
  expect(http1(one)).toBe(
    'GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
  );
});

test('crumbs of a cookie are one line for everybody', () => {
  const one = head([...get, ['cookie', 'a=1'], ['x', '1'], ['cookie', 'b=2'], ['cookie', 'c=3']]);
  expect(one.values('cookie')).toEqual(['a=1; b=2; c=3']);
  expect(http1(one)).toBe('GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\ncookie: a=1; b=2; c=3\r\n\r\n');
  expect(http2(one)).toEqual([...get, ['x', '1'], ['cookie', 'a=1; b=2; c=3']]);
  expect(head([...get, ['cookie', 'a=1'], ['x', '1']]).lines()).toEqual([
    ['cookie', 'a=1'],
    ['x', '1'],
  ]);
});

test('decoded bytes are limited, with 32 for each field, however little they were on the wire', () => {
  const bytes = get.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
  const exact = { headBytesMax: bytes + 32 + 11 };
  expect(head([...get, ['x', 'a'.repeat(10)]], true, exact).state).toBe('ok');
  expect(head([...get, ['x', 'a'.repeat(11)]], true, exact).state).toBe('too-large');
  // One entry of a kilobyte, then a byte for each time it comes again.
  const entry = literal([['x', 'a'.repeat(1000)]]);
  entry[0] = 0x40;
  const block = Buffer.concat([literal(get), entry, Buffer.alloc(8_000, 0x80 | 62)]);
  const bomb = new Http2RequestHead({ ...http2Limits, headerCountMax: 1e9 });
  bomb.begin();
  expect(new HpackDecoder().decode(block, 0, block.length, bomb)).toBe(true);
  expect(bomb.settle(true)).toBe('too-large');
  expect(bomb.buffer.length).toBeLessThan(4 * http2Limits.headBytesMax);
});

test('fields are limited in number', () => {
  const more = (count: number): Field[] => Array.from({ length: count }, () => ['x', '1']);
  const limits = { headerCountMax: 20 };
  expect(head([...get, ...more(16)], true, limits).state).toBe('ok');
  expect(head([...get, ...more(17)], true, limits).state).toBe('too-large');
});

test('a head is used again without a trace of the one before', () => {
  const one = head([...websocket, ['x', '1'], ['expect', '100-continue']], false);
  one.append('y', '2');
  one.setPath('/z');
  head(get, true, {}, one);
  expect(one).toMatchObject({ path: '/', upgrade: '', expectsContinue: false });
  expect([one.lines(), http2(one)]).toEqual([[], get]);
  expect(head(connect, true, {}, one).authority).toBe('a:443');
});

test('a head that is no request tells nothing of the one before', () => {
  const one = head(post(['content-length', '5']), false);
  one.setPath('/of-somebody-else');
  for (const [, fields, ends = true] of malformed) {
    head(fields, ends, {}, one);
    expect(one).toMatchObject({ path: '', authority: '', scheme: 'http', hasBody: false });
    expect(one.values('host')).toEqual([]);
  }
});

test('edits are in the copies of either version', () => {
  const one = head([...get, ['a', '1'], ['b', '2'], ['a', '3'], ['c_d', '4'], ['e', '5']]);
  one.remove('a');
  one.removeSpellings('c-d');
  one.append('f', 'six');
  one.append('g', '\u20ac\r\nh: 8');
  one.append('e', '6');
  one.remove('e');
  one.append('content-length', '7');
  one.append('i', '9');
  one.setPath('/other?q');
  one.setAuthority('other.example');
  expect(one.values('f')).toEqual(['six']);
  const euro = Buffer.from('\u20ac').toString('latin1');
  expect(http1(one)).toBe(
    `GET /other?q HTTP/1.1\r\nhost: other.example\r\nb: 2\r\nf: six\r\ng: ${euro}  h: 8\r\ni: 9\r\n\r\n`,
  );
  expect(http2(one)).toEqual([
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/other?q'],
    [':authority', 'other.example'],
    ['b', '2'],
    ['f', 'six'],
    ['g', `${euro}  h: 8`],
    ['i', '9'],
  ]);
});

test.each(['/a b', '/a\r\nx: y', '/\xe9', '/\u20ac'])('the path %j cannot be sent', (path) => {
  const one = head(get);
  one.setPath(path);
  expect([http1(one), http2(one)]).toEqual([null, null]);
});

test('an authority with a line break cannot be sent', () => {
  const one = head(get);
  one.setAuthority('a\r\nx: y');
  expect([http1(one), http2(one)]).toEqual([null, null]);
});
