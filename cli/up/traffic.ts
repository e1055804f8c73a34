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
  readonly status: number;
  readonly flags: string;
  readonly details: string;
  readonly why: string;
  readonly nearest: string;
  readonly traceId: string;
  readonly requestId: string;
  /** `billing/billing-sa`; '' for plaintext. */
  readonly source: string;
  /** `127.0.0.1:51812`. */
  readonly remoteAddress: string;
}

/** Reads the keys that matter out of a log line, whatever else it has. */
export function accessLine(line: Readonly<Record<string, unknown>>): AccessLine {
  const text = (key: string): string => {
    const value = line[key];
    return typeof value === 'string' ? value : '';
  };
  const id = parseSpiffeId(text('source_principal'));
  return {
    direction: text('upstream_cluster').startsWith('outbound|') ? 'outbound' : 'inbound',
    method: text('method'),
    path: text('path'),
    status: Number(line['response_code'] ?? 0),
    flags: text('response_flags'),
    details: text('response_code_details'),
    why: text('why'),
    nearest: text('nearest'),
    traceId: text('trace_id'),
    requestId: text('request_id'),
    source: id === null ? '' : `${id.namespace}/${id.serviceAccount}`,
    remoteAddress: text('downstream_remote_address'),
  };
}

/** One line of live traffic; null for lines that would only repeat what the other side says. */
export function describeTraffic(pod: LocalPod, line: AccessLine, tty: boolean): string | null {
  if (line.direction === 'outbound' && (line.flags === '-' || line.flags === '')) return null;
  const from = line.direction === 'outbound' ? pod.workload : line.source || 'anonymous';
  const to = line.direction === 'outbound' ? 'its way out' : pod.workload;
  const result = resultOf(line.status);
  const call = line.method === '' ? 'connection' : `${line.method} ${line.path}`;
  const reason = [line.why || line.details, line.nearest].filter((text) => text !== '').join('; ');
  return [
    `${from} -> ${to}`,
    call,
    paint(result.text, result.colour, tty),
    paint(reason, 'dim', tty),
  ].join('  ');
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
