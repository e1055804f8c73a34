// Compiles an access log's format into what writes one line.
import { isLogFormatFault, parseLogFormat, type LogPiece } from '#api/access-log/format.ts';

import { asciiJson, bare, jsonText, quoted } from './escape.ts';
import { nothingWanted, wantedBoth, type WantedOfAnswers } from './kept-answer.ts';
import { compileOperator, isOwnText, type OperatorParts } from './log-operators.ts';
import type { LogRecord } from './log-record.ts';
import type { Operator } from './plain-operators.ts';
import { traceIdOf } from './trace-context.ts';

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
export interface LineWriter {
  readonly write: (record: LogRecord) => string;
  /** What must be kept of answers until the line is written. */
  readonly wanted: WantedOfAnswers;
}

/**
 * Compiles a text format. Each line ends where the format does, whatever stands in its values.
 * @throws Error that names the operator when it is unknown or a `%` is left open
 */
export function compileText(format: string, parts: OperatorParts): LineWriter {
  let inQuotes = false;
  let first = '';
  const steps: TextStep[] = [];
  let wanted = nothingWanted;
  for (const piece of piecesOf(format.endsWith('\n') ? format : `${format}\n`)) {
    if (typeof piece === 'string') {
      const last = steps.at(-1);
      const text = asciiText(piece);
      if (last === undefined) first = text;
      else last.after = text;
      if (piece.split('"').length % 2 === 0) inQuotes = !inQuotes;
    } else {
      const compiled = compileOperator(piece, parts);
      wanted = wantedBoth(wanted, compiled.wanted);
      const escape = isOwnText(piece) ? asItIs : remembered(inQuotes ? quoted : bare);
      steps.push({ read: compiled.read, escape, after: '' });
    }
  }
  return { write: textWriter(first, steps), wanted };
}

interface TextStep {
  readonly read: Operator;
  readonly escape: Escape;
  /** Text up to the next value. */
  after: string;
}

function textWriter(first: string, steps: readonly TextStep[]): LineWriter['write'] {
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

/** Compiles a JSON format: key -> text. A value that is one operator keeps its type. */
export function compileFields(
  format: Readonly<Record<string, string>>,
  parts: OperatorParts,
): LineWriter {
  const { write, wanted } = compileObject(format, parts);
  return { write: (record) => `${write(record)}}\n`, wanted };
}

/** Istio's keys. Ours follow: trace_id, id, source_principal, why, policy, rule, at, nearest. */
export function compileJson(parts: OperatorParts): LineWriter {
  const { write, wanted } = compileObject(istioJsonFormat, parts);
  const principalText = remembered(jsonText);
  return {
    wanted,
    write(record) {
      let line = write(record);
      const trace = traceIdOf(record);
      const { sourcePrincipal, id } = record;
      line += trace === '' ? ',"trace_id":null' : `,"trace_id":"${trace}"`;
      line += id === '' ? ',"id":null' : `,"id":"${id}"`;
      line += ',"source_principal":';
      line += sourcePrincipal === '' ? 'null' : principalText(sourcePrincipal);
      return `${line}${parts.reason(record).json}}\n`;
    },
  };
}

type Escape = (value: string) => string;

/** Without the brace that closes it. */
function compileObject(format: Readonly<Record<string, string>>, parts: OperatorParts): LineWriter {
  let wanted = nothingWanted;
  const steps = Object.entries(format).map(([key, text], index) => {
    const { read, escape, wanted: ofValue } = compileValue(text, parts);
    wanted = wantedBoth(wanted, ofValue);
    return { before: `${index === 0 ? '{' : ','}${asciiJson(key)}:`, read, escape };
  });
  const write = (record: LogRecord): string => {
    let line = steps.length === 0 ? '{' : '';
    for (const { before, read, escape } of steps) {
      const value = read(record);
      line += before;
      if (value === null) line += 'null';
      else line += typeof value === 'number' ? value : escape(value);
    }
    return line;
  };
  return { write, wanted };
}

interface CompiledValue {
  readonly read: Operator;
  readonly escape: Escape;
  readonly wanted: WantedOfAnswers;
}

function compileValue(text: string, parts: OperatorParts): CompiledValue {
  const pieces = piecesOf(text);
  const [only] = pieces;
  if (pieces.length === 1 && typeof only === 'object') {
    const escape = isOwnText(only) ? plainJson : remembered(jsonText);
    return { ...compileOperator(only, parts), escape };
  }
  const steps = pieces.map((piece) =>
    typeof piece === 'string' ? piece : compileOperator(piece, parts),
  );
  const wanted = steps.reduce(
    (all, step) => (typeof step === 'string' ? all : wantedBoth(all, step.wanted)),
    nothingWanted,
  );
  const read: Operator = (record) =>
    steps.map((step) => (typeof step === 'string' ? step : (step.read(record) ?? '-'))).join('');
  return { read, escape: remembered(jsonText), wanted };
}

/** @throws Error */
function piecesOf(format: string): readonly LogPiece[] {
  const pieces = parseLogFormat(format);
  if (!isLogFormatFault(pieces)) return pieces;
  throw new Error(`access log format, character ${pieces.at + 1}: ${pieces.fault}`);
}

/** Lines are bytes of ASCII, so that a character is a byte; what a format itself says is its author's. */
function asciiText(text: string): string {
  return text.replace(/[^\x20-\x7e\n\t]/g, (char) =>
    [...Buffer.from(char)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join(''),
  );
}

/** Most fields of most lines say what they said in the line before: comparing is cheap. */
function remembered(escape: Escape): Escape {
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
