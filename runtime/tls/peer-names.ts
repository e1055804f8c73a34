// The URIs of a peer's certificate, read so that no odd name can be taken for two.
import type { X509Certificate } from 'node:crypto';

/**
 * Every URI in a certificate's subject alternative names, in order.
 * @param names `subjectAltName` of X509Certificate or `subjectaltname` of a PeerCertificate: Node writes
 *   `URI:spiffe://a/b, DNS:"odd, name"`, a name with special characters as a JSON string.
 */
export function uriNames(names: string | undefined): string[] {
  const uris: string[] = [];
  const entry = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;
  const text = names ?? '';
  while (entry.lastIndex < text.length) {
    const match = entry.exec(text);
    // Not as Node writes it: trust none of it.
    if (match === null) return [];
    const [, kind = '', value = ''] = match;
    if (kind !== 'URI') continue;
    const uri = value.startsWith('"') ? unquote(value) : value;
    if (uri === null) return [];
    uris.push(uri);
  }
  return uris;
}

/** The one URI of an X.509-SVID; '' where there is none or more than one (SPIFFE X509-SVID section 2). */
export function svidUri(certificate: X509Certificate | undefined): string {
  const uris = uriNames(certificate?.subjectAltName);
  return uris.length === 1 ? (uris[0] ?? '') : '';
}

function unquote(text: string): string | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' ? value : null;
  } catch {
    return null;
  }
}
