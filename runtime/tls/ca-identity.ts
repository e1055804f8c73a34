// The certificate of a process of the mesh: signed by the CA for the service account that its token proves.
import { readFile } from 'node:fs/promises';

import { requestJson } from '../h2-json.ts';
import type { Log } from '../log.ts';
import { SvidSource, type SignedChain } from './svid.ts';

export interface IdentityOptions {
  /** https URL of the CA. */
  readonly ca: URL;
  /** Read at each signing: Kubernetes replaces projected tokens. */
  readonly tokenFile: string;
  /** PEM; trusted until the CA has said which roots there are now. Roots that come into it count at once. */
  readonly trustBundleFile: string;
  readonly log: Log;
}

const callTimeoutMs = 10_000;

/** The source of the certificate, not started. */
export function createIdentity(options: IdentityOptions): SvidSource {
  const { ca, tokenFile, trustBundleFile, log } = options;
  let bundle: string | null = null;
  const call = async (
    path: string,
    body: { readonly csr: string } | undefined,
    bearer: string | undefined,
  ): Promise<unknown> => {
    const reply = await requestJson({
      url: new URL(path, ca),
      method: body === undefined ? 'GET' : 'POST',
      body,
      bearer,
      ca: bundle ?? (await readFile(trustBundleFile, 'utf8')),
      timeoutMs: callTimeoutMs,
    });
    if (reply.status === 200) return reply.body;
    throw new Error(`the CA refuses (${reply.status}): ${messageOf(reply.body)}`);
  };
  const source = new SvidSource({
    sign: async (csr) => {
      const token = (await readFile(tokenFile, 'utf8')).trim();
      return asSignedChain(await call('/v1/certificates', { csr }, token));
    },
    fetchBundle: async () => {
      const text = await call('/v1/trust-bundle', undefined, undefined);
      if (typeof text !== 'string') throw new Error('the trust bundle is no text');
      return text;
    },
    bundleFile: trustBundleFile,
    log,
  });
  source.onChange((svid) => {
    bundle = svid.trustBundlePem;
  });
  return source;
}

function asSignedChain(body: unknown): SignedChain {
  if (typeof body === 'object' && body !== null) {
    const { chain, trustBundle, identity, notAfter } = body as Record<string, unknown>;
    if (
      typeof chain === 'string' &&
      typeof trustBundle === 'string' &&
      typeof identity === 'string' &&
      typeof notAfter === 'string'
    ) {
      return { chain, trustBundle, identity, notAfter };
    }
  }
  throw new Error("the CA's reply has another shape than a signed certificate");
}

function messageOf(body: unknown): string {
  if (typeof body === 'object' && body !== null && 'message' in body) return String(body.message);
  return 'no reason given';
}
