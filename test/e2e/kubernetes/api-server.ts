// The API server that KUBECONFIG names, as its administrator; and why there is none, where there is none.
import { readFileSync } from 'node:fs';

import { parse } from 'yaml';

import type { ClusterAccess } from '#runtime/kubernetes/access.ts';

interface Kubeconfig {
  readonly clusters?: { cluster: Readonly<Record<string, string>> }[];
  readonly users?: { user: Readonly<Record<string, string>> }[];
}

/** Access by client certificate, as kubeconfigs of test clusters have it. Null, with a word on stderr: there is no cluster. */
export function reachedApiServer(): ClusterAccess | null {
  const file = process.env['KUBECONFIG'] ?? '';
  if (file === '') {
    process.stderr.write(
      'skipped: KUBECONFIG names no cluster (start one, run vitest under its exec)\n',
    );
    return null;
  }
  const config = parse(readFileSync(file, 'utf8')) as Kubeconfig;
  const cluster = config.clusters?.[0]?.cluster ?? {};
  const user = config.users?.[0]?.user ?? {};
  return {
    server: cluster['server'] ?? '',
    caPem: decoded(cluster['certificate-authority-data']),
    certPem: decoded(user['client-certificate-data']),
    keyPem: decoded(user['client-key-data']),
    namespace: 'default',
  };
}

function decoded(base64 = ''): string {
  return Buffer.from(base64, 'base64').toString('utf8');
}
