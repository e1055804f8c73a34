// The command operators of Envoy's access log, each as a function from a record to a value.
import type { LogRecord } from './log-record.ts';
import type { WallClock } from './wall-clock.ts';

export type Operator = (record: LogRecord) => string | number | null;

/**
 * The operator named between two `%`: `PROTOCOL`, `REQ(X-ENVOY-ORIGINAL-PATH?:PATH):80`.
 * Null when there is none of that name. A value of null is written `-`, in JSON `null`.
 */
export function operator(text: string, clock: WallClock): Operator | null {
  const match = /^([A-Z_]+)(?:\(([^()]*)\))?(?::(\d+))?$/.exec(text);
  if (match === null) return null;
  const [, name = '', argument, length] = match;
  const made = makeOperator(name, argument, clock);
  return made !== null && length !== undefined ? cut(made, Number(length)) : made;
}

function makeOperator(
  name: string,
  argument: string | undefined,
  clock: WallClock,
): Operator | null {
  if (name === 'START_TIME') return (record) => clock.text(record.startedAtMs);
  if (argument === undefined) return plain[name] ?? null;
  if (name === 'REQ') return requestHeader(argument.toLowerCase());
  if (name === 'RESP' && argument.toLowerCase() === 'x-envoy-upstream-service-time') {
    return (r) => (r.serviceTimeMs < 0 ? null : String(Math.round(r.serviceTimeMs)));
  }
  // Other response headers are gone when the line is written; Envoy writes `-` for absent ones.
  return name === 'RESP' || name === 'TRAILER' ? () => null : null;
}

const none: Operator = () => null;

const plain: Readonly<Record<string, Operator>> = {
  PROTOCOL: (r) => r.protocol || null,
  RESPONSE_CODE: (r) => r.status,
  RESPONSE_FLAGS: (r) => r.flags,
  // Envoy writes blanks in details as underscores, so that the field stays one word.
  RESPONSE_CODE_DETAILS: (r) => (r.details === '' ? null : underscored(r.details)),
  CONNECTION_TERMINATION_DETAILS: (r) =>
    r.terminationDetails === '' ? null : underscored(r.terminationDetails),
  UPSTREAM_TRANSPORT_FAILURE_REASON: (r) => r.transportFailure || null,
  BYTES_RECEIVED: (r) => r.receivedBytes,
  BYTES_SENT: (r) => r.sentBytes,
  DURATION: (r) => Math.round(r.durationMs),
  UPSTREAM_HOST: (r) => r.upstreamAddress || null,
  UPSTREAM_CLUSTER: (r) => r.upstreamCluster || null,
  UPSTREAM_CLUSTER_RAW: (r) => r.upstreamCluster || null,
  // The pooled socket's own port would cost a look-up for each request and tells nobody anything.
  UPSTREAM_LOCAL_ADDRESS: none,
  DOWNSTREAM_LOCAL_ADDRESS: (r) => r.localAddress,
  DOWNSTREAM_REMOTE_ADDRESS: (r) => r.remoteAddress,
  DOWNSTREAM_PEER_URI_SAN: (r) => r.sourcePrincipal || null,
  REQUESTED_SERVER_NAME: (r) => r.sni || null,
  ROUTE_NAME: (r) => r.routeName || null,
};

/** Whether an operator's text is made here of plain characters, so that it needs no escaping. */
export function isOwnText(text: string): boolean {
  return ownTexts.has(text);
}

const ownTexts: ReadonlySet<string> = new Set([
  'START_TIME',
  'PROTOCOL',
  'RESPONSE_FLAGS',
  'DOWNSTREAM_LOCAL_ADDRESS',
  'DOWNSTREAM_REMOTE_ADDRESS',
  'ROUTE_NAME',
]);

/** `name` or `name?alternative`; pseudo-headers come from the head's own fields. */
function requestHeader(argument: string): Operator {
  const [first = '', second] = argument.split('?');
  const read = oneHeader(first);
  if (second === undefined) return read;
  const alternative = oneHeader(second);
  return (record) => read(record) ?? alternative(record);
}

function oneHeader(name: string): Operator {
  if (name === ':method') return (r) => r.method || null;
  if (name === ':path') return (r) => r.path || null;
  if (name === ':authority') return (r) => r.authority || null;
  if (name === 'x-request-id') return (r) => r.requestId || header(r, name);
  // Only a sidecar that rewrote a path sets it, and the head read here is the client's.
  if (name === 'x-envoy-original-path') return none;
  return (r) => header(r, name);
}

function header(record: LogRecord, name: string): string | null {
  if (record.exchange === null) return null;
  const values = record.exchange.request.values(name);
  return values.length > 1 ? values.join(',') : (values[0] ?? null);
}

function cut(read: Operator, length: number): Operator {
  return (record) => {
    const value = read(record);
    return typeof value === 'string' ? value.slice(0, length) : value;
  };
}

function underscored(text: string): string {
  return text.includes(' ') ? text.replaceAll(' ', '_') : text;
}
