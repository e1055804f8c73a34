// A kubeconfig as data: clusters, users and contexts by name, with every path made absolute.
import { dirname, resolve } from 'node:path';

import { readYaml } from '#api/yaml.ts';

import { CallError } from '../calls/failure.ts';

export interface Kubeconfig {
  /** '' where none is chosen. */
  readonly currentContext: string;
  readonly clusters: ReadonlyMap<string, KubeCluster>;
  readonly users: ReadonlyMap<string, KubeUser>;
  readonly contexts: ReadonlyMap<string, KubeContext>;
}

export interface KubeCluster {
  readonly server: string;
  /** PEM; '' where there is none. */
  readonly caPem: string;
  readonly caFile: string;
  readonly insecure: boolean;
  /** Fields that are set and that cannot be honoured here. */
  readonly unsupported: readonly string[];
}

export interface KubeUser {
  readonly certPem: string;
  readonly certFile: string;
  readonly keyPem: string;
  readonly keyFile: string;
  readonly token: string;
  readonly tokenFile: string;
  readonly exec: ExecConfig | null;
  readonly unsupported: readonly string[];
}

export interface KubeContext {
  readonly cluster: string;
  readonly user: string;
  readonly namespace: string;
}

/** A program that gives the credentials (client.authentication.k8s.io). */
export interface ExecConfig {
  readonly apiVersion: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly interactiveMode: string;
  readonly installHint: string;
  readonly provideClusterInfo: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

/** Reads one file. An empty one is a kubeconfig without anything. @throws CallError that names the file and the field */
export function parseKubeconfig(text: string, file: string): Kubeconfig {
  const { documents, problems } = readYaml(text, file);
  const [problem] = problems;
  if (problem !== undefined) {
    throw new CallError(`${file}:${problem.line ?? 1}: ${problem.message}`);
  }
  const root = new Mapping(documents[0]?.value ?? {}, file, '');
  const folder = dirname(resolve(file));
  return {
    currentContext: root.text('current-context'),
    clusters: byName(root, 'clusters', 'cluster', (node) => readCluster(node, folder)),
    users: byName(root, 'users', 'user', (node) => readUser(node, folder)),
    contexts: byName(root, 'contexts', 'context', (node) => ({
      cluster: node.text('cluster'),
      user: node.text('user'),
      namespace: node.text('namespace'),
    })),
  };
}

/** As kubectl: the first file that says something of a name, or chooses a context, has the last word. */
export function mergeKubeconfigs(configs: readonly Kubeconfig[]): Kubeconfig {
  const reversed = configs.toReversed();
  return {
    currentContext: configs.find((config) => config.currentContext !== '')?.currentContext ?? '',
    clusters: new Map(reversed.flatMap(({ clusters }) => [...clusters])),
    users: new Map(reversed.flatMap(({ users }) => [...users])),
    contexts: new Map(reversed.flatMap(({ contexts }) => [...contexts])),
  };
}

function readCluster(node: Mapping, folder: string): KubeCluster {
  return {
    server: node.text('server'),
    caPem: node.decoded('certificate-authority-data'),
    caFile: pathOf(node.text('certificate-authority'), folder),
    insecure: node.flag('insecure-skip-tls-verify'),
    unsupported: node.present('proxy-url', 'tls-server-name'),
  };
}

function readUser(node: Mapping, folder: string): KubeUser {
  return {
    certPem: node.decoded('client-certificate-data'),
    certFile: pathOf(node.text('client-certificate'), folder),
    keyPem: node.decoded('client-key-data'),
    keyFile: pathOf(node.text('client-key'), folder),
    token: node.text('token'),
    tokenFile: pathOf(node.text('tokenFile'), folder),
    exec: readExec(node.child('exec'), folder),
    // Left out, they would make the caller someone else than the file says.
    unsupported: node.present('username', 'auth-provider', 'as', 'as-uid', 'as-groups'),
  };
}

function readExec(node: Mapping | null, folder: string): ExecConfig | null {
  if (node === null) return null;
  const command = node.text('command');
  if (command === '')
    throw new CallError(`${node.place('command')} is missing: the program to run`);
  return {
    apiVersion: node.text('apiVersion'),
    // A bare name is looked up in PATH.
    command: command.includes('/') ? resolve(folder, command) : command,
    args: node.list('args').map((one) => one.asText()),
    env: node.list('env').map((one) => [one.text('name'), one.text('value')] as const),
    interactiveMode: node.text('interactiveMode') || 'IfAvailable',
    installHint: node.text('installHint'),
    provideClusterInfo: node.flag('provideClusterInfo'),
  };
}

function byName<T>(
  root: Mapping,
  list: string,
  field: string,
  read: (node: Mapping) => T,
): ReadonlyMap<string, T> {
  const found = new Map<string, T>();
  for (const entry of root.list(list)) {
    const name = entry.text('name');
    if (found.has(name)) continue;
    found.set(name, read(entry.child(field) ?? new Mapping({}, entry.file, entry.path)));
  }
  return found;
}

function pathOf(path: string, folder: string): string {
  return path === '' ? '' : resolve(folder, path);
}

/** One mapping of the file, and what to call it where it is not as it should be. */
class Mapping {
  readonly #value: unknown;
  readonly file: string;
  readonly path: string;

  constructor(value: unknown, file: string, path: string) {
    this.#value = value;
    this.file = file;
    this.path = path;
  }

  place(field: string): string {
    return `${this.file}: ${this.path}${this.path === '' || field === '' ? '' : '.'}${field}`;
  }

  text(field: string): string {
    const value = this.#fields()[field] ?? '';
    if (typeof value !== 'string') throw new CallError(`${this.place(field)} is no text`);
    return value;
  }

  asText(): string {
    if (typeof this.#value !== 'string') throw new CallError(`${this.place('')} is no text`);
    return this.#value;
  }

  flag(field: string): boolean {
    const value = this.#fields()[field] ?? false;
    if (typeof value !== 'boolean') throw new CallError(`${this.place(field)} is no boolean`);
    return value;
  }

  /** The text that a base64 text stands for. */
  decoded(field: string): string {
    const encoded = this.text(field).replaceAll(/\s/g, '');
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(encoded)) {
      throw new CallError(`${this.place(field)} is no base64`);
    }
    return Buffer.from(encoded, 'base64').toString('utf8');
  }

  child(field: string): Mapping | null {
    const value = this.#fields()[field] ?? null;
    return value === null ? null : new Mapping(value, this.file, this.#under(field));
  }

  list(field: string): Mapping[] {
    const value = this.#fields()[field] ?? [];
    if (!Array.isArray(value)) throw new CallError(`${this.place(field)} is no list`);
    return value.map((one, i) => new Mapping(one, this.file, `${this.#under(field)}[${i}]`));
  }

  /** Those of the fields that say something. */
  present(...names: string[]): string[] {
    const fields = this.#fields();
    return names.filter((name) => !nothing.has(fields[name]));
  }

  #under(field: string): string {
    return this.path === '' ? field : `${this.path}.${field}`;
  }

  #fields(): Fields {
    const value = this.#value;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new CallError(`${this.place('')} is no mapping`.replace(':  is', ' is'));
    }
    return value as Fields;
  }
}

const nothing: ReadonlySet<unknown> = new Set([undefined, null, '']);
