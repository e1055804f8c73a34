// How the operator reaches a cluster: kubeconfig files, read and merged as kubectl does.
import { readFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { getCACertificates } from 'node:tls';

import { type ClusterAccess, podAccess } from '#runtime/kubernetes/access.ts';

import { CallError } from '../calls/failure.ts';
import { PluginCredentials } from './exec-plugin.ts';
import {
  type KubeCluster,
  type Kubeconfig,
  type KubeUser,
  mergeKubeconfigs,
  parseKubeconfig,
} from './kubeconfig-file.ts';

export interface KubeconfigOptions {
  /** This file alone, and it must be there. */
  readonly kubeconfig?: string;
  /** In place of `current-context`. */
  readonly context?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * The access that the files give: `kubeconfig`, else each file of KUBECONFIG, else `~/.kube/config`; in a pod without any of
 * them its service account. @throws CallError for what is missing, wrong, or not to be honoured
 */
export async function readKubeconfig(options: KubeconfigOptions): Promise<ClusterAccess> {
  const { env } = options;
  const files = filesOf(options);
  const configs = await readFiles(files, options.kubeconfig !== undefined);
  if (configs.length === 0) {
    const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env;
    if (host !== undefined) return podAccess(`https://${bracketed(host)}:${port}`);
    throw new CallError(`there is no kubeconfig (${files.join(', ')}): set KUBECONFIG to one`);
  }
  return accessOf(mergeKubeconfigs(configs), options.context);
}

function filesOf({ kubeconfig, env }: KubeconfigOptions): string[] {
  if (kubeconfig !== undefined) return [kubeconfig];
  const listed = (env['KUBECONFIG'] ?? '').split(delimiter).filter((file) => file !== '');
  if (listed.length > 0) return [...new Set(listed)];
  return [join(env['HOME'] ?? env['USERPROFILE'] ?? '.', '.kube', 'config')];
}

/** Of several files some may be missing. */
async function readFiles(files: readonly string[], needed: boolean): Promise<Kubeconfig[]> {
  const configs: Kubeconfig[] = [];
  for (const file of files) {
    let text: string;
    try {
      text = await readFile(file, 'utf8');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' && !needed) continue;
      const why = code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code})`;
      throw new CallError(`kubeconfig ${file}: ${why}`, { cause: error });
    }
    configs.push(parseKubeconfig(text, file));
  }
  return configs;
}

async function accessOf(config: Kubeconfig, chosen?: string): Promise<ClusterAccess> {
  const name = chosen ?? config.currentContext;
  if (name === '') {
    throw new CallError(`no context is chosen: give --context; ${listOf(config.contexts)}`);
  }
  const context = lookUp('context', config.contexts, name);
  const cluster = lookUp('cluster', config.clusters, context.cluster);
  // A context without a user is one of a cluster that asks for none.
  const user = context.user === '' ? nobody : lookUp('user', config.users, context.user);
  checkSupported(`cluster ${context.cluster}`, cluster.unsupported);
  checkSupported(`user ${context.user}`, user.unsupported);
  const server = serverOf(cluster, context.cluster);
  const caPem = await caOf(cluster, context.cluster);
  const namespace = context.namespace || 'default';
  return { server, caPem, namespace, ...(await credentialsOf(user, { server, caPem })) };
}

const nobody: KubeUser = {
  certPem: '',
  certFile: '',
  keyPem: '',
  keyFile: '',
  token: '',
  tokenFile: '',
  exec: null,
  unsupported: [],
};

function lookUp<T>(what: string, all: ReadonlyMap<string, T>, name: string): T {
  const found = all.get(name);
  if (found !== undefined) return found;
  throw new CallError(`the kubeconfig has no ${what} "${name}"; ${listOf(all)}`);
}

function listOf(all: ReadonlyMap<string, unknown>): string {
  const names = [...all.keys()];
  const more = names.length > 20 ? ` and ${names.length - 20} more` : '';
  return names.length === 0 ? 'there is none' : `there are ${names.slice(0, 20).join(', ')}${more}`;
}

/** What is left out would be a surprise: another identity than the file's, or a way around it. */
function checkSupported(of: string, unsupported: readonly string[]): void {
  if (unsupported.length === 0) return;
  throw new CallError(
    `the kubeconfig's ${of} has ${unsupported.join(', ')}, which selvage does not honour: ` +
      `choose another with --context`,
  );
}

function serverOf({ server, insecure }: KubeCluster, name: string): string {
  if (URL.parse(server)?.protocol !== 'https:') {
    throw new CallError(`the server of cluster ${name} is "${server}", which is no https URL`);
  }
  if (insecure) {
    throw new CallError(
      `cluster ${name} has insecure-skip-tls-verify: selvage calls no server that it cannot verify; ` +
        `put the CA's certificate into certificate-authority-data`,
    );
  }
  return server;
}

/** As kubectl: without a CA of its own, a cluster's certificate is one that the machine trusts. */
async function caOf({ caPem, caFile }: KubeCluster, name: string): Promise<string> {
  if (caPem === '' && caFile === '') {
    const system = getCACertificates('system');
    return (system.length > 0 ? system : getCACertificates('bundled')).join('\n');
  }
  const pem = caPem === '' ? await readPart(caFile) : caPem;
  if (pem.includes('-----BEGIN CERTIFICATE-----')) return pem;
  throw new CallError(`the certificate authority of cluster ${name} holds no PEM certificate`);
}

async function credentialsOf(
  user: KubeUser,
  cluster: { readonly server: string; readonly caPem: string },
): Promise<Pick<ClusterAccess, 'token' | 'certPem' | 'keyPem'>> {
  if (user.exec !== null) return pluginAccess(new PluginCredentials(user.exec, cluster));
  const { token, tokenFile } = user;
  const [certPem, keyPem] = await Promise.all([
    user.certPem === '' && user.certFile !== '' ? readPart(user.certFile) : user.certPem,
    user.keyPem === '' && user.keyFile !== '' ? readPart(user.keyFile) : user.keyPem,
  ]);
  if ((certPem === '') !== (keyPem === '')) {
    const [there, missing] = certPem === '' ? ['key', 'certificate'] : ['certificate', 'key'];
    throw new CallError(`the user of the kubeconfig has a client ${there} and no ${missing}`);
  }
  return {
    ...(certPem === '' ? {} : { certPem, keyPem }),
    // The file is read at each use: whoever writes it replaces the token.
    ...(tokenFile === '' ? {} : { token: async () => (await readPart(tokenFile)).trim() }),
    ...(tokenFile === '' && token !== '' ? { token: async () => token } : {}),
  };
}

async function pluginAccess(
  plugin: PluginCredentials,
): Promise<Pick<ClusterAccess, 'token' | 'certPem' | 'keyPem'>> {
  const { token, certPem, keyPem } = await plugin.current();
  return {
    ...(certPem === '' ? {} : { certPem, keyPem }),
    ...(token === '' ? {} : { token: async () => (await plugin.current()).token }),
  };
}

async function readPart(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CallError(`the kubeconfig names a file that cannot be read: ${why}`, {
      cause: error,
    });
  }
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
