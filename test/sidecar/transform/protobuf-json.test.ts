// The JSON mapping of proto3, compared with protobufjs message by message.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { ProtobufError } from '#sidecar/authorizer/protobuf.ts';
import { readDescriptors } from '#sidecar/transform/protobuf-descriptor.ts';
import { parseJson, readMessage } from '#sidecar/transform/protobuf-json-read.ts';
import { writeMessage } from '#sidecar/transform/protobuf-json-write.ts';
import { JsonMismatch } from '#sidecar/transform/protobuf-scalar.ts';

import { kitchen, setOf, wellKnown } from './descriptor-sets.ts';

const all = setOf(kitchen);
const known = setOf(wellKnown);
const allType = typeIn(all.bytes, 'kitchen.All');
const knownType = typeIn(known.bytes, 'google.protobuf.Known');
const oracle = all.type('kitchen.All');

function typeIn(set: Buffer, name: string) {
  const type = readDescriptors(set).messages.get(name);
  if (type === undefined) throw new Error(`no ${name}`);
  return type;
}

function toWire(text: string, type = allType, ignoreUnknown = false): Buffer {
  return readMessage(type, parseJson(text), ignoreUnknown);
}

function again(text: string, type = knownType): unknown {
  return JSON.parse(JSON.stringify(writeMessage(type, toWire(text, type))));
}

function thrownBy(run: () => unknown): unknown {
  try {
    run();
    return null;
  } catch (error) {
    return error;
  }
}

function asOracle(bytes: Uint8Array): Record<string, unknown> {
  const options = { longs: String, enums: String, bytes: String, json: true, objects: false };
  return oracle.toObject(oracle.decode(bytes), options);
}

const int = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const uint = fc.nat(2 ** 32 - 1);
const long = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String);
const ulong = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
const text = fc.string({ unit: 'binary', maxLength: 8 });
const key = fc.string({ maxLength: 4 }).filter((name) => name !== '__proto__');
const double = fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0);
const bytes = fc.uint8Array({ maxLength: 9 }).map((some) => Buffer.from(some).toString('base64'));
const color = fc.constantFrom('COLOR_NONE', 'RED', 'BLUE');
const inner = fc.letrec<{ inner: object }>((tie) => ({
  inner: fc.record(
    { text, more: fc.array(tie('inner'), { minLength: 1, maxLength: 2, depthIdentifier: 'in' }) },
    { requiredKeys: [] },
  ),
})).inner;
const some = <T>(one: fc.Arbitrary<T>) => fc.array(one, { minLength: 1, maxLength: 4 });
const message = fc.record(
  {
    aDouble: double,
    aLong: long,
    aUlong: ulong,
    anInt: int,
    aFixed64: ulong,
    aFixed32: uint,
    aBool: fc.boolean(),
    aString: text,
    someBytes: bytes,
    aUint: uint,
    color,
    aSfixed32: int,
    aSfixed64: long,
    aSint: int,
    aSlong: long,
    longs: some(long),
    doubles: some(double),
    sints: some(int),
    loose: some(int),
    strings: some(text),
    colors: some(color),
    inner: fc.record({ text }, { requiredKeys: [] }),
    inners: some(fc.record({ text }, { requiredKeys: [] })),
    counts: fc.dictionary(key, long, { minKeys: 1, maxKeys: 3 }),
    oneNumber: int,
  },
  { requiredKeys: [] },
);

test('what JSON says is what protobufjs reads, and what it writes is JSON again', () => {
  fc.assert(
    fc.property(message, (json) => {
      const wire = toWire(JSON.stringify(json));
      const theirs = Buffer.from(oracle.encode(oracle.decode(wire)).finish());
      const plain = JSON.parse(JSON.stringify(json)) as unknown;
      expect(JSON.parse(JSON.stringify(asOracle(wire)))).toEqual(plain);
      expect(JSON.parse(JSON.stringify(writeMessage(allType, wire)))).toEqual(plain);
      // It leaves out what is zero, and has the rest in its own order.
      const ofTheirs = JSON.parse(JSON.stringify(writeMessage(allType, theirs))) as object;
      expect(plain).toMatchObject(ofTheirs);
    }),
    { numRuns: 150 },
  );
});

test('messages within messages come back as they were', () => {
  fc.assert(
    fc.property(inner, (json) => {
      const text = JSON.stringify({ inner: json, byNumber: { 7: json }, oneInner: json });
      expect(again(text, allType)).toEqual(JSON.parse(text));
    }),
    { numRuns: 50 },
  );
});

test('any bytes are a message or are refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      for (const type of [allType, knownType]) {
        const thrown = thrownBy(() => JSON.stringify(writeMessage(type, Buffer.from(bytes))));
        expect(thrown === null || thrown instanceof ProtobufError).toBe(true);
      }
    }),
  );
});

test('any JSON is a message or is refused, and a set of descriptors that is none too', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(...allType.named.keys()), (value, name) => {
      for (const json of [value, { [name]: value }]) {
        const thrown = thrownBy(() => toWire(JSON.stringify(json)));
        expect(thrown === null || thrown instanceof JsonMismatch).toBe(true);
      }
    }),
  );
  fc.assert(
    fc.property(fc.nat(all.bytes.length - 1), fc.nat(255), (at, byte) => {
      const broken = Buffer.from(all.bytes);
      broken[at] = byte;
      const thrown = thrownBy(() => readDescriptors(broken));
      expect(thrown === null || thrown instanceof ProtobufError).toBe(true);
    }),
  );
});

