import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import {
  cidrs,
  durationMs,
  logLevel,
  portList,
  quantity,
  WrongAnnotation,
} from '#api/injection/annotation-values.ts';
import { ignoredAnnotations, readOptions } from '#api/injection/options.ts';

import { config } from './pods.ts';

test.each([
  ['5s', 5000],
  ['1m30s', 90_000],
  ['250ms', 250],
  ['1m250ms', 60_250],
  ['60m', 3_600_000],
])('%s is %d ms', (text, ms) => {
  expect(durationMs(3_600_000)(text)).toBe(ms);
});

test.each(['', '5', '-1s', '61m', '1h', '1s1m', '1.5s'])('"%s" is no duration', (text) => {
  expect(() => durationMs(3_600_000)(text)).toThrow(WrongAnnotation);
});

test('lists are read with spaces and written without', () => {
  expect(portList('80, 443')).toBe('80,443');
  expect(cidrs(' 10.0.0.0/8 ,fd00::/8,1.2.3.4')).toBe('10.0.0.0/8,fd00::/8,1.2.3.4');
  expect(portList('')).toBe('');
});

test.each([
  [portList, '0'],
  [portList, '65536'],
  [portList, '80,'],
  [portList, '*'],
  [cidrs, '10.0.0.0/33'],
  [cidrs, '10.0.0'],
  [cidrs, 'fe80::1%eth0'],
  [quantity, '-1'],
  [quantity, '1 Gi'],
  [quantity, '1gb'],
  [logLevel, 'constructor'],
  [logLevel, 'loud'],
])('%o refuses "%s"', (parse, text) => {
  expect(() => parse(text)).toThrow(WrongAnnotation);
});

test("Istio's names of log levels are understood", () => {
  expect(['trace', 'warning', 'critical', 'off', 'info'].map(logLevel)).toEqual([
    'debug',
    'warn',
    'error',
    'silent',
    'info',
  ]);
});

test('without annotations everything is as the cluster has it', () => {
  const { options, mistakes } = readOptions({}, config);
  expect(mistakes).toEqual([]);
  expect(options).toMatchObject({
    includeInboundPorts: '*',
    includeOutboundCidrs: '*',
    capture: 'transparent',
    holdApplication: true,
    resources: {
      requests: { cpu: '100m', memory: '128Mi' },
      limits: { cpu: '2000m', memory: '1024Mi' },
    },
  });
});

test("a pod's word on resources is the whole of it, as in Istio", () => {
  const { options } = readOptions({ 'sidecar.istio.io/proxyCPU': '3' }, config);
  expect(options.resources).toEqual({ requests: { cpu: '3' } });
});

test('annotations that are none of ours are not named', () => {
  expect(ignoredAnnotations({ 'app.io/x': '', inject: 'true', 'selvage.dev/capture': '' })).toEqual(
    [],
  );
});

test('any annotations are read, or refused in words', () => {
  const names = ['selvage.dev/capture', 'selvage.dev/drain-timeout', 'sidecar.istio.io/logLevel'];
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), fc.string()), (annotations) => {
      const { mistakes } = readOptions(annotations, config);
      expect(mistakes.length).toBeLessThanOrEqual(Object.keys(annotations).length);
    }),
  );
});
