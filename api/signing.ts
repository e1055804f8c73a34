// The messages of certificate signing: POST /v1/certificates, bearer token in `authorization`, JSON both ways.

export interface SigningRequest {
  /** PKCS#10, PEM. Only its key counts; the names come from the proven identity. */
  readonly csr: string;
  /** Asked life in seconds; the CA shortens it to its own limit. */
  readonly lifeSeconds?: number;
}

export interface SigningReply {
  /** Leaf first, then intermediates; PEM. */
  readonly chain: string;
  /** All roots to trust at present, PEM; during rotation old and new. */
  readonly trustBundle: string;
  readonly identity: string;
  /** RFC 3339. */
  readonly notAfter: string;
}

/** Any refusal of the CA: HTTP status 400, 401, 403, 413, 429 or 503 with this body. */
export interface SigningRefusal {
  /** Stable, kebab-case: `csr-malformed`, `token-expired`. */
  readonly code: string;
  readonly message: string;
}

/** `csrBytesMax`: a P-256 request is about 400 bytes. */
export const csrBytesMax = 16 * 1024;
