import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { encodeCheckRequest, type CheckRequest } from '#sidecar/authorizer/check-request.ts';
import { decodeCheckResponse } from '#sidecar/authorizer/check-response.ts';
import { MessageWriter, ProtobufError, readFields } from '#sidecar/authorizer/protobuf.ts';
import { damaged } from '#test/sidecar/damaged.ts';

import { decodeRequest, encodeResponse } from './envoy-proto.ts';

const peer = fc.record({
  address: fc.ipV4(),
  port: fc.nat(65_535),
  principal: fc.oneof(fc.constant(''), fc.webUrl()),
});
const name = fc.stringMatching(/^[a-z][-a-z0-9]{0,20}$/);
const text = fc.string({ unit: 'grapheme', maxLength: 300 });
const checks: fc.Arbitrary<CheckRequest> = fc.record({
  source: peer,
  destination: peer,
  atMs: fc.nat(4_000_000_000_000),
  id: text,
  method: fc.constantFrom('GET', 'POST'),
  path: fc.webPath().map((path) => `${path}?a=1`),
  host: text,
  scheme: fc.constantFrom('http', 'https'),
  protocol: fc.constant('HTTP/2'),
  headers: fc.array(fc.tuple(name, text)).map((pairs) => new Map(pairs)),
  body: fc.option(fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes))),
  packAsBytes: fc.boolean(),
});

test('a check is read by protobufjs as it was meant', () => {
  fc.assert(
    fc.property(checks, (check) => {
      const read = decodeRequest(encodeCheckRequest(check)) as {
        attributes: {
          source: unknown;
          destination: unknown;
          request: { time: Record<string, number>; http: Record<string, unknown> };
        };
      };
      const { source, destination, request } = read.attributes;
      expect(source).toEqual(peerOf(check.source));
      expect(destination).toEqual(peerOf(check.destination));
      const { seconds = 0, nanos = 0 } = request.time;
      expect(seconds * 1000 + nanos / 1_000_000).toBe(check.atMs);
      const { headers, ...http } = request.http;
      expect(headers).toEqual(Object.fromEntries(check.headers));
      const { id, method, path, host, scheme, protocol, body } = check;
      expect({ id: '', host: '', ...http }).toMatchObject({
        id,
        method,
        path,
        host,
        scheme,
        protocol,
      });
      const sent = body === null || body.length === 0 ? undefined : body;
      expect(http['rawBody']).toBe(check.packAsBytes ? sent?.toString('base64') : undefined);
      expect(http['body']).toBe(check.packAsBytes ? undefined : sent?.toString('utf8'));
    }),
  );
});

function peerOf({ address, port, principal }: CheckRequest['source']): object {
  const socketAddress = { address, ...(port > 0 && { portValue: port }) };
  return { address: { socketAddress }, ...(principal !== '' && { principal }), labels: {} };
}

const nothing = {
  allowed: true,
  headers: [],
  headersToRemove: [],
  responseHeaders: [],
  queryToSet: [],
  queryToRemove: [],
};

const header = fc.record({
  name,
  value: fc.stringMatching(/^[\x20-\x7e]{0,40}$/),
  append: fc.boolean(),
});

function optionOf({ name: key, value, append }: { name: string; value: string; append: boolean }) {
  return { header: { key: key.toUpperCase(), value }, append: { value: append } };
}

test('what protobufjs writes is read as it was meant, whatever else is in it', () => {
  const packed = { typeUrl: 'type.googleapis.com/x', value: Buffer.from('abc') };
  fc.assert(
    fc.property(fc.array(header), fc.array(name), fc.array(header), (headers, remove, more) => {
      const okResponse = {
        headers: headers.map(optionOf),
        headersToRemove: remove,
        responseHeadersToAdd: more.map(optionOf),
        queryParametersToSet: headers.map(({ name: key, value }) => ({ key, value })),
        queryParametersToRemove: remove,
        dynamicMetadata: packed,
      };
      const message = encodeResponse({
        status: { details: [packed] },
        okResponse,
        dynamicMetadata: packed,
      });
      const expected = {
        allowed: true,
        headers,
        headersToRemove: remove,
        responseHeaders: more,
        queryToSet: headers.map(({ name: key, value }) => [key, value]),
        queryToRemove: remove,
      };
      expect(decodeCheckResponse(message)).toEqual(expected);
    }),
  );
  fc.assert(
    fc.property(
      fc.integer(),
      fc.array(header),
      text,
      fc.integer(),
      (code, headers, body, status) => {
        const deniedResponse = { status: { code: status }, headers: headers.map(optionOf), body };
        const read = decodeCheckResponse(encodeResponse({ status: { code }, deniedResponse }));
        expect(read).toEqual(code === 0 ? nothing : { allowed: false, status, headers, body });
      },
    ),
  );
});

test('an empty answer allows, as Envoy has it, and a code alone refuses', () => {
  expect(decodeCheckResponse(Buffer.alloc(0))).toMatchObject({ allowed: true });
  expect(decodeCheckResponse(encodeResponse({ status: { code: 7 } }))).toEqual({
    allowed: false,
    status: 0,
    headers: [],
    body: '',
  });
});

test.each([
  ['a name with a line end', 'x\r\ny', 'v'],
  ['an empty name', '', 'v'],
  ['a value with a line end', 'x', 'a\r\nset-cookie: b'],
  ['a value with a NUL', 'x', 'a\0'],
])('%s is no answer', (_what, key, value) => {
  const okResponse = { headers: [{ header: { key, value } }] };
  expect(() => decodeCheckResponse(encodeResponse({ okResponse }))).toThrow(ProtobufError);
});

test('bytes at random, and good messages cut or changed, are read or refused, and nothing else', () => {
  const good = encodeResponse({
    status: { code: 0 },
    okResponse: { headers: [{ header: { key: 'x', value: 'y' } }], headersToRemove: ['z'] },
  });
  const changed = damaged(good);
  const random = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.oneof(random, changed), (bytes) => {
      expect(faultOf(bytes)).toBeOneOf([null, ProtobufError]);
    }),
    { numRuns: 5000 },
  );
});

/** What reading throws; null: nothing. */
function faultOf(bytes: Buffer): unknown {
  try {
    decodeCheckResponse(bytes);
    return null;
  } catch (error) {
    return error instanceof Error ? error.constructor : error;
  }
}

test('numbers of any size are read as their low 32 bits, as protobuf has it', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      const seen: unknown[] = [];
      readFields(new MessageWriter().number(1, value).finish(), (_field, got) => seen.push(got));
      expect(seen).toEqual(value === 0 ? [] : [Number(BigInt.asIntN(32, BigInt(value)))]);
    }),
  );
});
