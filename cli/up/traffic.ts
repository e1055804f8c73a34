// What the sidecars' access logs say, as one line for a person.
import { parseSpiffeId } from '#api/spiffe.ts';

import { type Cell, paint } from '../table.ts';
import type { LocalPod } from './plan.ts';

/** A line of a sidecar's JSON access log, the keys that are shown. */
export interface AccessLine {
  /** `inbound` lines carry the verdict; `outbound` ones say what became of a call on its way. */
  readonly direction: 'inbound' | 'outbound';
  readonly method: string;
  readonly path: string;
  /** Whom the caller asked for: `payments.payments:8080`. */
  readonly host: string;
  readonly status: number;
  readonly flags: string;
  readonly details: string;
  /** How a connection without requests was ended: `rbac_access_denied_matched_policy[none]`. */
  readonly ended: string;
  /** One sentence; '' where the application's own answer says it all. */
  readonly why: string;
  /** `payments/admit rule 0 (shop.yaml:32)`; '' where no rule decided. */
  readonly decidedBy: string;
  /** What came nearest to allowing the call, and what of it did not match; '' without. */
  readonly nearest: string;
  readonly traceId: string;
  /** `billing/billing-sa`; '' for plaintext. */
  readonly source: string;
  /** `127.0.0.1:51812`. */
  readonly remoteAddress: string;
}

/** Reads the keys that matter out of a log line, whatever else it has. */
export function accessLine(line: Readonly<Record<string, unknown>>): AccessLine {
  const text = (key: string): string => textOf(line[key]);
  const id = parseSpiffeId(text('source_principal'));
  const at = text('at');
  return {
    direction: /^outbound|^Passthrough/.test(text('upstream_cluster')) ? 'outbound' : 'inbound',
    method: text('method'),
    path: text('path'),
    host: text('authority') || (text('upstream_cluster').split('|')[3] ?? ''),
    status: Number(line['response_code'] ?? 0),
    flags: text('response_flags'),
    details: text('response_code_details'),
    ended: text('connection_termination_details'),
    why: text('policy') === '' && at !== '' ? `${text('why')} (${at})` : text('why'),
    decidedBy: ruleName(line['policy'], line['rule'], line['at']),
    nearest: nearestOf(line['nearest']),
    traceId: text('trace_id'),
    source: id === null ? '' : `${id.namespace}/${id.serviceAccount}`,
    remoteAddress: text('downstream_remote_address'),
  };
}

/** Who decided, in few words; the whole reason where it was no rule. */
export function deciderOf(line: AccessLine): string {
  // Policies let it pass, and then it went wrong.
  const failed = line.status >= 500 && line.details !== 'via_upstream';
  if (failed && line.why.startsWith('allowed')) return line.details;
  if (line.decidedBy !== '') return line.decidedBy;
  if (line.nearest !== '') return 'no ALLOW rule matches';
  return line.why || line.details || line.ended;
}

/**
 * One line of live traffic; null for lines that would only repeat what the other side says.
 * @param callee the pod's workload, or the pod where it has several
 */
export function describeTraffic(
  pod: LocalPod,
  callee: string,
  line: AccessLine,
  tty: boolean,
): string | null {
  const outbound = line.direction === 'outbound';
  if (outbound && (line.flags === '-' || line.flags === '')) return null;
  const from = outbound ? pod.workload : line.source || 'anonymous';
  const to = outbound ? line.host || 'outside' : callee;
  const isConnection = line.method === '';
  const result = isConnection ? resultOfConnection(line) : resultOf(line.status);
  const call = isConnection ? 'TCP' : `${line.method} ${line.path}`;
  const nearest = line.nearest === '' ? '' : `; nearest is ${line.nearest}`;
  const reason = paint(`${deciderOf(line)}${nearest}`, 'dim', tty);
  return `${from} -> ${to}  ${call}  ${paint(result.text, result.colour, tty)}  ${reason}`;
}

/** A stream has no status: it was refused, or it has been. */
function resultOfConnection({ ended, flags }: AccessLine): Cell {
  if (ended.startsWith('rbac_access_denied')) return { text: 'denied', colour: 'red' };
  if (flags === '-' || flags === '') return { text: 'allowed', colour: 'green' };
  return resultOf(0);
}

function nearestOf(nearest: unknown): string {
  if (typeof nearest !== 'object' || nearest === null) return '';
  const { policy, rule, at, missed } = nearest as Readonly<Record<string, unknown>>;
  const misses = Array.isArray(missed) ? missed.map(missText) : [];
  return `${ruleName(policy, rule, at)}: ${misses.join('; ')}`;
}

/** `from.source.principals is cluster.local/ns/web/sa/web-sa, not cluster.local/ns/billing/sa/billing-sa`. */
function missText(miss: unknown): string {
  const { field, wanted, got } = Object(miss) as Readonly<Record<string, unknown>>;
  const values = Array.isArray(wanted) ? wanted.map(textOf).join(' or ') : '';
  return `${textOf(field)} is ${textOf(got)}, not ${values}`;
}

function ruleName(policy: unknown, rule: unknown, at: unknown): string {
  if (typeof policy !== 'string' || policy === '') return '';
  const number = typeof rule === 'number' ? ` rule ${rule}` : '';
  return `${policy}${number}${typeof at === 'string' ? ` (${at})` : ''}`;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** `200`, `403 denied`, `closed`. */
export function resultOf(status: number): Cell {
  if (status === 0) return { text: 'closed', colour: 'red' };
  if (status === 401) return { text: '401 unauthenticated', colour: 'red' };
  if (status === 403) return { text: '403 denied', colour: 'red' };
  if (status >= 500) return { text: `${status} failed`, colour: 'yellow' };
  if (status >= 400) return { text: `${status} refused`, colour: 'yellow' };
  return { text: `${status} allowed`, colour: 'green' };
}
