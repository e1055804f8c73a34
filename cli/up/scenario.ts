// Sends calls through the running mesh, as the workloads that make them, and tells what became of each.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';

import type { Io } from '../io.ts';
import { type Cell, paint, table, wrap } from '../table.ts';
import type { LocalPod } from './plan.ts';
import { type RawReply, send } from './send.ts';
import { type AccessLine, deciderOf, resultOf } from './traffic.ts';

/** One call to make for real. */
export interface LiveCall {
  readonly name: string;
  /** `namespace/service-account`, or `none`: plaintext from outside the mesh. */
  readonly from: string;
  /** `namespace/workload`. */
  readonly to: string;
  /** The workload's port; 0: its first. */
  readonly port: number;
  readonly method: string;
  /** Raw, latin-1. */
  readonly path: string;
  /** '' for the Service's own name. */
  readonly host: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** A Service in front of a workload: how callers name it. */
export interface ServiceName {
  readonly host: string;
  readonly port: number;
}

export interface LiveResult {
  readonly call: LiveCall;
  readonly reply: RawReply;
  readonly traceId: string;
  /** The callee's own log line; null when the call never reached it. */
  readonly line: AccessLine | null;
  /** Why it never left, when it could not be sent at all. */
  readonly unsent: string;
}

export interface LiveMesh {
  readonly pods: readonly LocalPod[];
  /** The Service and Service port that lead to a workload's port; null without one. */
  serviceOf(pod: LocalPod, port: number): ServiceName | null;
  /** The log line of the pod's sidecar that `matches`, waited for until the deadline. */
  findLine(pod: LocalPod, matches: (line: AccessLine) => boolean): Promise<AccessLine | null>;
}

const timeoutMs = 10_000;

/** Makes one call and finds out who decided on it. */
export async function sendLive(mesh: LiveMesh, call: LiveCall): Promise<LiveResult> {
  const traceId = randomBytes(16).toString('hex');
  const unsent = (why: string): LiveResult => ({
    call,
    reply: { status: 0, headers: new Map(), body: '', failure: 'unsent', localPort: 0 },
    traceId,
    line: null,
    unsent: why,
  });
  const target = mesh.pods.find((pod) => `${pod.namespace}/${pod.workload}` === call.to);
  const port = target?.ports.find((p) => call.port === 0 || p.port === call.port);
  if (target === undefined || port === undefined) return unsent(`nothing runs as ${call.to}`);
  const service = mesh.serviceOf(target, port.port);
  if (service === null) return unsent(`no Service leads to ${call.to} port ${port.port}`);
  const authority = `${service.host}:${service.port}`;
  const headers = [
    ['host', call.host === '' ? authority : call.host] as const,
    ['traceparent', `00-${traceId}-${randomBytes(8).toString('hex')}-01`] as const,
    ...call.headers,
  ];
  const { method } = call;
  if (call.from === 'none') {
    const reply = await send({
      host: '127.0.0.1',
      port: port.listen,
      method,
      target: call.path,
      headers,
      timeoutMs,
    });
    const line = await mesh.findLine(target, (l) => isOf(l, traceId, reply.localPort));
    return { call, reply, traceId, line, unsent: '' };
  }
  const caller = mesh.pods.find((pod) => `${pod.namespace}/${pod.serviceAccount}` === call.from);
  if (caller?.sidecar == null) return unsent(`nothing in the mesh runs as ${call.from}`);
  // The proxy's absolute-form carries the Service; an odd path stays as it is, byte for byte.
  const url = `http://${authority}${call.path}`;
  const reply = await send({
    host: '127.0.0.1',
    port: caller.sidecar.outbound,
    method,
    target: url,
    headers,
    timeoutMs,
  });
  const line =
    (await mesh.findLine(target, (l) => l.direction === 'inbound' && l.traceId === traceId)) ??
    // It never got there: the caller's own sidecar says why.
    (await mesh.findLine(caller, (l) => l.direction === 'outbound' && l.traceId === traceId));
  return { call, reply, traceId, line, unsent: '' };
}

function isOf(line: AccessLine, traceId: string, localPort: number): boolean {
  return line.traceId === traceId || line.remoteAddress === `127.0.0.1:${localPort}`;
}

/**
 * The table that `demo` and `up --send` print: a line for each call, and below a denial what came nearest. In a terminal
 * that is too narrow who decided goes below the call, and the trace's id only stays where it fits.
 */
export function scenarioTable(
  results: readonly LiveResult[],
  { tty, columns = Infinity }: Pick<Io, 'tty' | 'columns'>,
): string {
  const wide = linesOf(results, ['trace', 'decided'], tty);
  if (longest(wide) <= columns)
    return joined(wide, results, (result) => nearestLines(result, columns), tty);
  const below = (result: LiveResult): string[] => {
    const nearest = result.line?.nearest ?? '';
    const near = nearest === '' ? '' : `; nearest: ${nearest}`;
    return wrap(`    ${decided(result)}${near}`, columns, 2);
  };
  const folded = linesOf(results, ['trace'], tty);
  if (longest(folded) <= columns) return joined(folded, results, below, tty);
  return joined(linesOf(results, [], tty), results, below, tty);
}

function linesOf(
  results: readonly LiveResult[],
  further: readonly ('trace' | 'decided')[],
  tty: boolean,
): string[] {
  const rows = results.map((result): Cell[] => {
    const { call, reply, traceId, unsent } = result;
    const more: Record<(typeof further)[number], Cell> = {
      trace: { text: traceId, colour: 'dim' },
      decided: { text: decided(result) },
    };
    return [
      { text: call.from === 'none' ? 'nobody (plaintext)' : call.from },
      { text: call.to },
      { text: `${call.method} ${call.path}` },
      unsent === '' ? resultOf(reply.status) : { text: 'not sent', colour: 'yellow' },
      ...further.map((one) => more[one]),
    ];
  });
  const titles = { trace: 'TRACE', decided: 'DECIDED BY' };
  const heading = ['CALLER', 'CALLED', 'REQUEST', 'RESULT', ...further.map((one) => titles[one])];
  return table(heading, rows, tty).trimEnd().split('\n');
}

function joined(
  [head = '', ...lines]: readonly string[],
  results: readonly LiveResult[],
  below: (result: LiveResult) => string[],
  tty: boolean,
): string {
  const all = lines.flatMap((text, i) => {
    const result = results[i];
    const details = result === undefined ? [] : below(result);
    return [text, ...details.map((detail) => paint(detail, 'dim', tty))];
  });
  return [head, ...all].map((text) => `${text}\n`).join('');
}

/** Width without what colours it. */
function longest(lines: readonly string[]): number {
  return Math.max(...lines.map((line) => stripVTControlCharacters(line).length));
}

function decided({ unsent, line, reply }: LiveResult): string {
  return unsent || (line === null ? answerOf(reply) : deciderOf(line));
}

function nearestLines({ line }: LiveResult, columns: number): string[] {
  const nearest = line?.nearest ?? '';
  return nearest === '' ? [] : wrap(`    nearest: ${nearest}`, columns, 2);
}

function answerOf(reply: RawReply): string {
  return reply.status === 0 ? `connection ${reply.failure}` : reply.body.trim().slice(0, 120);
}

/** Polls `find` until it finds something or two seconds are over: logs are written in batches. */
export async function eventually<T>(find: () => Promise<T | null>): Promise<T | null> {
  for (let attempt = 0; attempt < 40; attempt += 1) {
    const found = await find();
    if (found !== null) return found;
    await sleep(50);
  }
  return null;
}
