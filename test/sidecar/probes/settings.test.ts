import {
  anything,
  assert,
  json,
  nat,
  oneof,
  property,
  record,
  string as anyString,
} from 'fast-check';
import { expect, test } from 'vitest';

import { Wanted } from '#runtime/settings.ts';
import { appProbes } from '#sidecar/probes/settings.ts';

const path = '/app-health/web/readyz';

test('probes are read as Kubernetes writes them', () => {
  const text = JSON.stringify({
    [path]: {
      httpGet: {
        path: 'ready?a=b',
        port: 8080,
        scheme: 'HTTPS',
        httpHeaders: [{ name: 'X-Probe', value: 'yes' }],
      },
      timeoutSeconds: 3,
      periodSeconds: 10,
    },
    '/app-health/web/livez': { tcpSocket: { port: 3306 } },
    '/app-health/web/startupz': { grpc: { port: 50_051, service: 'shop' } },
  });
  expect(appProbes(text)).toEqual([
    {
      path,
      timeoutMs: 3000,
      check: {
        kind: 'http',
        host: '',
        port: 8080,
        target: '/ready?a=b',
        https: true,
        headers: { 'x-probe': 'yes' },
      },
    },
    {
      path: '/app-health/web/livez',
      timeoutMs: 1000,
      check: { kind: 'tcp', host: '', port: 3306 },
    },
    {
      path: '/app-health/web/startupz',
      timeoutMs: 1000,
      check: { kind: 'grpc', host: '', port: 50_051, service: 'shop' },
    },
  ]);
  expect(appProbes('')).toEqual([]);
});

test('hooks are asked for likewise, and may take their time', () => {
  const hook = '/app-lifecycle/web/prestopz';
  const [probe] = appProbes(JSON.stringify({ [hook]: { httpGet: { port: 80, path: '/bye' } } }));
  expect(probe).toMatchObject({ path: hook, timeoutMs: 3_600_000 });
  const wrong = { '/app-health/web/prestopz': { tcpSocket: { port: 80 } } };
  expect(() => appProbes(JSON.stringify(wrong))).toThrow('paths /app-health');
});

test.each([
  ['{', 'JSON'],
  ['[]', 'an object'],
  ['{"/quitquitquit": {"tcpSocket": {"port": 1}}}', '/app-health/'],
  ['{"/app-health/web/../readyz": {"tcpSocket": {"port": 1}}}', '/app-health/'],
  [`{"${path}": {}}`, 'one of httpGet'],
  [`{"${path}": {"tcpSocket": {"port": 1}, "grpc": {"port": 1}}}`, 'one of httpGet'],
  [`{"${path}": {"tcpSocket": {"port": "http"}}}`, 'port from 1'],
  [`{"${path}": {"tcpSocket": {"port": 1}, "timeoutSeconds": 0}}`, 'timeoutSeconds'],
  [`{"${path}": {"httpGet": {"port": 1, "path": "/a b"}}}`, 'visible ASCII'],
  [`{"${path}": {"httpGet": {"port": 1, "scheme": "ftp"}}}`, 'HTTP or HTTPS'],
  [`{"${path}": {"httpGet": {"port": 1, "httpHeaders": [{"name": "a\\r\\nb"}]}}}`, 'headers'],
])('%s is refused', (text, wanted) => {
  expect(() => appProbes(text)).toThrow(wanted);
});

test('anything else is read or refused with what is wanted', () => {
  const probe = record(
    {
      httpGet: record({ port: anything(), path: anything(), httpHeaders: anything() }),
      tcpSocket: anything(),
      grpc: record({ port: nat(), service: anything() }),
      timeoutSeconds: anything(),
    },
    { requiredKeys: [] },
  );
  const text = oneof(
    json(),
    anyString(),
    probe.map((value) => JSON.stringify({ [path]: value })),
  );
  assert(
    property(text, (value) => {
      expect(['probes', 'Wanted']).toContain(outcomeOf(value));
    }),
  );
});

function outcomeOf(text: string): string {
  try {
    return Array.isArray(appProbes(text)) ? 'probes' : 'nothing';
  } catch (error) {
    return error instanceof Wanted ? error.name : String(error);
  }
}
