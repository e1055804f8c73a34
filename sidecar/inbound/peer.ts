// What a peer's certificate says: who it is, until when, and how it is told to the application.
import type { X509Certificate } from 'node:crypto';

import { uriNames } from '#runtime/tls/peer-names.ts';

export interface Peer {
  /** Its URI names, whole. */
  readonly identities: readonly string[];
  /** The element of x-forwarded-client-cert, as Envoy writes it with Subject and URI on. */
  readonly forwardedClientCert: string;
  /** ms since 1970. */
  readonly notAfterMs: number;
}

/** @param by own SPIFFE ID */
export function readPeer(certificate: X509Certificate, by: string): Peer {
  const identities = uriNames(certificate.subjectAltName);
  const hash = certificate.fingerprint256.replaceAll(':', '').toLowerCase();
  const uris = identities.map((uri) => `;URI=${quoteWhereNeeded(uri)}`).join('');
  const subject = formatSubject(certificate.subject);
  return {
    identities,
    forwardedClientCert: `By=${by};Hash=${hash};Subject="${subject}"${uris}`,
    notAfterMs: certificate.validToDate.getTime(),
  };
}

/** RFC 2253 order (last first) from Node's lines; undefined for an empty subject. */
function formatSubject(subject: string | undefined): string {
  if (subject === undefined) return '';
  const parts = subject.split('\n').toReversed().join(',');
  return printable(parts).replaceAll(/["\\]/g, '\\$&');
}

/** Envoy's grammar: a value with a separator of the header in it is quoted. */
function quoteWhereNeeded(value: string): string {
  const text = printable(value);
  return /[,;="]/.test(text) ? `"${text.replaceAll(/["\\]/g, '\\$&')}"` : text;
}

/** Header values are visible ASCII; a certificate may hold anything. */
function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?');
}
