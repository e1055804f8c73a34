// All that a sidecar knows of one call, for people: what became of it, why, the facts, and what to do next.
import type { CallRecord } from '#api/call-record.ts';

import { formatAge } from '../cluster/age.ts';
import { paint } from '../table.ts';
import { nextStep } from './next-step.ts';
import {
  calleeOf,
  callerOf,
  durationWords,
  nearestOf,
  requestOf,
  ruleName,
} from './record-words.ts';
import { nearestLines, withoutNearest } from './render.ts';

/** A call, and whose sidecar tells of it. */
export interface ToldCall {
  /** Printable: nothing in it controls a terminal. */
  readonly record: CallRecord;
  /** `payments/payments-0`. */
  readonly pod: string;
}

/** Ends with a line end. @param others what further sidecars say of the same call */
export function callText(
  { record, pod }: ToldCall,
  others: readonly ToldCall[],
  nowMs: number,
  tty: boolean,
): string {
  const { port } = record;
  const called = `${calleeOf(record)}${port === 0 ? '' : `:${port}`}`;
  const head = `${outcome(record, tty)}  ${requestOf(record)} from ${callerOf(record)} to ${called}`;
  const step = nextStep(record);
  const lines = [
    ...reasons(record, tty),
    ...(record.dryRun ?? []),
    ...facts(record, pod, nowMs).map((line) => paint(line, 'dim', tty)),
    ...others.map((other) => paint(`also: ${otherWords(other)}`, 'dim', tty)),
    ...(step === '' ? [] : [`${paint('next:', 'bold', tty)} ${step}`]),
  ];
  return [head, ...lines.map((line) => `  ${line}`)].map((line) => `${line}\n`).join('');
}

function outcome({ status, verdict, flags }: CallRecord, tty: boolean): string {
  const code = status === 0 ? '' : ` ${status}`;
  if (status === 401) return paint(`✗ UNAUTHENTICATED${code}`, 'red', tty);
  if (status === 429) return paint(`✗ LIMITED${code}`, 'red', tty);
  if (verdict === 'deny') return paint(`✗ DENIED${code}`, 'red', tty);
  if (status > 0 && status < 400 && flags === '-') return paint(`✓ ANSWERED${code}`, 'green', tty);
  if (status === 400) return paint(`✗ BAD REQUEST${code}`, 'red', tty);
  return paint(status === 0 ? '✗ CLOSED' : `✗ FAILED${code}`, 'red', tty);
}

function reasons(record: CallRecord, tty: boolean): string[] {
  const { why, policy, rule, place, details } = record;
  const nearest = nearestOf(record);
  const sentence = nearest === null ? why : withoutNearest(why);
  const lines = [sentence || details || 'the sidecar gave no reason'];
  const unnamed = place !== null && !sentence.includes(place);
  if (policy !== null && !sentence.includes(policy)) {
    lines.push(`decided by ${ruleName(policy, rule)}${place === null ? '' : ` (${place})`}`);
  } else if (unnamed) lines.push(`written at ${place}`);
  if (nearest !== null) lines.push(...nearestLines(nearest, tty));
  return lines;
}

function facts(record: CallRecord, pod: string, nowMs: number): string[] {
  const { at, durationMs, source, destination, mtls, authority, protocol, traceId } = record;
  const { flags, details, grpcStatus, endpoint, attempts, route, service, reporter, id } = record;
  const attempted = attempts > 1 ? `, ${attempts} attempts` : '';
  const rows: readonly (readonly [title: string, value: string])[] = [
    ['id', id],
    [
      'when',
      `${at} (${formatAge(nowMs - Date.parse(at))} ago), after ${durationWords(durationMs)}`,
    ],
    ['caller', source.principal === 'unknown' ? 'anonymous' : source.principal],
    ['callee', destination.principal === 'unknown' ? '' : destination.principal],
    ['security', mtls ? 'mutual TLS' : 'plaintext'],
    ['service', service],
    ['host', authority],
    ['protocol', protocol === '' || protocol === 'TCP' ? '' : protocol],
    ['flags', flags === '-' ? '' : flags],
    ['details', details],
    ['gRPC', grpcStatus === '' ? '' : `status ${grpcStatus}`],
    ['endpoint', endpoint === '' ? '' : `${endpoint}${attempted}`],
    ['route', route === 'default' ? '' : route],
    ['trace', traceId],
    ['told by', `the sidecar of ${pod} (${reporter})`],
  ];
  return rows
    .filter(([, value]) => value !== '')
    .map(([title, value]) => `${title.padEnd(9)}${value}`);
}

function otherWords({ record, pod }: ToldCall): string {
  const { status, flags, details, reporter } = record;
  const flag = flags === '-' ? '' : ` ${flags}`;
  return `the sidecar of ${pod} (${reporter}) saw ${status}${flag} ${details}`.trimEnd();
}
