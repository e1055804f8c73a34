// Certificates of a PEM text, as far as the doctor asks: which they are, and when they end.
import { X509Certificate } from 'node:crypto';

export interface PemCertificate {
  readonly fingerprint: string;
  readonly subject: string;
  readonly endsMs: number;
}

const block = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** Blocks that are no certificate are left out: whoever serves them has other worries. */
export function certificatesOf(pem: string): PemCertificate[] {
  return [...pem.matchAll(block)].flatMap(([text]) => {
    try {
      const { fingerprint256: fingerprint, subject, validToDate } = new X509Certificate(text);
      return [{ fingerprint, subject, endsMs: validToDate.getTime() }];
    } catch {
      return [];
    }
  });
}

/** The same certificates, in whatever order. */
export function isSameBundle(a: string, b: string): boolean {
  const [left, right] = [a, b].map(
    (pem) => new Set(certificatesOf(pem).map(({ fingerprint }) => fingerprint)),
  );
  return left !== undefined && right !== undefined && left.symmetricDifference(right).size === 0;
}
