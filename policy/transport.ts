// What a connection must be before any rule is asked: plaintext, mutual TLS, or refused; and then HTTP or TCP.
import type { CompiledPolicies } from './compile.ts';

/** What the hello of a TLS client says. */
export interface Hello {
  /** In the client's order. */
  readonly alpn: readonly string[];
  readonly sni: string;
}

/**
 * `terminate`: mutual TLS, with a certificate of the mesh. `opaque`: somebody else's TLS, relayed as it is, without
 * an identity and judged by the TCP rules.
 */
export type TransportAdmission =
  | { readonly kind: 'plaintext' }
  | { readonly kind: 'terminate' }
  | { readonly kind: 'opaque' }
  | { readonly kind: 'refused'; readonly reason: string; readonly at: string | null };

export type PeerAdmission = { readonly ok: true } | { readonly ok: false; readonly reason: string };

const plaintext: TransportAdmission = { kind: 'plaintext' };
const terminate: TransportAdmission = { kind: 'terminate' };
const opaque: TransportAdmission = { kind: 'opaque' };
const admitted: PeerAdmission = { ok: true };

/** What a client offers that means to speak to a sidecar. */
const meshProtocols = new Set([
  'istio',
  'istio-peer-exchange',
  'istio-http/1.0',
  'istio-http/1.1',
  'istio-h2',
]);

/**
 * Judges the first bytes of a connection by the port's PeerAuthentication.
 * @param hello null: the first byte is not that of a TLS record
 */
export function admitTransport(
  policies: CompiledPolicies,
  port: number,
  hello: Hello | null,
): TransportAdmission {
  const { mode, policy, at } = policies.mtls(port);
  if (mode === 'STRICT') {
    if (hello !== null) return terminate;
    const reason = `plaintext to port ${port}, where ${sayerOf(policy)} wants mutual TLS (STRICT)`;
    return { kind: 'refused', reason, at };
  }
  if (hello === null) return plaintext;
  if (mode === 'PERMISSIVE') {
    return hello.alpn.some((name) => meshProtocols.has(name)) ? terminate : opaque;
  }
  if (!isHttp(policies, port)) return opaque;
  const reason = `TLS to HTTP port ${port}, where ${sayerOf(policy)} wants plaintext (DISABLE)`;
  return { kind: 'refused', reason, at };
}

/**
 * Judges the certificate of a peer by its trust domain, which must be the mesh's or an alias of it.
 * @param identities its URI SANs, whole; any one suffices
 */
export function admitPeer(
  policies: CompiledPolicies,
  identities: readonly string[],
): PeerAdmission {
  for (const identity of identities) {
    for (const domain of policies.trustDomains) {
      if (isOfDomain(identity, domain)) return admitted;
    }
  }
  const shown = identities.length === 0 ? 'no SPIFFE ID' : identities.join(', ');
  const domains = policies.trustDomains.join(', ');
  return { ok: false, reason: `the peer has ${shown}; trusted domains are ${domains}` };
}

/**
 * How the bytes of an admitted connection are read.
 * @param alpn what was negotiated, '' for nothing
 * @param firstBytes what the first bytes look like, within TLS if there is any
 */
export function chooseProtocol(
  policies: CompiledPolicies,
  port: number,
  transport: 'plaintext' | 'mtls' | 'opaque',
  alpn: string,
  firstBytes: 'http1' | 'http2' | 'other',
): 'http' | 'tcp' {
  if (transport === 'opaque') return 'tcp';
  if (policies.portProtocol(port) !== 'detect') return isHttp(policies, port) ? 'http' : 'tcp';
  // With mutual TLS the client says what it speaks; Istio does not sniff then.
  if (transport === 'mtls') return alpn.startsWith('istio-h') ? 'http' : 'tcp';
  return firstBytes === 'other' ? 'tcp' : 'http';
}

function isHttp(policies: CompiledPolicies, port: number): boolean {
  const protocol = policies.portProtocol(port);
  return protocol === 'http' || protocol === 'http2' || protocol === 'grpc';
}

function isOfDomain(identity: string, domain: string): boolean {
  const scheme = 'spiffe://';
  return (
    identity.startsWith(scheme) &&
    identity.startsWith(domain, scheme.length) &&
    identity.charCodeAt(scheme.length + domain.length) === 47
  );
}

function sayerOf(policy: string): string {
  return policy === '' ? 'the default' : `PeerAuthentication ${policy}`;
}
