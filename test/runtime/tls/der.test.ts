// DER: the forms whose encoding is easy to get wrong.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import * as der from '#runtime/tls/der.ts';

test('lengths take one, two or three bytes', () => {
  expect(headOf(127).slice(0, 4)).toBe('047f');
  expect(headOf(128).slice(0, 6)).toBe('048180');
  expect(headOf(256)).toBe('04820100');
  expect(() => der.octetString(Buffer.alloc(65_536))).toThrow('larger');
});

test('integers are the shortest and never negative', () => {
  expect(integerOf('00')).toBe('020100');
  expect(integerOf('000001')).toBe('020101');
  expect(integerOf('80')).toBe('02020080');
  expect(integerOf('7f')).toBe('02017f');
});

test('object identifiers are written in base 128', () => {
  expect(der.oid('1.2.840.10045.4.3.2').toString('hex')).toBe('06082a8648ce3d040302');
  expect(der.oid('2.5.29.17').toString('hex')).toBe('0603551d11');
});

test('times are UTCTime to 2049 and GeneralizedTime from 2050', () => {
  expect(
    der
      .time(Date.UTC(2049, 11, 31, 23, 59, 59, 999))
      .toString('latin1')
      .slice(2),
  ).toBe('491231235959Z');
  expect(
    der
      .time(Date.UTC(2050, 0, 1))
      .toString('latin1')
      .slice(2),
  ).toBe('20500101000000Z');
});

test('PEM has lines of 64 and decodes to the same bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (bytes) => {
      const lines = der.toPem('X', bytes).split('\n');
      expect(lines[0]).toBe('-----BEGIN X-----');
      const body = lines.slice(1, -2);
      expect(body.every((line) => line.length > 0 && line.length <= 64)).toBe(true);
      expect(Buffer.from(body.join(''), 'base64').equals(bytes)).toBe(true);
    }),
    { numRuns: 100, seed: 4 },
  );
});

function headOf(bytes: number): string {
  return der.octetString(Buffer.alloc(bytes)).subarray(0, 4).toString('hex');
}

function integerOf(hex: string): string {
  return der.integer(Buffer.from(hex, 'hex')).toString('hex');
}
