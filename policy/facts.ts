// What a verdict may depend on: facts of the connection and of the request, as the sidecar saw them.

/** Known once a connection is accepted (plaintext) or its handshake is done. */
export interface ConnectionFacts {
  /** The peer proved a certificate that our trust bundle verifies. */
  readonly mtls: boolean;
  /** Every URI SAN of the peer's certificate, whole (`spiffe://…`); empty without mutual TLS. */
  readonly identities: readonly string[];
  /** The TCP peer, textual IPv4 or IPv6. */
  readonly sourceIp: string;
  /** The original destination. */
  readonly destinationIp: string;
  /** The workload's own port, whatever the listener's is. */
  readonly destinationPort: number;
  /** Lower-cased server name of the TLS hello; '' on plaintext. */
  readonly sni: string;
}

/** A verified JSON web token. */
export interface TokenFacts {
  readonly issuer: string;
  readonly subject: string;
  readonly payload: Readonly<Record<string, unknown>>;
  /** Claims split at blanks beside `scope` and `permission`. */
  readonly spaceDelimitedClaims: readonly string[];
}

/** Known once a request head is read, admitted and authenticated. */
export interface RequestFacts {
  readonly method: string;
  /** Normalised, query included, fragment gone: what Envoy calls `:path`. */
  readonly path: string;
  /** As sent, port included: what Envoy calls `:authority`. */
  readonly authority: string;
  readonly scheme: string;
  readonly token: TokenFacts | null;
  /**
   * The values of each line of a header, trimmed, in order; empty when absent.
   * @param name lower-case
   */
  values(name: string): readonly string[];
}
