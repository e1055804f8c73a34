// The operator's issuer in a cluster: the Secret `cacerts` as in Istio, or mounted files; and whether it has changed.
import { stat } from 'node:fs/promises';
import { KubeError, type KubeClient, type KubeObject } from '#runtime/kubernetes/client.ts';
import { assembleIssuer, splitPem, type Issuer } from '../issuer.ts';
import { readPluggedIssuer, type PluggedFiles } from '../plugged.ts';

export interface PluggedFound {
  /** Changes whenever the issuer may have. */
  readonly version: string;
  /** Rejects with a message that names its place. */
  issuer(): Promise<Issuer>;
}

/** Looks once; null: the operator brings none. */
export type PluggedSource = () => Promise<PluggedFound | null>;

/** @param path of the Secret: `/api/v1/namespaces/selvage-system/secrets/cacerts` */
export function fromSecret(client: KubeClient, path: string): PluggedSource {
  return async () => {
    try {
      const secret = await client.get<KubeObject>(path);
      const { name, namespace = '', resourceVersion = '' } = secret.metadata;
      return {
        version: resourceVersion,
        issuer: async () => readSecret(secret, `Secret ${namespace}/${name}`),
      };
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return null;
      throw error;
    }
  };
}

/** Files that the kubelet mounts: it changes all of them at once. */
export function fromFiles(files: PluggedFiles): PluggedSource {
  const paths = Object.values(files).filter((path: string) => path !== '');
  return async () => {
    const stats = await Promise.all(paths.map((path: string) => stat(path)));
    return {
      version: stats.map(({ mtimeMs, size, ino }) => `${mtimeMs} ${size} ${ino}`).join(', '),
      issuer: () => readPluggedIssuer(files),
    };
  };
}

/** Names of Istio's `cacerts`; `cert-chain.pem` may be left out where `root-cert.pem` signed the issuer. */
function readSecret(secret: KubeObject, place: string): Issuer {
  try {
    const data = (secret['data'] ?? {}) as Readonly<Record<string, unknown>>;
    const text = (name: string): string => {
      const encoded = data[name];
      return typeof encoded === 'string' ? Buffer.from(encoded, 'base64').toString('utf8') : '';
    };
    for (const name of ['ca-cert.pem', 'ca-key.pem', 'root-cert.pem']) {
      if (text(name).trim() === '') throw new Error(`${name} is missing`);
    }
    const names = ['ca-cert.pem', 'cert-chain.pem', 'root-cert.pem'];
    return assembleIssuer(
      text('ca-key.pem'),
      names.flatMap((name) => splitPem(text(name))),
    );
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`the issuer in ${place} cannot be used: ${reason}`, { cause: error });
  }
}
