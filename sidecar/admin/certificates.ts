// The certificates of a sidecar, for people: who, until when, signed by whom. Never a key.
import { X509Certificate } from 'node:crypto';

import { uriNames } from '#runtime/tls/peer-names.ts';
import type { Svid } from '#runtime/tls/svid.ts';

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const dayMs = 86_400_000;

/** @param nowMs since 1970, for the days that are left */
export function describeCertificates(svid: Svid, nowMs: number): unknown {
  return {
    identity: svid.identity,
    chain: describeAll(svid.chainPem, nowMs),
    trustBundle: describeAll(svid.trustBundlePem, nowMs),
  };
}

function describeAll(pem: string, nowMs: number): unknown[] {
  return [...pem.matchAll(PEM)].map(([text]) => {
    const certificate = new X509Certificate(text);
    const notAfterMs = certificate.validToDate.getTime();
    return {
      uris: uriNames(certificate.subjectAltName),
      subject: certificate.subject ?? '',
      issuer: certificate.issuer,
      serial: certificate.serialNumber.toLowerCase(),
      notBefore: certificate.validFromDate.toISOString(),
      notAfter: certificate.validToDate.toISOString(),
      daysLeft: Math.floor(((notAfterMs - nowMs) / dayMs) * 100) / 100,
    };
  });
}
