// The workload's certificate from files, read again when they change: for tests and other issuers.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import type { Log } from '#runtime/log.ts';
import { uriNames } from '#runtime/tls/peer-names.ts';
import type { Svid } from '#runtime/tls/svid.ts';

import type { Identity } from './identity.ts';

export interface FileIdentityOptions {
  readonly certFile: string;
  readonly keyFile: string;
  readonly trustBundleFile: string;
  readonly log: Log;
  /** How often the files are looked at; 5 s where it is left out. */
  readonly everyMs?: number;
}

export class FileIdentity implements Identity {
  readonly #options: FileIdentityOptions;
  readonly #listeners: ((svid: Svid) => void)[] = [];
  #svid: Svid | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: FileIdentityOptions) {
    this.#options = options;
  }

  /** Rejects when the files cannot be used: nothing will mend them. */
  async start(): Promise<void> {
    this.#svid = await readSvid(this.#options);
    this.#timer = setInterval(() => void this.#look(), this.#options.everyMs ?? 5000);
    this.#timer.unref();
  }

  current(): Svid {
    if (this.#svid === null) throw new Error('there is no certificate yet: await start() first');
    return this.#svid;
  }

  onChange(listener: (svid: Svid) => void): void {
    this.#listeners.push(listener);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  /** Files that are being written, or broken ones, leave the present certificate in force. */
  async #look(): Promise<void> {
    const { log, certFile } = this.#options;
    try {
      const next = await readSvid(this.#options);
      const before = this.#svid;
      if (
        before?.chainPem === next.chainPem &&
        before.keyPem === next.keyPem &&
        before.trustBundlePem === next.trustBundlePem
      ) {
        return;
      }
      this.#svid = next;
      for (const listener of this.#listeners) listener(next);
      log.info({ identity: next.identity, certFile }, 'certificate read again');
    } catch (error) {
      log.warn(
        { error, certFile },
        'certificate files cannot be used; the last one stays in force',
      );
    }
  }
}

/** Rejects unless the three files fit together. */
async function readSvid(options: FileIdentityOptions): Promise<Svid> {
  const [chainPem, keyPem, trustBundlePem] = await Promise.all([
    readFile(options.certFile, 'utf8'),
    readFile(options.keyFile, 'utf8'),
    readFile(options.trustBundleFile, 'utf8'),
  ]);
  const leaf = new X509Certificate(chainPem);
  if (!leaf.checkPrivateKey(createPrivateKey(keyPem))) {
    throw new Error(`${options.keyFile} is not the key of ${options.certFile}`);
  }
  const [identity] = uriNames(leaf.subjectAltName);
  if (identity === undefined) throw new Error(`${options.certFile} names no SPIFFE ID`);
  if (!new X509Certificate(trustBundlePem).ca) {
    throw new Error(`${options.trustBundleFile} does not begin with the certificate of a CA`);
  }
  return { chainPem, keyPem, trustBundlePem, identity, notAfterMs: leaf.validToDate.getTime() };
}
