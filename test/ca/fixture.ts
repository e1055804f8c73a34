// A CA in this process on free ports, with its folder and tokens; openssl for everything that an outsider must confirm.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SigningReply, SigningRefusal, SigningRequest } from '#api/signing.ts';
import { startCa, type Ca } from '#ca/app.ts';
import { readCaSettings } from '#ca/settings.ts';
import type { Clock } from '#runtime/clock.ts';
import { requestJson } from '#runtime/h2-json.ts';
import { silentLog, type Log } from '#runtime/log.ts';
import { createKeyAndCsr } from '#runtime/tls/csr.ts';
import { createTokenMaker, type TokenMaker } from './tokens.ts';

export interface TestCa {
  readonly ca: Ca;
  readonly folder: string;
  readonly tokens: TokenMaker;
  readonly auditFile: string;
  bundle(): Promise<string>;
  sign(options?: SignOptions): Promise<{ status: number; body: SigningReply & SigningRefusal }>;
  admin(method: 'GET' | 'POST', path: string): Promise<{ status: number; text: string }>;
  close(): Promise<void>;
}

interface SignOptions {
  readonly token?: string;
  readonly csr?: string;
  readonly lifeSeconds?: number;
}

export interface StartOptions {
  readonly env?: Record<string, string>;
  readonly folder?: string;
  readonly tokens?: TokenMaker;
  readonly clock?: Clock;
  readonly log?: Log;
}

export async function startTestCa(options: StartOptions = {}): Promise<TestCa> {
  const folder = options.folder ?? temporaryFolder();
  const tokens = options.tokens ?? (await createTokenMaker());
  const env = environment(folder, options.env);
  await tokens.writeJwks(env['SELVAGE_CA_JWKS_FILE'] ?? '');
  const settings = readCaSettings(env);
  const ca = await startCa(settings, options.log ?? silentLog, options.clock);
  const url = `https://localhost:${ca.port}`;
  const state = join(folder, 'state');
  const bundle = () => readFile(join(state, 'trust-bundle.pem'), 'utf8');
  return {
    ca,
    folder,
    tokens,
    auditFile: join(folder, 'audit.jsonl'),
    bundle,
    async sign({ token, csr = createKeyAndCsr().csrPem, lifeSeconds } = {}) {
      const reply = await requestJson({
        url: `${url}/v1/certificates`,
        method: 'POST',
        body: { csr, lifeSeconds } satisfies SigningRequest,
        bearer: token ?? (await tokens.make()),
        ca: await bundle(),
        timeoutMs: 5000,
      });
      return { status: reply.status, body: reply.body as SigningReply & SigningRefusal };
    },
    async admin(method, path) {
      const reply = await fetch(`http://127.0.0.1:${ca.adminPort}${path}`, { method });
      return { status: reply.status, text: await reply.text() };
    },
    async close() {
      await ca.close();
      if (options.folder === undefined) rmSync(folder, { recursive: true });
    },
  };
}

export function environment(
  folder: string,
  more: Record<string, string> = {},
): Record<string, string> {
  return {
    SELVAGE_CA_LISTEN: '127.0.0.1:0',
    SELVAGE_CA_ADMIN: '127.0.0.1:0',
    SELVAGE_CA_DIR: join(folder, 'state'),
    SELVAGE_CA_JWKS_FILE: join(folder, 'jwks.json'),
    SELVAGE_CA_AUDIT_FILE: join(folder, 'audit.jsonl'),
    SELVAGE_DRAIN_TIMEOUT_MS: '200',
    ...more,
  };
}

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'selvage-ca-'));
}

/** Runs openssl and gives its output; throws with what it said when it fails. */
export function openssl(...args: string[]): string {
  return execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** As a strict outsider: does this chain lead to a root of the bundle, for this purpose? Throws when not. */
export function verifyChain(chain: string, bundle: string, purpose: string): string {
  const folder = temporaryFolder();
  try {
    const [leaf = '', ...rest] = chain.split(/(?<=-----END CERTIFICATE-----\n)/);
    writeFileSync(join(folder, 'leaf'), leaf);
    writeFileSync(join(folder, 'rest'), rest.join(''));
    writeFileSync(join(folder, 'roots'), bundle);
    const untrusted = rest.length > 0 ? ['-untrusted', join(folder, 'rest')] : [];
    return openssl(
      'verify',
      '-x509_strict',
      '-no-CApath',
      '-no-CAstore',
      '-purpose',
      purpose,
      '-CAfile',
      join(folder, 'roots'),
      ...untrusted,
      join(folder, 'leaf'),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}
