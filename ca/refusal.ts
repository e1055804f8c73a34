// Every refusal of the CA: one table, code -> HTTP status. A layer throws it, api.ts answers with it.
import type { SigningRefusal } from '#api/signing.ts';

const statuses = Object.freeze({
  'request-malformed': 400,
  'life-refused': 400,
  'csr-malformed': 400,
  'csr-key-weak': 400,
  'csr-key-unsupported': 400,
  'csr-signature-unsupported': 400,
  'csr-signature-invalid': 400,
  'token-missing': 401,
  'token-malformed': 401,
  'token-algorithm': 401,
  'token-signature': 401,
  'token-expired': 401,
  'token-early': 401,
  'token-issuer': 401,
  'token-audience': 401,
  'token-subject': 401,
  'token-refused': 401,
  'token-unbound': 401,
  'csr-identity-other': 403,
  'csr-asks-for-ca': 403,
  'path-unknown': 404,
  'method-refused': 405,
  'request-timeout': 408,
  'body-too-large': 413,
  'csr-too-large': 413,
  'rate-limited': 429,
  internal: 500,
  'issuer-expired': 503,
  'keys-unavailable': 503,
  'audit-unavailable': 503,
});

export type RefusalCode = keyof typeof statuses;

export const refusalCodes = Object.freeze(Object.keys(statuses) as RefusalCode[]);

export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: RefusalCode;
  readonly status: number;
  /** When to come back, for `rate-limited`; 0: the refusal does not depend on time. */
  readonly retryAfterMs: number;

  /** @param message one sentence that says what is wrong and what is wanted; the caller reads it */
  constructor(code: RefusalCode, message: string, retryAfterMs = 0) {
    super(message);
    this.code = code;
    this.status = statuses[code];
    this.retryAfterMs = retryAfterMs;
  }

  toBody(): SigningRefusal {
    return { code: this.code, message: this.message };
  }
}
