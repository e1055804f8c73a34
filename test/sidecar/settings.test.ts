import { expect, test } from 'vitest';

import { SettingsError } from '#runtime/settings.ts';
import { describeSidecarSettings, readSidecarSettings } from '#sidecar/settings.ts';

const minimal = {
  SELVAGE_NAMESPACE: 'shop',
  SELVAGE_WORKLOAD: 'payments',
  SELVAGE_CA: 'https://127.0.0.1:15012',
  SELVAGE_CONTROL: 'https://127.0.0.1:15010',
  SELVAGE_TOKEN_FILE: '/token',
  SELVAGE_TRUST_BUNDLE_FILE: '/roots.pem',
};

function mistakesOf(env: Record<string, string>): string {
  try {
    readSidecarSettings(env);
    return '';
  } catch (error) {
    if (error instanceof SettingsError) return error.message;
    throw error;
  }
}

test('the least that must be said is enough', () => {
  expect(readSidecarSettings(minimal)).toMatchObject({
    namespace: 'shop',
    serviceAccount: 'default',
    inbound: [],
    outbound: null,
    drainTimeoutMs: 5000,
  });
});

test('mappings say where to listen, for which port, and where the application is', () => {
  const text = '127.0.0.1:1=8080>127.0.0.1:2,[::1]:3=443>localhost:4,:5=80>127.0.0.1:6';
  expect(readSidecarSettings({ ...minimal, SELVAGE_INBOUND: text }).inbound).toMatchObject([
    { listen: { host: '127.0.0.1', port: 1 }, port: 8080, application: { port: 2 } },
    { listen: { host: '::1', port: 3 }, port: 443, application: { host: 'localhost', port: 4 } },
    { listen: { host: '', port: 5 }, port: 80, application: { port: 6 } },
  ]);
});

test('a mapping may name the address of the workload too', () => {
  const text = '127.0.0.1:1=10.0.0.7:8080>127.0.0.1:2,127.0.0.1:3=[fd00::7]:80>127.0.0.1:4';
  expect(readSidecarSettings({ ...minimal, SELVAGE_INBOUND: text }).inbound).toMatchObject([
    { ip: '10.0.0.7', port: 8080 },
    { ip: 'fd00::7', port: 80 },
  ]);
});

test('ports of services are mapped by name or address', () => {
  const text = '127.0.0.1:33306=mysql.shop:3306, [::1]:0=[fd00::7]:443';
  expect(readSidecarSettings({ ...minimal, SELVAGE_OUTBOUND_PORTS: text }).outboundPorts).toEqual([
    { listen: { host: '127.0.0.1', port: 33306 }, destination: { host: 'mysql.shop', port: 3306 } },
    { listen: { host: '::1', port: 0 }, destination: { host: 'fd00::7', port: 443 } },
  ]);
});

test.each(['33306=mysql:1', '127.0.0.1:1', 'a:1=b:0', 'a:1=b', 'a:1=b:1=c:1'])(
  'the outbound port %s is refused',
  (text) => {
    expect(mistakesOf({ ...minimal, SELVAGE_OUTBOUND_PORTS: text })).toContain(
      'SELVAGE_OUTBOUND_PORTS',
    );
  },
);

const wrongMappings = [
  '1=2>3',
  'a:1=0>b:2',
  'a:1=65536>b:2',
  'a:1>b:2',
  'a:1=80>b:x',
  'a:1=web:80>b:2',
];

test.each(wrongMappings)('the mapping %s is refused', (text) => {
  expect(mistakesOf({ ...minimal, SELVAGE_INBOUND: text })).toContain('SELVAGE_INBOUND');
});

test.each([
  ['a certificate without its key', { SELVAGE_CERT_FILE: '/c' }, 'go together'],
  ['no identity', { SELVAGE_CA: '' }, 'no identity'],
  ['no token for the CA', { SELVAGE_TOKEN_FILE: '' }, 'SELVAGE_TOKEN_FILE'],
  ['no configuration', { SELVAGE_CONTROL: '' }, 'no configuration'],
])('%s is a mistake', (_name, env, message) => {
  expect(mistakesOf({ ...minimal, ...env })).toContain(message);
});

test('every wrong setting is named in one error', () => {
  const env = { SELVAGE_ADMIN: 'x', SELVAGE_TRACE_SAMPLING: '2', SELVAGE_CAPTURE: 'magic' };
  const message = mistakesOf({ ...minimal, ...env });
  for (const name of Object.keys(env)) expect(message).toContain(name);
});

test('all settings can be printed', () => {
  expect(describeSidecarSettings(minimal)).toMatchObject({
    SELVAGE_NAMESPACE: 'shop',
    SELVAGE_LOG_LEVEL: 'info',
  });
});

test.each(['jaeger:4318', 'ftp://jaeger', 'http://me:secret@jaeger:4318', 'grpc://jaeger/path'])(
  'a collector is no %s',
  (text) => {
    expect(mistakesOf({ ...minimal, SELVAGE_OTLP_ENDPOINT: text })).toMatch(
      /SELVAGE_OTLP_ENDPOINT.*http:\/\/collector:4318 or grpc:\/\/collector:4317/,
    );
  },
);
