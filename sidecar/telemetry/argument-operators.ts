// The access log's operators with an argument: headers, times, CEL and the like.
import type { ArgumentOperator } from '#api/access-log/operators.ts';

import { compileCel } from '../cel/compile.ts';
import { celText } from '../cel/text.ts';
import { grpcStatusOf } from './call-values.ts';
import { answerValues, nothingWanted, trailerLines, type WantedOfAnswers } from './kept-answer.ts';
import type { LogRecord } from './log-record.ts';
import type { Operator } from './plain-operators.ts';
import { environmentVariable } from './settings.ts';
import { compileTimeForm } from './time-form.ts';
import type { WallClock } from './wall-clock.ts';

export interface CompiledOperator {
  readonly read: Operator;
  /** What must be kept of answers. */
  readonly wanted: WantedOfAnswers;
}

type Make = (argument: string, clock: WallClock) => CompiledOperator;

const plain = (read: Operator): CompiledOperator => ({ read, wanted: nothingWanted });

const makeRequestHeader: Make = (argument) => plain(either(argument, requestHeader));
const makeAnswerHeader: Make = (argument) => ({
  read: either(argument, answerHeader),
  wanted: { headers: new Set(namesOf(argument)) },
});
const makeTrailer: Make = (argument) => plain(either(argument, trailer));

/** Typed by the vocabulary, so that nothing that `check` lets pass is missing. */
export const makers: Readonly<Record<ArgumentOperator, Make>> = {
  CEL: (argument) => {
    const { wanted, read } = expression(argument);
    return { wanted, read: (record) => celText(read(record)) };
  },
  TYPED_CEL: (argument) => {
    const { wanted, read } = expression(argument);
    return {
      wanted,
      read: (record) => {
        const value = read(record);
        return typeof value === 'number' ? value : celText(value);
      },
    };
  },
  START_TIME: (argument, clock) => {
    if (argument === '') return plain((record) => clock.text(record.startedAtMs));
    const write = compileTimeForm(argument);
    return plain((record) => write(clock.epochMs(record.startedAtMs)));
  },
  EMIT_TIME: (argument, clock) => {
    const write = compileTimeForm(argument === '' ? '%Y-%m-%dT%H:%M:%S.%3fZ' : argument);
    return plain(() => write(clock.epochMs(performance.now())));
  },
  ENVIRONMENT: (argument) => {
    const value = environmentVariable(argument) || null;
    return plain(() => value);
  },
  GRPC_STATUS: (argument) => plain((record) => grpcStatusText(record, argument)),
  PATH: (argument) => plain(path(argument)),
  QUERY_PARAM: (argument) => plain((record) => parameter(record.path, argument)),
  REQ: makeRequestHeader,
  REQUEST_HEADER: makeRequestHeader,
  REQ_WITHOUT_QUERY: (argument) => {
    const read = either(argument, requestHeader);
    return plain((record) => withoutQuery(read(record)));
  },
  RESP: makeAnswerHeader,
  RESPONSE_HEADER: makeAnswerHeader,
  RESPONSE_TRAILER: makeTrailer,
  TRAILER: makeTrailer,
};

function expression(text: string) {
  const program = compileCel(text);
  return {
    wanted: program.wanted,
    read: ({ exchange, session, refusal }: LogRecord) => {
      const of = exchange ?? session ?? refusal;
      return of === null ? undefined : program.evaluate(of);
    },
  };
}

/** `name` or `name?alternative`. */
function namesOf(argument: string): string[] {
  return argument.toLowerCase().split('?');
}

function either(argument: string, read: (name: string) => Operator): Operator {
  const [first = '', second] = namesOf(argument);
  const one = read(first);
  if (second === undefined) return one;
  const other = read(second);
  return (record) => one(record) ?? other(record);
}

/** Pseudo-headers come from the head's own fields. */
function requestHeader(name: string): Operator {
  switch (name) {
    case ':method':
      return (r) => r.method || null;
    case ':path':
      return (r) => r.path || null;
    case ':authority':
    case 'host':
      return (r) => r.authority || null;
    case ':scheme':
      return (r) => r.exchange?.request.scheme || null;
    case 'x-request-id':
      return (r) => r.requestId || header(r, name);
    case 'x-envoy-original-path':
      // Only a sidecar that rewrote a path sets it, and the head read here is the client's.
      return () => null;
    default:
      return (r) => header(r, name);
  }
}

function header({ exchange }: LogRecord, name: string): string | null {
  return exchange === null ? null : joined(exchange.request.values(name));
}

function answerHeader(name: string): Operator {
  switch (name) {
    case 'x-envoy-upstream-service-time':
      return (r) => (r.serviceTimeMs < 0 ? null : String(Math.round(r.serviceTimeMs)));
    case ':status':
      return (r) => (r.status === 0 ? null : String(r.status));
    default:
      return ({ exchange }) => (exchange === null ? null : joined(answerValues(exchange, name)));
  }
}

function trailer(name: string): Operator {
  return ({ exchange }) => {
    if (exchange === null) return null;
    const lines = trailerLines(exchange).filter(([one]) => one === name);
    return joined(lines.map(([, value]) => value));
  };
}

function joined(values: readonly string[]): string | null {
  return values.length > 1 ? values.join(',') : (values[0] ?? null);
}

function withoutQuery(value: string | number | null): string | number | null {
  return typeof value === 'string' ? (value.split('?', 1)[0] ?? '') : value;
}

/** `WQ` with the query, `NQ` without; there is one path here, original or not. */
function path(argument: string): Operator {
  const [query = 'WQ'] = argument.split(':');
  return (record) => (query === 'NQ' ? withoutQuery(record.path || null) : record.path || null);
}

function parameter(path: string, name: string): string | null {
  const query = path.indexOf('?');
  return query < 0 ? null : new URLSearchParams(path.slice(query + 1)).get(name);
}

const grpcNames = (
  'OK Canceled Unknown InvalidArgument DeadlineExceeded NotFound AlreadyExists PermissionDenied ' +
  'ResourceExhausted FailedPrecondition Aborted OutOfRange Unimplemented Internal Unavailable ' +
  'DataLoss Unauthenticated'
).split(' ');

/** Of calls of gRPC alone. */
function grpcStatusText({ exchange }: LogRecord, form: string): string | number | null {
  const type = exchange?.request.values('content-type')[0] ?? '';
  if (exchange === null || !type.startsWith('application/grpc')) return null;
  const status = grpcStatusOf(exchange);
  const name = status === null ? undefined : grpcNames[status];
  if (form === 'NUMBER' || name === undefined) return status;
  return form === 'SNAKE_STRING' ? snakeCase(name) : name;
}

function snakeCase(name: string): string {
  return name === 'OK' ? name : name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();
}
