import { expect, test } from 'vitest';

import { HpackDecoder } from '#sidecar/wire/http2/hpack/decoder.ts';
import { HpackEncoder } from '#sidecar/wire/http2/hpack/encoder.ts';
import { http2Limits } from '#sidecar/wire/http2/limits.ts';
import { Http2ResponseHead } from '#sidecar/wire/http2/response-head.ts';

import { decodeBlock, type Field } from './fields.ts';
import { literal } from './rig.ts';

function head(fields: readonly Field[], into = new Http2ResponseHead(http2Limits)) {
  const block = literal(fields);
  into.begin();
  expect(new HpackDecoder().decode(block, 0, block.length, into)).toBe(true);
  expect(into.settle()).toBe(into.state);
  return into;
}

function http1(one: Http2ResponseHead, extra = ''): string {
  const out = Buffer.alloc(one.http1BytesMax(extra));
  const end = one.writeHttp1(out, 0, extra);
  expect(end).toBeLessThanOrEqual(out.length);
  return out.toString('latin1', 0, end);
}

function http2(one: Http2ResponseHead): readonly Field[] | null {
  const out = Buffer.alloc(one.http2BytesMax());
  const end = one.writeHttp2(new HpackEncoder(), out, 0);
  expect(end).toBeLessThanOrEqual(out.length);
  return decodeBlock(new HpackDecoder(), out.subarray(0, end));
}

const ok: Field = [':status', '200'];

test.each(['100', '103', '200', '204', '304', '404', '599', '999'])('%s is a status', (status) => {
  expect(head([[':status', status]])).toMatchObject({ state: 'ok', status: Number(status) });
});

const malformed: readonly (readonly [what: string, fields: readonly Field[]])[] = [
  ['no status', []],
  ['no status but fields', [['x', '1']]],
  ['two of them', [ok, ok]],
  ...['', '20', '2000', '2x0', '+20', '000', '099', '101', ' 20'].map(
    (status) => [`status ${status}`, [[':status', status]]] as const,
  ),
  ['a status after a field', [['x', '1'], ok]],
  ['another pseudo field', [ok, [':path', '/']]],
  ['a name in upper case', [ok, ['X', '1']]],
  ['an empty name', [ok, ['', '1']]],
  ['a line break in a value', [ok, ['x', 'a\r\nb']]],
  ['blanks around a value', [ok, ['x', ' a']]],
  ['connection', [ok, ['connection', 'close']]],
  ['transfer-encoding', [ok, ['transfer-encoding', 'chunked']]],
  ['upgrade', [ok, ['upgrade', 'h2c']]],
  ['keep-alive', [ok, ['keep-alive', 'timeout=5']]],
  ['two lengths', [ok, ['content-length', '1'], ['content-length', '1']]],
  ['a length that is no number', [ok, ['content-length', '1x']]],
];

test.each(malformed)('%s is malformed', (_, fields) => {
  expect(head(fields).state).toBe('malformed');
});

test('it is copied to either version with its edits', () => {
  const one = head([
    ok,
    ['a', '1'],
    ['content-length', '5'],
    ['set-cookie', 'x'],
    ['set-cookie', 'y'],
  ]);
  one.remove('a');
  one.append('server', 'selvage');
  expect(one.contentLength).toBe(5);
  const lines = 'content-length: 5\r\nset-cookie: x\r\nset-cookie: y\r\nserver: selvage\r\n';
  expect(http1(one)).toBe(`HTTP/1.1 200 OK\r\n${lines}\r\n`);
  expect(http1(one, 'connection: close\r\n')).toBe(
    `HTTP/1.1 200 OK\r\n${lines}connection: close\r\n\r\n`,
  );
  expect(http2(one)).toEqual([
    ok,
    ['content-length', '5'],
    ['set-cookie', 'x'],
    ['set-cookie', 'y'],
    ['server', 'selvage'],
  ]);
});

test.each([
  ['103', 'Early Hints'],
  ['204', 'No Content'],
])('a length with %s is not passed on', (status, reason) => {
  const one = head([
    [':status', status],
    ['content-length', '5'],
    ['x', '1'],
  ]);
  expect(http1(one)).toBe(`HTTP/1.1 ${status} ${reason}\r\nx: 1\r\n\r\n`);
});

test('a status that nobody has registered has no phrase', () => {
  expect(http1(head([[':status', '299']]))).toBe('HTTP/1.1 299 \r\n\r\n');
});

test('Host and Expect say nothing in a response', () => {
  expect(head([ok, ['host', 'a'], ['host', 'b'], ['expect', 'x']]).state).toBe('ok');
});

test('the gRPC status is found in a head that is all there is', () => {
  expect(head([ok, ['grpc-status', '5']]).grpcStatus()).toBe('5');
  expect(head([ok]).grpcStatus()).toBe('');
});

test('a head is used again without a trace of the one before', () => {
  const one = head([
    [':status', '404'],
    ['content-length', '5'],
    ['x', '1'],
  ]);
  one.append('y', '2');
  expect(http2(head([ok], one))).toEqual([ok]);
  expect(one).toMatchObject({ status: 200, contentLength: -1, state: 'ok' });
});
