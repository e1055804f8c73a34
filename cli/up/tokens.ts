// Service-account tokens of a local mesh: what the API server's projected tokens are in Kubernetes.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { exportJWK, generateKeyPair, SignJWT } from 'jose';

/** A token outlives two refreshes, so a process that reads its file late still gets in. */
const tokenLifeSeconds = 3600;
const refreshMs = 1_200_000;

export interface ServiceAccountRef {
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** Signs tokens with a key that lives only in this process, and keeps their files fresh. */
export class LocalTokens {
  readonly jwksFile: string;
  readonly #folder: string;
  readonly #files = new Map<string, ServiceAccountRef>();
  #key: CryptoKey | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(folder: string) {
    this.#folder = folder;
    this.jwksFile = join(folder, 'jwks.json');
  }

  /** Makes the key and writes its public half for the CA. */
  async start(): Promise<void> {
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    this.#key = privateKey;
    const jwk = { ...(await exportJWK(publicKey)), kid: 'local', alg: 'ES256', use: 'sig' };
    await writeFile(this.jwksFile, JSON.stringify({ keys: [jwk] }), { mode: 0o600 });
    this.#timer = setInterval(() => void this.#refresh(), refreshMs).unref();
  }

  /** Path of a file that always holds a valid token of the account. */
  async fileFor(account: ServiceAccountRef): Promise<string> {
    const file = join(this.#folder, `${account.namespace}.${account.serviceAccount}.token`);
    this.#files.set(file, account);
    await this.#write(file, account);
    return file;
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  async #refresh(): Promise<void> {
    for (const [file, account] of this.#files) await this.#write(file, account);
  }

  async #write(file: string, account: ServiceAccountRef): Promise<void> {
    if (this.#key === null) throw new Error('tokens are asked for before start()');
    const token = await new SignJWT({})
      .setProtectedHeader({ alg: 'ES256', kid: 'local' })
      .setIssuer('selvage-local')
      .setAudience('selvage-ca')
      .setSubject(`system:serviceaccount:${account.namespace}:${account.serviceAccount}`)
      .setIssuedAt()
      .setExpirationTime(`${tokenLifeSeconds}s`)
      .sign(this.#key);
    await writeFile(file, token, { mode: 0o600 });
  }
}
