// What the API server says when it refuses: metav1.Status as an error.

export interface KubeErrorFields {
  /** HTTP status. */
  readonly status: number;
  readonly reason: string;
  readonly message: string;
  /** How long the server asks callers to wait; null: it does not say. */
  readonly retryAfterMs?: number | null;
}

export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly status: number;
  /** As in metav1.Status: NotFound, AlreadyExists, Conflict, Expired, Forbidden …; '' where the server says none. */
  readonly reason: string;
  readonly retryAfterMs: number | null;

  constructor(fields: KubeErrorFields) {
    super(fields.message);
    this.status = fields.status;
    this.reason = fields.reason;
    this.retryAfterMs = fields.retryAfterMs ?? null;
  }
}

/**
 * The error that a metav1.Status stands for. A 410 always has the reason Expired: servers say Gone for it as well.
 * @param call for the message: `GET /api/v1/pods`
 * @param status of HTTP; 0: take the code that the body names
 */
export function kubeErrorOf(
  call: string,
  status: number,
  body: unknown,
  retryAfterMs: number | null = null,
): KubeError {
  const fields = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  const told = typeof fields['reason'] === 'string' ? fields['reason'] : '';
  const code = status !== 0 ? status : codeOf(fields['code'], told);
  const reason = code === 410 ? 'Expired' : told || (reasons[code] ?? '');
  const said = typeof fields['message'] === 'string' ? fields['message'] : 'no message';
  const short = said.length > 1000 ? `${said.slice(0, 999)}…` : said;
  const message = `${call}: ${code} ${reason}: ${short}`;
  return new KubeError({ status: code, reason, message, retryAfterMs });
}

function codeOf(code: unknown, reason: string): number {
  if (typeof code === 'number' && Number.isInteger(code) && code > 0) return code;
  return reason === 'Expired' || reason === 'Gone' ? 410 : 500;
}

/** Of proxies before the API server, which answer with no Status. */
const reasons: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};
