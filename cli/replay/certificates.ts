// Certificates for a replay: an issuer of its own, and a key and certificate for each recorded identity.
import { generateKeyPairSync } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';

import { createSelfSignedIssuer, type Issuer } from '#ca/issuer.ts';
import { dnsName, signNamed, uriName } from '#ca/leaf.ts';
import { element, oid, sequence, tags } from '#runtime/tls/der.ts';

/** A key and what certifies it, PEM. */
export interface Credentials {
  readonly key: string;
  readonly cert: string;
  /** The roots of the mesh. */
  readonly ca: string;
}

const lifeMs = 24 * 3_600_000;
/** As the mesh's own CA does, for clocks that differ. */
const backdateMs = 120_000;

/**
 * Signs for any identity, also for those of other trust domains: what a sidecar's trust bundle verifies is not for
 * that one it lets in.
 */
export class Certificates {
  readonly #issuer: Issuer;
  readonly #contexts = new Map<string, SecureContext>();

  constructor(issuer: Issuer) {
    this.#issuer = issuer;
  }

  get rootPem(): string {
    return this.#issuer.rootPem;
  }

  /** A new key, certified. @param identity as recorded: `td/ns/x/sa/y`, several joined by commas, `dns:`, `cn:`, `uri:` */
  issue(identity: string): Credentials {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const nowMs = Date.now();
    const key = {
      publicKeyInfo: publicKey.export({ type: 'spki', format: 'der' }),
      notBeforeMs: nowMs - backdateMs,
      notAfterMs: nowMs + lifeMs,
    };
    const { pem } = signNamed(this.#issuer, key, namesOf(identity));
    return {
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      cert: pem,
      ca: this.rootPem,
    };
  }

  /** What a client of that identity uses; made once for each. @param identity also `none`: no certificate */
  clientContext(identity: string): SecureContext {
    const known = this.#contexts.get(identity);
    if (known !== undefined) return known;
    const credentials = identity === 'none' ? { ca: this.rootPem } : this.issue(identity);
    const context = createSecureContext({ ...credentials, minVersion: 'TLSv1.2' });
    this.#contexts.set(identity, context);
    return context;
  }
}

/** Makes the issuer, whose root is the trust bundle of all. */
export async function createCertificates(): Promise<Certificates> {
  return new Certificates(await createSelfSignedIssuer('cluster.local', lifeMs, Date.now()));
}

function namesOf(identity: string): { subject: Buffer; alternative: Buffer[] } {
  let subject = sequence();
  const alternative: Buffer[] = [];
  for (const name of identity.split(',')) {
    if (name.startsWith('cn:')) subject = commonName(name.slice(3));
    else if (name.startsWith('dns:')) alternative.push(dnsName(name.slice(4)));
    else alternative.push(uriName(name.startsWith('uri:') ? name.slice(4) : `spiffe://${name}`));
  }
  return { subject, alternative };
}

function commonName(text: string): Buffer {
  const value = element(tags.utf8String, Buffer.from(text, 'utf8'));
  return sequence(element(tags.set, sequence(oid('2.5.4.3'), value)));
}
