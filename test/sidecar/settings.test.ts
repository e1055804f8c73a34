// Settings of the sidecar: what SELVAGE_INBOUND may say.
import { expect, test } from 'vitest';

import { readSidecarSettings } from '#sidecar/settings.ts';

function inbound(text: string): unknown {
  const { inbound: mappings } = readSidecarSettings({
    SELVAGE_NAMESPACE: 'shop',
    SELVAGE_WORKLOAD: 'web',
    SELVAGE_CERT_FILE: 'cert.pem',
    SELVAGE_KEY_FILE: 'key.pem',
    SELVAGE_TRUST_BUNDLE_FILE: 'roots.pem',
    SELVAGE_SNAPSHOT_FILE: 'snapshot.json',
    SELVAGE_INBOUND: text,
  });
  return mappings.map(({ listen, ip, port, application }) => [
    `${listen.host} ${listen.port}`,
    ip,
    port,
    `${application.host} ${application.port}`,
  ]);
}

test('a mapping names where to listen, the port of the workload, and the application', () => {
  expect(inbound('127.0.0.1:34001=8080>127.0.0.1:34002,[::1]:0=9000>[::1]:1')).toEqual([
    ['127.0.0.1 34001', '', 8080, '127.0.0.1 34002'],
    ['::1 0', '', 9000, '::1 1'],
  ]);
});

test('a mapping may name the address of the workload too', () => {
  expect(inbound('127.0.0.1:1=10.0.0.7:8080>127.0.0.1:2,127.0.0.1:3=[fd00::7]:80>[::1]:4')).toEqual(
    [
      ['127.0.0.1 1', '10.0.0.7', 8080, '127.0.0.1 2'],
      ['127.0.0.1 3', 'fd00::7', 80, '::1 4'],
    ],
  );
});

test.each([
  '127.0.0.1:1=8080',
  '127.0.0.1:1=0>127.0.0.1:2',
  '127.0.0.1:1=65536>127.0.0.1:2',
  '127.0.0.1:1=web:8080>127.0.0.1:2',
  '127.0.0.1:1=:8080>127.0.0.1:2',
  '127.0.0.1:1=8080>127.0.0.1:2=80>127.0.0.1:3',
])('a mapping that is none is refused: %s', (text) => {
  expect(() => inbound(text)).toThrow('SELVAGE_INBOUND');
});
