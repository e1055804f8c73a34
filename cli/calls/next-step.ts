// What to do about a call that was refused or failed: one sentence for each failure that a sidecar knows.
import type { CallRecord } from '#api/call-record.ts';
import { type FailureCode, failures } from '#sidecar/failures.ts';

/** Besides the failures of requests: connections that came to none, and what no ALLOW rule admits. */
type OtherCode =
  | 'plaintext-refused'
  | 'handshake-failed'
  | 'unadmitted'
  | 'endpoint-deaf'
  | 'outside-deaf';

const steps: Readonly<Record<FailureCode | OtherCode, string>> = {
  'plaintext-refused':
    'give the caller a sidecar (label inject: "true"), or let plaintext in by a PeerAuthentication with mode PERMISSIVE',
  'handshake-failed':
    'compare the certificates of both ends: GET /certs of each sidecar; selvage doctor looks for roots that differ',
  malformed:
    'look at what the client sends; a port that carries something else than HTTP is to say so (appProtocol: tcp, or a name tcp-…)',
  'head-too-large': 'send fewer or shorter headers; cookies are the usual reason',
  'body-too-large':
    'send less at once, or let the resource that reads bodies take more (its body limit)',
  'body-unreadable':
    'compare the body with what the Transformation expects, and with its content-type',
  'answer-unreadable': 'compare what the application answers with what the Transformation expects',
  'not-cached': 'ask without Cache-Control: only-if-cached, so that the application may answer',
  'filter-failed':
    "look at the log of the callee's sidecar for what the filter threw, or whether it was late",
  'path-refused': 'send a path without encoded NUL, and without what climbs above the root',
  'host-missing': 'send a Host header (:authority in HTTP/2)',
  'version-unsupported': 'speak HTTP/1.1 or HTTP/2',
  'upgrade-refused': 'upgrade to websocket only; other protocols need a port that carries tcp',
  'target-refused': "ask by the path alone, or through the caller's own sidecar",
  denied:
    'if the call is right, narrow the rule that denies it; selvage explain tries that before it is applied',
  unadmitted:
    'if the call is right, add what is missing to an ALLOW policy; selvage explain tries that before it is applied',
  'authorizer-denied': 'ask the authorizer why: its log has this call',
  'authorizer-failed':
    'see that the authorizer runs and answers; what happens without it is failOpen of its provider',
  'token-refused':
    'send a token of an issuer that a RequestAuthentication names, not expired, whole, as Authorization: Bearer',
  'audience-refused': "have the token issued for one of the rule's audiences",
  'keys-unavailable':
    "see that the issuer's jwksUri can be reached from control: selvage doctor, and control's log",
  'rate-limited':
    'wait as long as retry-after says, or raise the RateLimit; GET /limits shows how it is used',
  'limiter-failed':
    "see that the Redis of the shared limit runs; what happens without it is the RateLimit's to say",
  'key-refused': 'send a key that the ApiKeyAuthentication knows, in the header that it names',
  'exchange-refused':
    'see what the token endpoint says of the TokenExchange: its client, scope or audience is wrong',
  'exchange-failed': 'see that the token endpoint of the TokenExchange can be reached',
  'route-missing':
    'no service of the mesh has this host: look for a typing error, or declare it (Service, ServiceEntry); a Sidecar resource may hide it',
  'route-unmatched': 'add a route that matches this request, or one without a match at the end',
  'cluster-missing':
    'the route names a service, port or subset that is not there: selvage check finds it',
  'backend-invalid':
    'the route names a backend that is not allowed or not there: look at the status of the HTTPRoute',
  'outside-refused':
    'declare the host by a ServiceEntry, or set outboundTrafficPolicy to ALLOW_ANY',
  'fault-injected': 'a route does this on purpose: take its fault away when the trial is over',
  'endpoint-missing':
    'no pod behind the Service is ready, or all are ejected: kubectl get endpointslices, and selvage status --ejections',
  'upstream-connect':
    'the application does not listen there: look whether it runs, and on which port and address',
  'endpoint-deaf':
    'nothing accepts connections at that endpoint: the pod is starting or gone, or listens on another port',
  'outside-deaf':
    'no service of the mesh has this host, and nothing outside answers: look for a typing error, or declare it (Service, ServiceEntry)',
  'upstream-tls':
    "the callee's sidecar was not who it should be, or speaks no mutual TLS: selvage doctor, and a DestinationRule's tls mode",
  'upstream-reset':
    'the application closed the connection without an answer: look at its log for a crash or a timeout',
  'upstream-stream-reset':
    'the application gave this call up without an answer: look at its log for a crash or a timeout',
  'upstream-refused':
    'the callee is ending or overloaded and took the request not at all: it may be asked again',
  'upstream-malformed':
    'what answers there is no HTTP of the version that is spoken: look at appProtocol or the name of the port',
  'upstream-timeout':
    "the application took longer than the route's timeout: look why, or raise the timeout",
  'connect-timeout':
    'nothing answers at that address: the pod is gone, or a NetworkPolicy drops what is sent there',
  'request-timeout': 'the client did not send its request in time',
  'downstream-gone':
    'the client went away before it had its answer: its own timeout is shorter than this call took',
  overloaded:
    'a limit of connections or requests is used up, or a circuit is open: look at connectionPool of the DestinationRule and at CircuitBreakers',
  draining: 'the pod is ending: call again, another one answers',
  internal: 'this is a fault of the sidecar: its log has the stack; please report it',
};

export function stepAfter(code: FailureCode): string {
  return steps[code];
}

/** '' where nothing is known to be done. */
export function nextStep(record: CallRecord): string {
  const code = codeOf(record);
  if (code === null) return '';
  const unreached = code === 'upstream-connect' || code === 'connect-timeout';
  if (!unreached || record.reporter === 'inbound') return steps[code];
  if (record.service === '') return steps['outside-deaf'];
  return code === 'upstream-connect' ? steps['endpoint-deaf'] : steps[code];
}

/** What a record says of it: the sentence, else its details, else its flag. */
function codeOf(record: CallRecord): FailureCode | OtherCode | null {
  const { why, details, flags, verdict, method, policy } = record;
  if (details.startsWith('rbac_access_denied') || why.startsWith('denied')) {
    return policy === null ? 'unadmitted' : 'denied';
  }
  const [, told = ''] = /^([a-z-]+): /.exec(why) ?? [];
  if (isCode(told)) return told;
  if (details === 'connection_refused' && method === '') {
    return verdict === 'deny' ? 'plaintext-refused' : 'handshake-failed';
  }
  const known = Object.values(failures);
  const [plain = ''] = details.split('{');
  const found =
    known.find((one) => one.details === details && one.flag === flags) ??
    known.find((one) => one.details === details) ??
    known.find((one) => one.details === plain && one.flag === flags) ??
    known.find((one) => one.flag === flags && flags !== '-');
  return found?.code ?? null;
}

function isCode(text: string): text is FailureCode {
  return Object.hasOwn(failures, text);
}
