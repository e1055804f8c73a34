// A call as a sidecar recorded it, in few words: who called whom, what came of it, and why.
import type { CallParty, CallRecord } from '#api/call-record.ts';
import { parseSpiffeId } from '#api/spiffe.ts';

import { JsonFields, parseJsonList } from '../cluster/json-fields.ts';
import type { Cell } from '../table.ts';
import { type NearestRule } from './render.ts';

/** `shop/web`; its service account where only that is known; `anonymous` without a certificate. */
export function callerOf({ source }: CallRecord): string {
  return nameOfParty(source) ?? 'anonymous';
}

/** `payments/payments`; the service where no endpoint was chosen, the host that was asked for where there is none. */
export function calleeOf({ destination, service, authority }: CallRecord): string {
  return nameOfParty(destination) ?? (shortHost(service) || authority || 'outside');
}

/** Null: nothing is known of it. */
export function nameOfParty({ namespace, workload, principal }: CallParty): string | null {
  if (workload !== 'unknown' && workload !== '') return `${namespace}/${workload}`;
  const id = parseSpiffeId(principal);
  if (id !== null) return `${id.namespace}/${id.serviceAccount}`;
  return principal === 'unknown' || principal === '' ? null : principal;
}

/** `payments.payments`. */
export function shortHost(host: string): string {
  return host.replace(/\.svc\.cluster\.local$/, '');
}

/** `POST /charges`, `TCP`. */
export function requestOf({ method, path }: CallRecord): string {
  return method === '' ? 'TCP' : `${method} ${path}`;
}

/** Its status, green where all went well. */
export function statusCell({ status, flags, verdict, method }: CallRecord): Cell {
  if (status === 0) {
    const well = method === '' && verdict !== 'deny' && (flags === '-' || flags === '');
    if (well) return { text: 'ok', colour: 'green' };
    return verdict === 'deny'
      ? { text: 'closed', colour: 'red' }
      : { text: flags === '-' ? 'closed' : flags, colour: 'yellow' };
  }
  if (status === 401 || status === 403) return { text: String(status), colour: 'red' };
  return { text: String(status), colour: status >= 400 ? 'yellow' : 'green' };
}

/** Why it was refused or failed, in one line; '' where all went well. */
export function reasonOf(record: CallRecord): string {
  const { status, flags, verdict, id, why, policy, rule, place, details } = record;
  const nearest = nearestOf(record);
  const allRight = verdict !== 'deny' && id === '' && (flags === '-' || flags === '');
  if (allRight && (status < 400 || details === 'via_upstream')) return '';
  if (verdict === 'deny' && policy !== null) return `${ruleName(policy, rule)}${at(place)}`;
  if (nearest !== null) {
    return `no ALLOW rule matches; nearest is ${ruleName(nearest.policy, nearest.rule)}${at(nearest.at)}`;
  }
  return why === '' ? details : `${why}${why.includes(place ?? ' ') ? '' : at(place)}`;
}

/** Null: there is none, or none that this version can read. */
export function nearestOf({ nearest }: CallRecord): NearestRule | null {
  const fields = new JsonFields(nearest);
  const policy = fields.text('policy');
  if (policy === '') return null;
  return {
    policy,
    rule: fields.number('rule') ?? 0,
    at: fields.text('at') || null,
    matched: fields.texts('matched'),
    missed: parseJsonList(fields.value('missed')).map((miss) => ({
      field: miss.text('field'),
      wanted: miss.texts('wanted'),
      got: miss.text('got'),
      at: miss.text('at') || null,
    })),
  };
}

/** `payments/admit rule 0`. */
export function ruleName(policy: string, rule: number | null): string {
  return rule === null ? policy : `${policy} rule ${rule}`;
}

/** `0.8 ms`, `1.2 s`. */
export function durationWords(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

function at(place: string | null): string {
  return place === null ? '' : ` (${place})`;
}
