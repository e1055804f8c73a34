// The last certificate on disk with its key, so that a process that restarts while the CA is away goes on with it.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { writeFileAtomically } from '../atomic-file.ts';
import type { Log } from '../log.ts';
import { checkSvid } from './svid-check.ts';
import type { Svid } from './svid.ts';

export interface SvidDiskOptions {
  /** Made when it is not there; only for its owner where it is made. */
  readonly folder: string;
  /** In the folder. */
  readonly name: string;
  /** Whether a SPIFFE ID is the one that this process is to have. */
  readonly fits: (identity: string) => boolean;
  readonly log: Log;
}

export interface StoredSvid {
  readonly svid: Svid;
  readonly serial: string;
}

export class SvidDisk {
  readonly #path: string;
  readonly #options: SvidDiskOptions;
  #latest: Svid | null = null;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: SvidDiskOptions) {
    this.#options = options;
    this.#path = join(options.folder, options.name);
  }

  /** The stored certificate; null when there is none or none that may be used (then with a log line). Never rejects. */
  async load(nowMs: number): Promise<StoredSvid | null> {
    const { log, fits } = this.#options;
    try {
      const text = await readFile(this.#path, 'utf8');
      return parseStored(text, fits, nowMs);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      // Only the message: a parser's error may hold what it parsed.
      const reason = error instanceof Error ? error.message : 'unknown';
      log.warn({ file: this.#path, reason }, 'the stored certificate is not used');
      return null;
    }
  }

  /** Stores it soon. Never throws: a full disk must not touch traffic. */
  save(svid: Svid): void {
    const idle = this.#latest === null;
    this.#latest = svid;
    if (idle) this.#writing = this.#writing.then(() => this.#write());
  }

  /** Resolves when what was given to `save` is on disk or has failed (logged). */
  settled(): Promise<void> {
    return this.#writing;
  }

  async #write(): Promise<void> {
    const svid = this.#latest;
    this.#latest = null;
    if (svid === null) return;
    try {
      await mkdir(this.#options.folder, { recursive: true, mode: 0o700 });
      const { keyPem, chainPem, trustBundlePem, identity } = svid;
      const text = JSON.stringify({ version: 1, identity, keyPem, chainPem, trustBundlePem });
      await writeFileAtomically(this.#path, `${text}\n`, { mode: 0o600 });
    } catch (error) {
      this.#options.log.warn(
        { file: this.#path, error },
        'the certificate could not be stored; a restart needs the CA',
      );
    }
  }
}

/** Throws where it may not be used. Messages never quote the text, which has the key. */
export function parseStored(
  text: string,
  fits: (identity: string) => boolean,
  nowMs: number,
): StoredSvid {
  const { version, identity, keyPem, chainPem, trustBundlePem } = parseObject(text);
  if (
    version !== 1 ||
    typeof identity !== 'string' ||
    typeof keyPem !== 'string' ||
    typeof chainPem !== 'string' ||
    typeof trustBundlePem !== 'string'
  ) {
    throw new Error('it has not the shape of one');
  }
  if (!fits(identity)) throw new Error(`it is that of ${identity.slice(0, 300)}`);
  const reply = { chain: chainPem, trustBundle: trustBundlePem, identity, notAfter: '' };
  const stored = checkSvid(reply, createPrivateKey(keyPem), keyPem, nowMs);
  if (new X509Certificate(chainPem).validFromDate.getTime() > nowMs) {
    throw new Error('it is not valid yet: the clock of this machine has gone back');
  }
  return stored;
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return { ...value };
  } catch {
    // Its message would quote the text.
  }
  throw new Error('it is no JSON object');
}
