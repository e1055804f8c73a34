// What every proxy under test gets alike: certificates and ten rules.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

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
/** What callers call the server. */
export const serverAuthority = `server.bench:${workloadPort}`;
export const trustedIdentities = {
  client: 'spiffe://cluster.local/ns/bench/sa/client',
  server: 'spiffe://cluster.local/ns/bench/sa/server',
  control: 'spiffe://cluster.local/ns/selvage-system/sa/selvage-control',
} as const;

/** Longer than any soak. */
const lifeSeconds = 86_400;

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
      | 'serverBundle'
      | 'controlCert'
      | 'controlKey',
      string
    >
  >;
  write(name: string, text: string): string;
  remove(): void;
}

export async function makeWorld(): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-bench-'));
  const ca = await makeTestCa();
  const client = await issue(ca, { uri: trustedIdentities.client, dns: ['client'], lifeSeconds });
  const server = await issue(ca, { uri: trustedIdentities.server, dns: ['server'], lifeSeconds });
  const control = await issue(ca, { uri: trustedIdentities.control, lifeSeconds });
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
      controlCert: write('control.pem', control.certPem),
      controlKey: write('control.key', control.keyPem),
      serverBundle: write('server-bundle.pem', server.certPem + server.keyPem),
    },
    write,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
