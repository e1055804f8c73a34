// What a client gets for a request head that no policy ever sees: status, details, and a word of why.
import type { RequestRefusal } from '../request.ts';
import type { RecordedCall } from './call.ts';

export interface HeadRefusal {
  readonly decision: 'badrequest' | 'deny' | 'other';
  readonly status: number;
  /** Envoy's response code details. */
  readonly details: string;
  readonly reason: string;
}

const refusals: Readonly<Record<RequestRefusal, HeadRefusal>> = {
  malformed: {
    decision: 'badrequest',
    status: 400,
    details: 'http1.codec_error',
    reason: 'the request line is malformed: methods are upper-case, targets begin with "/"',
  },
  'path-refused': {
    decision: 'badrequest',
    status: 400,
    details: 'path_normalization_failed',
    reason: 'the path cannot be normalised (it holds %00)',
  },
  'host-missing': {
    decision: 'badrequest',
    status: 400,
    details: 'missing_host_header',
    reason: 'the request names no host',
  },
  'version-unsupported': {
    decision: 'other',
    status: 426,
    details: 'low_version',
    reason: 'HTTP/1.0 is not served',
  },
  'upgrade-refused': {
    decision: 'deny',
    status: 403,
    details: 'upgrade_failed',
    reason: 'the request asks for an upgrade to something other than websocket',
  },
  'target-refused': {
    decision: 'other',
    status: 404,
    details: 'absolute_path_rejected',
    reason: 'the target "*" has no route',
  },
};

/** The answer to a refused head. */
export function refusalOf(code: RequestRefusal, call: RecordedCall): HeadRefusal {
  const refusal: HeadRefusal = refusals[code];
  if (code !== 'malformed' || !hasUnroutableTarget(call)) return refusal;
  return { ...refusal, details: 'http1.invalid_url' };
}

/** `GET *`: well-formed, but only OPTIONS may ask for the server itself (RFC 9112, section 3.2.4). */
function hasUnroutableTarget(call: RecordedCall): boolean {
  const { method = 'GET', path = '/' } = call;
  return path.startsWith('*') && method === method.toUpperCase();
}
