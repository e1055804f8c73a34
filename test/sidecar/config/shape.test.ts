import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { parseControlMessage, parseSnapshot, ShapeError } from '#sidecar/config/shape.ts';

import { webSnapshot } from '../../control/push/fixtures.ts';

const endpoint = {
  address: '127.0.0.1',
  port: 1,
  identity: null,
  workload: 'w',
  namespace: 'a',
  labels: {},
};
const whole = {
  ...webSnapshot(1, ['x']),
  services: [
    {
      name: 'w',
      namespace: 'a',
      hosts: ['w'],
      addresses: [],
      ports: [{ port: 1, name: '', protocol: 'http', endpoints: [endpoint] }],
    },
  ],
};

test('the messages of control are understood', () => {
  const snapshot = { type: 'snapshot', snapshot: whole };
  const delta = {
    type: 'delta',
    delta: { from: 1, to: 2, services: { set: [], remove: ['a/w'] } },
  };
  for (const message of [snapshot, delta, { type: 'ping' }]) {
    expect(parseControlMessage(JSON.stringify(message))).toEqual(message);
  }
});

test('a snapshot that lacks any one part is refused, with the path of the part', () => {
  const text = JSON.stringify(whole);
  const optional =
    /metadata\.(labels|annotations)|accessLog|\.name$|spec\.|\.origin|apiVersion|\.labels$|endpoints\.0\.(workload|namespace)/;
  const paths = pathsOf(whole).filter((path) => !optional.test(path));
  expect(paths.length).toBeGreaterThan(25);
  const accepted = paths.filter((path) => {
    const copy: unknown = JSON.parse(text);
    removeAt(copy, path.split('.'));
    return shapeOf(JSON.stringify(copy)) !== 'refused';
  });
  expect(accepted).toEqual([]);
});

test('an endpoint without identity is refused: it would be called in plaintext', () => {
  const text = JSON.stringify(whole).replace('"identity":null,', '');
  expect(() => parseSnapshot(text)).toThrow(/identity is not a text/);
});

test('whatever a line holds, it is a message or refused, never another error', () => {
  const line = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .record({
        type: fc.constantFrom('snapshot', 'delta', 'ping', 'x'),
        snapshot: fc.oneof(fc.jsonValue(), mangled(whole)),
        delta: fc.oneof(
          fc.jsonValue(),
          mangled({ from: 1, to: 2, policies: { set: [], remove: [] } }),
        ),
      })
      .map((message) => JSON.stringify(message)),
  );
  fc.assert(
    fc.property(line, (text) => {
      expect(['snapshot', 'delta', 'ping', 'refused']).toContain(typeOf(text));
    }),
    { numRuns: 1500, seed: 1 },
  );
});

/** The value with one of its parts replaced by something else. */
function mangled(value: object): fc.Arbitrary<unknown> {
  const text = JSON.stringify(value);
  return fc.tuple(fc.constantFrom(...pathsOf(value)), fc.jsonValue()).map(([path, part]) => {
    const copy: unknown = JSON.parse(text);
    replaceAt(copy, path.split('.'), part);
    return copy;
  });
}

function shapeOf(text: string): string {
  return typeOf(`{"type":"snapshot","snapshot":${text}}`);
}

function typeOf(line: string): string {
  try {
    return parseControlMessage(line).type;
  } catch (error) {
    return error instanceof ShapeError ? 'refused' : `thrown: ${String(error)}`;
  }
}

function pathsOf(value: unknown, at = ''): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, part]) => {
    const path = at === '' ? key : `${at}.${key}`;
    // Leaving a list's item out leaves a shorter list, which is well formed.
    const own = Array.isArray(value) ? [] : [path];
    return [...own, ...pathsOf(part, path)];
  });
}

function removeAt(value: unknown, path: readonly string[]): void {
  const parent = parentAt(value, path);
  delete parent[path.at(-1) ?? ''];
}

function replaceAt(value: unknown, path: readonly string[], part: unknown): void {
  parentAt(value, path)[path.at(-1) ?? ''] = part;
}

function parentAt(value: unknown, path: readonly string[]): Record<string, unknown> {
  let parent = value as Record<string, unknown>;
  for (const key of path.slice(0, -1)) parent = parent[key] as Record<string, unknown>;
  return parent;
}

test('telemetry has both sides, and lists of objects', () => {
  const telemetry = {
    inbound: { tracing: {}, logs: [{}], metrics: [{}] },
    outbound: {},
  };
  const text = JSON.stringify({ ...whole, telemetry });
  expect(parseSnapshot(text).telemetry).toEqual(telemetry);
  for (const [good, bad] of [
    ['"outbound":{}', '"out":{}'],
    ['"logs":[{}]', '"logs":[1]'],
    ['"metrics":[{}]', '"metrics":{}'],
    ['"tracing":{}', '"tracing":true'],
  ] as const) {
    expect(() => parseSnapshot(text.replace(good, bad))).toThrow(ShapeError);
  }
});
