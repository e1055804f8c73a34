// What every proxy under test gets alike: certificates, ten rules, an application and two services' names.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Snapshot } from '#api/snapshot.ts';

import { issue, makeTestCa } from '../tls/fixtures.ts';

/** Ten ALLOW policies, as a service with ten callers has; the last one in the order of names admits the load. */
export const rules = Array.from({ length: 10 }, (_, i) => ({
  name: `allow-${i}`,
  principal:
    i === 9 ? 'cluster.local/ns/bench/sa/client' : `cluster.local/ns/team-${i}/sa/app-${i}`,
  methods: i === 9 ? ['GET', 'POST'] : ['GET'],
  path: i === 9 ? '/api/v1/' : `/team-${i}/`,
}));

export const workloadPort = 8080;
export const trustedIdentities = {
  client: 'spiffe://cluster.local/ns/bench/sa/client',
  server: 'spiffe://cluster.local/ns/bench/sa/server',
} as const;

export interface World {
  readonly folder: string;
  /** Paths of PEM files; `serverBundle` is certificate and key in one, as HAProxy wants it. */
  readonly files: Readonly<
    Record<
      | 'ca'
      | 'clientCert'
      | 'clientKey'
      | 'serverCert'
      | 'serverKey'
      | 'clientBundle'
      | 'serverBundle',
      string
    >
  >;
  write(name: string, text: string): string;
  remove(): void;
}

export async function makeWorld(): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-bench-'));
  const ca = await makeTestCa();
  const client = await issue(ca, { uri: trustedIdentities.client, dns: ['client'] });
  const server = await issue(ca, { uri: trustedIdentities.server, dns: ['server'] });
  const write = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  return {
    folder,
    files: {
      ca: write('ca.pem', ca.certPem),
      clientCert: write('client.pem', client.certPem),
      clientKey: write('client.key', client.keyPem),
      serverCert: write('server.pem', server.certPem),
      serverKey: write('server.key', server.keyPem),
      clientBundle: write('client-bundle.pem', client.certPem + client.keyPem),
      serverBundle: write('server-bundle.pem', server.certPem + server.keyPem),
    },
    write,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The snapshot of a sidecar. @param server port of the endpoint that `server.bench` leads to; 0: none */
export function snapshotOf(workload: 'client' | 'server', server: number): Snapshot {
  const meta = { namespace: 'bench', labels: {}, annotations: {} };
  return {
    version: 1,
    mesh: {
      trustDomain: 'cluster.local',
      trustDomainAliases: [],
      rootNamespace: 'istio-system',
      pathNormalization: { normalization: 'DEFAULT' },
      extensionProviders: [],
      accessLogFile: '',
      accessLogEncoding: 'TEXT',
    },
    workload: {
      namespace: 'bench',
      name: workload,
      labels: { app: workload },
      serviceAccount: workload,
      ports: [{ port: workloadPort, name: 'http', protocol: 'http' }],
    },
    policies:
      workload === 'client'
        ? []
        : [
            {
              apiVersion: 'security.istio.io/v1',
              kind: 'PeerAuthentication',
              metadata: { ...meta, name: 'strict' },
              spec: { mtls: { mode: 'STRICT' } },
            },
            ...rules.map(({ name, principal, methods, path }) => ({
              apiVersion: 'security.istio.io/v1',
              kind: 'AuthorizationPolicy' as const,
              metadata: { ...meta, name },
              spec: {
                action: 'ALLOW' as const,
                rules: [
                  {
                    from: [{ source: { principals: [principal] } }],
                    to: [{ operation: { methods, paths: [`${path}*`] } }],
                  },
                ],
              },
            })),
          ],
    services:
      server === 0
        ? []
        : [
            {
              name: 'server',
              namespace: 'bench',
              hosts: ['server.bench.svc.cluster.local', 'server.bench.svc', 'server.bench'],
              addresses: [],
              ports: [
                {
                  port: workloadPort,
                  name: 'http',
                  protocol: 'http',
                  endpoints: [
                    {
                      address: '127.0.0.1',
                      port: server,
                      identity: trustedIdentities.server,
                      workload: 'server',
                      namespace: 'bench',
                      labels: {},
                    },
                  ],
                },
              ],
            },
          ],
  };
}
