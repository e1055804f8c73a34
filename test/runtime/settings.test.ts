// Settings: types, defaults, every mistake at once, secrets never shown.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { describeSettings, readSettings, SettingsError } from '#runtime/settings.ts';
import * as types from '#runtime/setting-types.ts';

const table = [
  { name: 'listen', env: 'S_LISTEN', parse: types.address, default: '127.0.0.1:0', doc: 'where' },
  { name: 'dir', env: 'S_DIR', parse: types.requiredText, doc: 'folder of state' },
  {
    name: 'drainMs',
    env: 'S_DRAIN_MS',
    parse: types.integer({ min: 1, max: 1000 }),
    default: '5',
    doc: '',
  },
  {
    name: 'password',
    env: 'S_PASSWORD',
    parse: types.oneOf('right'),
    default: 'right',
    secret: true,
    doc: '',
  },
] as const;

test('values are typed and defaults fill in', () => {
  const settings = readSettings(table, { S_DIR: '/x', S_LISTEN: '[::1]:0' });
  const port: number = settings.listen.port;
  expect(port).toBe(0);
  expect(settings).toEqual({
    listen: { host: '::1', port: 0 },
    dir: '/x',
    drainMs: 5,
    password: 'right',
  });
});

test('every mistake is reported at once, and a secret is not shown', () => {
  const env = { S_LISTEN: 'nowhere', S_DRAIN_MS: '0', S_PASSWORD: 'hunter2' };
  let caught: unknown;
  try {
    readSettings(table, env);
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(SettingsError);
  expect((caught as SettingsError).mistakes).toEqual([
    'S_LISTEN: wanted host:port, as 127.0.0.1:8080 or [::1]:8080, got "nowhere"',
    'S_DIR is not set: folder of state',
    'S_DRAIN_MS: wanted a whole number from 1 to 1000, got "0"',
    'S_PASSWORD: wanted one of right, got its value (hidden)',
  ]);
  expect((caught as SettingsError).message).not.toContain('hunter2');
});

test('settings are described without secrets', () => {
  const described = describeSettings(table, { S_PASSWORD: 'hunter2', S_DIR: '/x' });
  expect(described).toEqual({
    S_LISTEN: '127.0.0.1:0',
    S_DIR: '/x',
    S_DRAIN_MS: '5',
    S_PASSWORD: '(hidden)',
  });
});

test.each([
  ['127.0.0.1:8080', { host: '127.0.0.1', port: 8080 }],
  ['[::1]:0', { host: '::1', port: 0 }],
  ['selvage-ca.selvage-system:15012', { host: 'selvage-ca.selvage-system', port: 15012 }],
])('%s is an address', (text, expected) => {
  expect(types.address(text)).toEqual(expected);
});

test.each(['', ':80', '127.0.0.1', '127.0.0.1:65536', '::1:80', '[::g]:1', '[1.2.3.4]:1', 'a:-1'])(
  '"%s" is no address',
  (text) => {
    expect(() => types.address(text)).toThrow('host:port');
  },
);

test('a port alone to listen on is the port on every address', () => {
  expect(types.listenAddress(':15006')).toEqual({ host: '', port: 15_006 });
  expect(types.listenAddress('[::1]:1')).toEqual({ host: '::1', port: 1 });
  for (const text of [':', ':x', ':70000', '15006']) {
    expect(() => types.listenAddress(text)).toThrow('host:port');
  }
});

test('every port and IPv6 host survives writing and reading', () => {
  fc.assert(
    fc.property(fc.ipV6(), fc.integer({ min: 0, max: 65_535 }), (host, port) => {
      expect(types.address(`[${host}]:${port}`)).toEqual({ host, port });
    }),
    { numRuns: 200, seed: 1 },
  );
});

test('a parser either reads or says what it wants, for any text', () => {
  const parsers = [
    types.address,
    types.boolean,
    types.fraction,
    types.integer({ min: 0, max: 9 }),
    types.url('https'),
    types.list(':', types.requiredText),
    types.optional(types.address),
  ];
  fc.assert(
    fc.property(fc.string(), fc.constantFrom(...parsers), (text, parse) => {
      expect(['read', 'Wanted']).toContain(outcome(parse, text));
    }),
    { numRuns: 500, seed: 2 },
  );
});

function outcome(parse: (text: string) => unknown, text: string): string {
  try {
    parse(text);
    return 'read';
  } catch (error) {
    return (error as Error).name;
  }
}

test('numbers in other notations are refused', () => {
  const parse = types.integer({ min: 0, max: 100 });
  for (const text of ['', '1e1', '0x10', ' 5', '5 ', '5.0', '101', '-1', '９']) {
    expect(() => parse(text)).toThrow('from 0 to 100');
  }
  expect(types.fraction('0.25')).toBe(0.25);
  expect(() => types.fraction('1.01')).toThrow('0 to 1');
});

test('a URL with credentials or another scheme is refused', () => {
  const parse = types.url('https');
  expect(parse('https://ca:15012').host).toBe('ca:15012');
  expect(() => parse('http://ca')).toThrow('https');
  expect(() => parse('https://u:p@ca')).toThrow('no credentials');
});
