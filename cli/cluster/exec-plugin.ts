// Credentials from a program that the kubeconfig names, kept until they expire (client.authentication.k8s.io).
import { spawn } from 'node:child_process';
import { buffer } from 'node:stream/consumers';

import { CallError } from '../calls/failure.ts';
import type { ExecConfig } from './kubeconfig-file.ts';

export interface Credential {
  /** '' where there is none. */
  readonly token: string;
  readonly certPem: string;
  readonly keyPem: string;
  /** Ms since 1970; Infinity: it does not expire. */
  readonly endsMs: number;
}

/** The cluster that the credentials are for. */
interface PluginCluster {
  readonly server: string;
  readonly caPem: string;
}

/** A person may have to log in. */
const timeoutMs = 300_000;
/** Renewed a little early: a call takes time too. */
const marginMs = 10_000;
const versions = /^client\.authentication\.k8s\.io\/v1(beta1)?$/;

export class PluginCredentials {
  readonly #config: ExecConfig;
  readonly #cluster: PluginCluster;
  readonly #now: () => number;
  #running: Promise<Credential> | null = null;
  #kept: Credential | null = null;

  constructor(config: ExecConfig, cluster: PluginCluster, now: () => number = Date.now) {
    this.#config = config;
    this.#cluster = cluster;
    this.#now = now;
  }

  /** Runs the program where nothing valid is kept; callers share one run. @throws CallError that names the program */
  async current(): Promise<Credential> {
    if (this.#kept !== null && this.#now() < this.#kept.endsMs - marginMs) return this.#kept;
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
    this.#kept = await this.#running;
    return this.#kept;
  }

  async #run(): Promise<Credential> {
    const { apiVersion, command, args, env, interactiveMode, installHint } = this.#config;
    if (!versions.test(apiVersion)) {
      const known = 'client.authentication.k8s.io/v1 and v1beta1';
      throw new CallError(`the plugin ${command} speaks "${apiVersion}"; selvage knows ${known}`);
    }
    const interactive = interactiveMode !== 'Never' && process.stdin.isTTY;
    if (interactiveMode === 'Always' && !interactive) {
      throw new CallError(`the plugin ${command} wants a terminal, and there is none`);
    }
    const child = spawn(command, args, {
      stdio: [interactive ? 'inherit' : 'ignore', 'pipe', 'inherit'],
      env: {
        ...process.env,
        ...Object.fromEntries(env),
        KUBERNETES_EXEC_INFO: this.#info(interactive),
      },
      timeout: timeoutMs,
    });
    const ended = new Promise<string>((resolve) => {
      child.once('error', ({ message }) => {
        resolve(`cannot be run: ${message}${installHint === '' ? '' : `\n${installHint}`}`);
      });
      child.once('close', (code, signal) => {
        resolve(code === 0 ? '' : `ended with ${code ?? signal}`);
      });
    });
    const [failure, output] = await Promise.all([ended, buffer(child.stdout)]);
    if (failure !== '') throw new CallError(`the plugin ${command} of the kubeconfig ${failure}`);
    return parseCredential(output.toString('utf8'), command);
  }

  #info(interactive: boolean): string {
    const { apiVersion, provideClusterInfo } = this.#config;
    const { server, caPem } = this.#cluster;
    const data = Buffer.from(caPem).toString('base64');
    const cluster = { server, 'certificate-authority-data': data, config: null };
    const spec = { interactive, ...(provideClusterInfo ? { cluster } : {}) };
    return JSON.stringify({ kind: 'ExecCredential', apiVersion, spec });
  }
}

/** Reads what a plugin printed. @throws CallError that quotes none of it: it is secret */
export function parseCredential(text: string, command: string): Credential {
  const wrong = (what: string): CallError => new CallError(`the plugin ${command} printed ${what}`);
  let printed: unknown;
  try {
    printed = JSON.parse(text);
  } catch {
    throw wrong('what is no JSON');
  }
  const status = fieldsOf(fieldsOf(printed)['status']);
  const read = (field: string): string => {
    const value = status[field] ?? '';
    if (typeof value !== 'string') throw wrong(`a status.${field} that is no text`);
    return value;
  };
  const token = read('token');
  const certPem = read('clientCertificateData');
  const keyPem = read('clientKeyData');
  if (token === '' && certPem === '') throw wrong('neither a token nor a certificate');
  if ((certPem === '') !== (keyPem === '')) throw wrong('half of a certificate and key');
  const expires = read('expirationTimestamp');
  const endsMs = expires === '' ? Infinity : Date.parse(expires);
  if (Number.isNaN(endsMs)) throw wrong('a status.expirationTimestamp that is no time');
  return { token, certPem, keyPem, endsMs };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
