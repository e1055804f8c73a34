// Compiles an access-log format into a function that writes one line.
import { asciiJson, bare, jsonText, quoted } from './escape.ts';
import { isOwnText, operator, type Operator } from './log-operators.ts';
import type { LogRecord } from './log-record.ts';
import type { LoggedReason } from './log-reason.ts';
import type { WallClock } from './wall-clock.ts';

/** Istio's default, pilot/pkg/model/telemetry_logging.go. */
export const istioTextFormat =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" ' +
  '%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% ' +
  '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ' +
  '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" ' +
  '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% ' +
  '%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% ' +
  '%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n';

/** Istio's keys, in its order. */
export const istioJsonFormat: Readonly<Record<string, string>> = {
  start_time: '%START_TIME%',
  route_name: '%ROUTE_NAME%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  protocol: '%PROTOCOL%',
  response_code: '%RESPONSE_CODE%',
  response_flags: '%RESPONSE_FLAGS%',
  response_code_details: '%RESPONSE_CODE_DETAILS%',
  connection_termination_details: '%CONNECTION_TERMINATION_DETAILS%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  duration: '%DURATION%',
  upstream_service_time: '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%',
  x_forwarded_for: '%REQ(X-FORWARDED-FOR)%',
  user_agent: '%REQ(USER-AGENT)%',
  request_id: '%REQ(X-REQUEST-ID)%',
  authority: '%REQ(:AUTHORITY)%',
  upstream_host: '%UPSTREAM_HOST%',
  upstream_cluster: '%UPSTREAM_CLUSTER_RAW%',
  upstream_local_address: '%UPSTREAM_LOCAL_ADDRESS%',
  downstream_local_address: '%DOWNSTREAM_LOCAL_ADDRESS%',
  downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%',
  requested_server_name: '%REQUESTED_SERVER_NAME%',
  upstream_transport_failure_reason: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
};

/** Writes one line, newline included, ASCII only. */
export type LineWriter = (record: LogRecord) => string;

/**
 * Compiles a text format.
 * @throws Error that names the operator when it is unknown or a `%` is left open
 */
export function compileText(format: string, clock: WallClock): LineWriter {
  const literals: string[] = [];
  const fields: { read: Operator; escape: (value: string) => string }[] = [];
  const parts = format.split('%');
  if (parts.length % 2 === 0) throw new Error(`access log format: a "%" is not closed: ${format}`);
  let inQuotes = false;
  parts.forEach((part, index) => {
    if (index % 2 === 0) {
      literals.push(part);
      if (part.split('"').length % 2 === 0) inQuotes = !inQuotes;
    } else {
      const escape = isOwnText(part) ? asItIs : remembered(inQuotes ? quoted : bare);
      fields.push({ read: known(part, clock), escape });
    }
  });
  const first = literals[0] ?? '';
  const steps = fields.map((field, i) => ({ ...field, after: literals[i + 1] ?? '' }));
  return (record) => {
    let line = first;
    for (const { read, escape, after } of steps) {
      const value = read(record);
      if (value === null) line += '-';
      else line += typeof value === 'number' ? value : escape(value);
      line += after;
    }
    return line;
  };
}

/**
 * Compiles a JSON format: key -> one operator. Ours follow: why, policy, rule, at, nearest,
 * trace_id, id, source_principal.
 */
export function compileJson(
  format: Readonly<Record<string, string>>,
  clock: WallClock,
  reason: (record: LogRecord) => LoggedReason,
  traceId: (record: LogRecord) => string,
): LineWriter {
  const principalText = remembered(jsonText);
  const steps = Object.entries(format).map(([key, text], index) => ({
    before: `${index === 0 ? '{' : ','}${asciiJson(key)}:`,
    read: known(text.slice(1, -1), clock),
    escape: isOwnText(text.slice(1, -1)) ? plainJson : remembered(jsonText),
  }));
  return (record) => {
    let line = '';
    for (const { before, read, escape } of steps) {
      const value = read(record);
      line += before;
      if (value === null) line += 'null';
      else line += typeof value === 'number' ? value : escape(value);
    }
    const trace = traceId(record);
    const { sourcePrincipal, id } = record;
    line += trace === '' ? ',"trace_id":null' : `,"trace_id":"${trace}"`;
    line += id === '' ? ',"id":null' : `,"id":"${id}"`;
    line += ',"source_principal":';
    line += sourcePrincipal === '' ? 'null' : principalText(sourcePrincipal);
    return `${line}${reason(record).json}}\n`;
  };
}

/** Most fields of most lines say what they said in the line before: comparing is cheap. */
function remembered(escape: (value: string) => string): (value: string) => string {
  let last = '';
  let lastEscaped = escape('');
  return (value) => {
    if (value === last) return lastEscaped;
    last = value;
    lastEscaped = escape(value);
    return lastEscaped;
  };
}

function asItIs(value: string): string {
  return value;
}

function plainJson(value: string): string {
  return `"${value}"`;
}

function known(text: string, clock: WallClock): Operator {
  const read = operator(text, clock);
  if (read === null) throw new Error(`access log format: no operator %${text}%`);
  return read;
}
