import { afterAll, beforeAll, expect, test } from 'vitest';

import { podSpec } from './apps.ts';
import { describeInCluster, Place, until } from './cluster.ts';

/** Healthy until told otherwise. */
const moody = `
const http = require('node:http');
let well = true;
http.createServer((request, response) => {
  if (request.url === '/sicken') well = false;
  response.writeHead(well ? 200 : 500).end();
}).listen(8080);
process.on('SIGTERM', () => process.exit(0));
`;

function podWith(name: string, probes: object): object {
  const spec = podSpec({ script: moody }) as { containers: [object] };
  const [container] = spec.containers;
  const ports = [{ name: 'http', containerPort: 8080 }];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, annotations: { inject: 'true' } },
    spec: { ...spec, containers: [{ ...container, ports, ...probes }] },
  };
}

describeInCluster('probes of the kubelet', () => {
  let place: Place;

  beforeAll(async () => {
    place = await Place.create('probes');
    await place.apply(
      {
        apiVersion: 'security.istio.io/v1',
        kind: 'PeerAuthentication',
        metadata: { name: 'strict' },
        spec: { mtls: { mode: 'STRICT' } },
      },
      podWith('http', {
        readinessProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 1 },
        livenessProbe: {
          httpGet: { path: '/', port: 8080 },
          periodSeconds: 1,
          failureThreshold: 2,
        },
      }),
      podWith('tcp', { readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 } }),
      podWith('exec', { readinessProbe: { exec: { command: ['node', '--version'] } } }),
      podWith('wrong', { readinessProbe: { tcpSocket: { port: 8081 }, periodSeconds: 1 } }),
    );
  });
  afterAll(() => place.remove());

  test('http, tcp and exec probes find an application that is well', async () => {
    await expect(
      place.kubectl(
        'wait',
        '--for=condition=Ready',
        'pod/http',
        'pod/tcp',
        'pod/exec',
        '--timeout=60s',
      ),
    ).resolves.toContain('pod/exec condition met');
  });

  test('a port that nobody listens on is not ready', async () => {
    await until(
      'its container runs',
      () => place.kubectl('get', 'pod/wrong', '-o', 'jsonpath={.status.phase}'),
      (phase) => phase === 'Running',
    );
    const ready = 'jsonpath={.status.containerStatuses[0].ready}';
    expect(await place.kubectl('get', 'pod/wrong', '-o', ready)).toBe('false');
  });

  test('an application that sickens is restarted, and its sidecar is not', async () => {
    const restarts = (kind: string, name: string): Promise<string> =>
      place.kubectl(
        'get',
        'pod/http',
        '-o',
        `jsonpath={.status.${kind}[?(@.name=="${name}")].restartCount}`,
      );
    await place.exec('pod/http', 'node', '-e', "fetch('http://127.0.0.1:8080/sicken')");
    await until(
      'the application is restarted',
      () => restarts('containerStatuses', 'app'),
      (count) => Number(count) > 0,
    );
    expect(await restarts('initContainerStatuses', 'selvage-proxy')).toBe('0');
    await place.kubectl('wait', '--for=condition=Ready', 'pod/http', '--timeout=60s');
  });
});
