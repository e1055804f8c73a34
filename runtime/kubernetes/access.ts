// How the API server is reached: its address, whom to trust, and who asks.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface ClusterAccess {
  /** https URL; a path in it goes before the path of every call. */
  readonly server: string;
  /** PEM of the only roots that the server's certificate may come from. */
  readonly caPem: string;
  /** The bearer token as of now. */
  readonly token?: () => Promise<string>;
  /** A client certificate and its key, PEM, in place of a token. */
  readonly certPem?: string;
  readonly keyPem?: string;
  /** Where the caller itself lives. */
  readonly namespace: string;
}

/** Where the kubelet mounts what a pod needs to call the API server. */
const serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * The access of the pod that this runs in. The token is read at every use: the kubelet replaces it before it ends.
 * Rejects when the pod has no such folder, as with `automountServiceAccountToken: false`.
 */
export async function podAccess(
  server: string,
  folder: string = serviceAccountFolder,
): Promise<ClusterAccess> {
  const read = async (name: string): Promise<string> => {
    const text = await readFile(join(folder, name), 'utf8');
    if (text.trim() === '') throw new Error(`${join(folder, name)} is empty`);
    return text.trim();
  };
  try {
    const [caPem, namespace] = await Promise.all([
      read('ca.crt'),
      read('namespace'),
      read('token'),
    ]);
    return { server, caPem: `${caPem}\n`, namespace, token: () => read('token') };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(
      `the service account of this pod cannot be read (${why}): mount it (automountServiceAccountToken: true)`,
      { cause: error },
    );
  }
}
