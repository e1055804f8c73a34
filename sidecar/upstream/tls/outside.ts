// TLS that a policy asks for to services outside the mesh: their names proven, our certificate from files.
import { statSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import {
  checkServerIdentity,
  createSecureContext,
  type PeerCertificate,
  type SecureContext,
} from 'node:tls';

import type { UpstreamTlsPolicy } from '#api/traffic/destination.ts';
import type { Log } from '#runtime/log.ts';
import { uriNames } from '#runtime/tls/peer-names.ts';

export class OutsideTls {
  readonly policy: UpstreamTlsPolicy;
  readonly #log: Log;
  #context: SecureContext | null = null;
  /** Of the files that the context was made of. */
  #stamp = '';

  constructor(policy: UpstreamTlsPolicy, log: Log) {
    this.policy = policy;
    this.#log = log;
  }

  /**
   * Asked for each new connection: files that changed are read again. A broken one leaves the last
   * good context; throws where there was none.
   */
  context(): SecureContext {
    const stamp = stampOf(this.policy);
    if (this.#context !== null && stamp === this.#stamp) return this.#context;
    try {
      this.#context = makeContext(this.policy);
    } catch (error) {
      if (this.#context === null) throw error;
      this.#log.error({ error }, 'TLS files are broken; the last good ones stay in use');
    }
    this.#stamp = stamp;
    return this.#context;
  }

  /**
   * Whether the certificate is that of who was called.
   * @param names of which one must be in it; none: the server name
   */
  check(
    serverName: string,
    names: readonly string[],
    certificate: PeerCertificate,
  ): Error | undefined {
    if (this.policy.skipVerify === true) return undefined;
    if (names.length === 0) return checkServerIdentity(serverName, certificate);
    if (names.some((name) => carries(certificate, name))) return undefined;
    const proven = certificate.subjectaltname ?? 'no name';
    return new Error(`the peer is ${proven}, wanted ${names.join(' or ')}`);
  }
}

/** What `servername` may say: an address is no name (RFC 6066). */
export function sniOf(name: string): string {
  return isIP(name) === 0 ? name : '';
}

function carries(certificate: PeerCertificate, name: string): boolean {
  if (name.includes('://')) return uriNames(certificate.subjectaltname).includes(name);
  return checkServerIdentity(name, certificate) === undefined;
}

function makeContext(policy: UpstreamTlsPolicy): SecureContext {
  const { mode, certificateFile, keyFile, caFile, crlFile } = policy;
  const own = mode === 'mutual';
  return createSecureContext({
    minVersion: 'TLSv1.2',
    ...(own && certificateFile !== undefined && { cert: readFileSync(certificateFile) }),
    ...(own && keyFile !== undefined && { key: readFileSync(keyFile) }),
    ...(caFile !== undefined && { ca: readFileSync(caFile) }),
    ...(crlFile !== undefined && { crl: readFileSync(crlFile) }),
  });
}

/** Changes whenever a file does: mounted Secrets are replaced by renaming a link. */
function stampOf({ certificateFile, keyFile, caFile, crlFile }: UpstreamTlsPolicy): string {
  return [certificateFile, keyFile, caFile, crlFile]
    .map((file) => {
      const stat = file === undefined ? undefined : statSync(file, { throwIfNoEntry: false });
      return stat === undefined ? '' : `${stat.ino} ${stat.size} ${stat.mtimeMs}`;
    })
    .join(' | ');
}