test('both names of a field, numbers as strings, other ways to write the same', () => {
  const json =
    '{"a_long": 9007199254740993, "anInt": "1e2", "aUint": 3.0, "some_bytes": "_-8", "color": -2, ' +
    '"aDouble": "1.5", "aFloat": "NaN", "doubles": ["Infinity", "-Infinity"], "inner": null, ' +
    '"byBool": {"true": "yes"}, "colors": [1, 5]}';
  expect(again(json, allType)).toEqual({
    aLong: '9007199254740993',
    anInt: 100,
    aUint: 3,
    someBytes: '/+8=',
    color: 'BLUE',
    aDouble: 1.5,
    aFloat: 'NaN',
    doubles: ['Infinity', '-Infinity'],
    byBool: { true: 'yes' },
    colors: ['RED', 5],
  });
  expect(again('{"aFloat": 0.1}', allType)).toEqual({ aFloat: 0.1 });
});

test('the messages that JSON writes in a way of their own', () => {
  const json = {
    at: '2030-01-31T12:00:00.120Z',
    lasts: '-1.500s',
    mask: 'a,b.cD',
    nothing: {},
    long: '7',
    bool: false,
    text: 'x',
    struct: { a: 1, b: [true, null, { c: 'd' }] },
    value: null,
    list: [1.5, 'x'],
    times: ['0001-01-01T00:00:00Z', '9999-12-31T23:59:59.999999999Z'],
    values: [null, 1, 'a', [], {}],
  };
  expect(again(JSON.stringify(json))).toEqual(json);
  expect(again('{"at": "2030-01-31T12:00:00+02:00"}')).toEqual({ at: '2030-01-31T10:00:00Z' });
  const wire = known.type('google.protobuf.Known');
  const seen = wire.toObject(wire.decode(toWire(JSON.stringify(json), knownType)), {
    longs: Number,
  });
  expect(seen).toMatchObject({
    at: { seconds: Date.parse(json.at.replace('.120', '')) / 1000, nanos: 120_000_000 },
    lasts: { seconds: -1, nanos: -500_000_000 },
    mask: { paths: ['a', 'b.c_d'] },
    struct: { fields: { a: { numberValue: 1 } } },
  });
});

test.each([
  ['{"nope": 1}', 'nope is no field of kitchen.All'],
  ['{"aLong": "9223372036854775808"}', 'aLong is out of the range'],
  ['{"anInt": 1.5}', 'anInt is no whole number'],
  ['{"aUint": -1}', 'aUint is out of the range'],
  ['{"aFloat": 1e39}', 'aFloat is out of the range'],
  ['{"aBool": "true"}', 'aBool is not true or false'],
  ['{"aString": 1}', 'aString is no string'],
  ['{"aString": "\\ud800"}', 'aString has half a character'],
  ['{"someBytes": "a"}', 'someBytes is no base64'],
  ['{"color": "GREEN"}', 'color is no value of kitchen.Color'],
  ['{"longs": 1}', 'longs is no array'],
  ['{"longs": [1, null]}', 'longs[1] is no whole number'],
  ['{"inner": {"more": [{"x": 1}]}}', 'inner.more[0].x is no field'],
  ['{"inner": []}', 'inner is no object'],
  ['{"oneText": "", "oneNumber": 1}', 'oneNumber excludes oneText'],
  ['{"aLong": 1, "a_long": 1}', 'a_long is there twice'],
  ['{"counts": {"a": null}}', 'counts["a"] is no whole number'],
  ['[]', 'the body is no object'],
])('%s is refused', (json, why) => {
  expect(() => toWire(json)).toThrow(why);
});

test.each([
  ['{"at": "2030-02-30T00:00:00Z"}', 'at is no time'],
  ['{"lasts": "1"}', 'lasts is no duration'],
  ['{"mask": "a_b"}', 'mask is no list of fields'],
  ['{"any": {"@type": "x"}}', 'any is a google.protobuf.Any'],
  ['{"list": {}}', 'list is no array'],
])('%s of the well-known is refused', (json, why) => {
  expect(() => toWire(json, knownType)).toThrow(why);
});

test('what is unknown may be left out, and nesting has an end', () => {
  expect(toWire('{"nope": {"a": 1}, "anInt": 1}', allType, true)).toEqual(toWire('{"anInt": 1}'));
  const deep = `{"inner":${'{"more":['.repeat(120)}{}${']}'.repeat(120)}}`;
  expect(() => toWire(deep)).toThrow('deeper than 100');
  let wire: Buffer = Buffer.alloc(0);
  for (let i = 0; i < 110; i += 1) {
    const length =
      wire.length < 128 ? [wire.length] : [(wire.length & 127) | 128, wire.length >> 7];
    wire = Buffer.concat([Buffer.from([0x12, ...length]), wire]);
  }
  const innerType = typeIn(all.bytes, 'kitchen.Inner');
  expect(() => writeMessage(innerType, wire)).toThrow('deeper than 100');
});

test('pieces of one message merge, the last of a oneof holds, packed or not is the same', () => {
  const parts = ['{"inner":{"text":"a"}}', '{"inner":{"more":[{}]}}', '{"oneText":"a"}'];
  const wire = Buffer.concat([...parts, '{"oneNumber":1}'].map((part) => toWire(part)));
  expect(JSON.parse(JSON.stringify(writeMessage(allType, wire)))).toEqual({
    inner: { text: 'a', more: [{}] },
    oneNumber: 1,
  });
  const unpacked = Buffer.from([0xa0, 1, 5, 0xa0, 1, 6]);
  expect(JSON.parse(JSON.stringify(writeMessage(allType, unpacked)))).toEqual({
    longs: ['5', '6'],
  });
});
