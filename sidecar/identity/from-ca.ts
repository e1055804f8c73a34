// The workload's certificate from the CA: proves the service account by its token.
import { readFile } from 'node:fs/promises';

import { parseSpiffeId } from '#api/spiffe.ts';
import { requestJson } from '#runtime/h2-json.ts';
import type { Log } from '#runtime/log.ts';
import { SvidDisk } from '#runtime/tls/svid-disk.ts';
import { SvidSource, type SignedChain } from '#runtime/tls/svid.ts';

export interface CaOptions {
  readonly url: URL;
  /** Read anew for each request: the kubelet replaces it before it ends. */
  readonly tokenFile: string;
  /** Roots to trust until the CA has told the present ones; new ones in it count at once. */
  readonly trustBundleFile: string;
  /** What the certificate must be for. */
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Keeps the certificate over a restart; '': nothing does. */
  readonly stateFolder: string;
  readonly log: Log;
}

const requestTimeoutMs = 10_000;

export function createCaIdentity(options: CaOptions): SvidSource {
  // The file may be as old as the pod; the CA has told us of every root since.
  let known = '';
  const source = new SvidSource({
    log: options.log,
    sign: (csrPem) => sign(options, known, csrPem),
    fetchBundle: () => fetchBundle(options, known),
    bundleFile: options.trustBundleFile,
    disk: createDisk(options),
  });
  source.onChange((svid) => {
    known = svid.trustBundlePem;
  });
  return source;
}

function createDisk(options: CaOptions): SvidDisk | undefined {
  const { stateFolder: folder, namespace, serviceAccount, log } = options;
  if (folder === '') return undefined;
  return new SvidDisk({
    folder,
    name: `${namespace}.${serviceAccount}.identity`,
    fits: (identity) => isOurs(identity, options),
    log,
  });
}

/** The trust domain is the CA's to say. */
function isOurs(identity: string, { namespace, serviceAccount }: CaOptions): boolean {
  const id = parseSpiffeId(identity);
  return id?.namespace === namespace && id.serviceAccount === serviceAccount;
}

async function sign(options: CaOptions, known: string, csrPem: string): Promise<SignedChain> {
  const [token, bundle] = await Promise.all([
    readFile(options.tokenFile, 'utf8'),
    readFile(options.trustBundleFile, 'utf8'),
  ]);
  const reply = await requestJson({
    url: new URL('/v1/certificates', options.url),
    method: 'POST',
    body: { csr: csrPem },
    bearer: token.trim(),
    ca: `${bundle}\n${known}`,
    timeoutMs: requestTimeoutMs,
  });
  if (reply.status !== 200 && reply.status !== 201) throw refusalOf(reply.status, reply.body);
  const chain = readReply(reply.body);
  if (!isOurs(chain.identity, options)) {
    const { namespace, serviceAccount } = options;
    throw new Error(
      `the token is that of ${chain.identity}, not of ${namespace}/${serviceAccount}`,
    );
  }
  return chain;
}

async function fetchBundle(options: CaOptions, ca: string): Promise<string> {
  const url = new URL('/v1/trust-bundle', options.url);
  const reply = await requestJson({ url, method: 'GET', ca, timeoutMs: requestTimeoutMs });
  if (reply.status !== 200 || typeof reply.body !== 'string') {
    throw refusalOf(reply.status, reply.body);
  }
  return reply.body;
}

function readReply(body: unknown): SignedChain {
  const { chain, trustBundle, identity, notAfter } = asRecord(body);
  if (
    typeof chain !== 'string' ||
    typeof trustBundle !== 'string' ||
    typeof identity !== 'string' ||
    typeof notAfter !== 'string'
  ) {
    throw new TypeError("the CA's reply has not the shape of one");
  }
  return { chain, trustBundle, identity, notAfter };
}

function refusalOf(status: number, body: unknown): Error {
  const { code, message } = asRecord(body);
  const text = typeof message === 'string' ? message : 'no reason given';
  return new Error(
    `the CA refused (${status}${typeof code === 'string' ? ` ${code}` : ''}): ${text}`,
  );
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
