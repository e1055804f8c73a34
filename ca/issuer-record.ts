// From an issuer to its record in the state, and the bridge from the issuer before it.
import { splitPem, type Issuer } from './issuer.ts';
import type { IssuerRecord } from './rotation.ts';
import { crossSign, readCertificate } from './x509.ts';

/**
 * The new root certified by the old issuer, and that one's way to its own root; '' where it would lead nowhere: the
 * root stays the same, or the old issuer may not have so many CAs below it.
 */
export async function bridge(next: Issuer, old: Issuer): Promise<string> {
  if (old.rootPem === next.rootPem) return '';
  const { pathLength } = readCertificate(old.certificatePem);
  const below = 1 + splitPem(next.intermediatesPem).length;
  if (pathLength !== null && pathLength < below) return '';
  const crossPem = await crossSign(next.rootPem, old.certificatePem, old.key);
  return crossPem + old.intermediatesPem;
}

/** A new issuer as it enters the state: published. */
export function toRecord(
  issuer: Issuer,
  origin: IssuerRecord['origin'],
  nowMs: number,
  leafLifeMs: number,
): IssuerRecord {
  return {
    id: issuer.id,
    origin,
    role: 'published',
    certificatePem: issuer.certificatePem,
    intermediatesPem: issuer.intermediatesPem,
    rootPem: issuer.rootPem,
    keyPem: origin === 'plugged' ? '' : issuer.keyPem,
    crossPem: '',
    publishedAtMs: nowMs,
    signingAtMs: 0,
    rootNotAfterMs: readCertificate(issuer.rootPem).notAfterMs,
    leafLifeMs,
    leavesEndMs: 0,
  };
}
