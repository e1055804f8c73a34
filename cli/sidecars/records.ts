// What sidecars tell of calls, read from their JSON, of whatever version they are.
import type { CallParty, CallRecord, EdgeCount } from '#api/call-record.ts';

import { JsonFields } from '../cluster/json-fields.ts';

/** Null: it is no record, as `{"dropped":3}`. */
export function callRecordOf(value: unknown): CallRecord | null {
  const fields = new JsonFields(value);
  if (fields.time('at') === null) return null;
  const text = (name: string): string => fields.text(name);
  const number = (name: string): number => fields.number(name) ?? 0;
  const verdict = text('verdict');
  const nearest = fields.value('nearest');
  const dryRun = fields.texts('dryRun');
  return {
    at: text('at'),
    reporter: text('reporter') === 'outbound' ? 'outbound' : 'inbound',
    id: text('id'),
    traceId: text('traceId'),
    method: text('method'),
    authority: text('authority'),
    path: text('path'),
    protocol: text('protocol'),
    status: number('status'),
    flags: text('flags') || '-',
    details: text('details'),
    grpcStatus: text('grpcStatus'),
    durationMs: number('durationMs'),
    requestBytes: number('requestBytes'),
    responseBytes: number('responseBytes'),
    source: partyOf(fields.inner('source')),
    destination: partyOf(fields.inner('destination')),
    port: number('port'),
    service: text('service'),
    mtls: fields.flag('mtls'),
    verdict: verdict === 'allow' || verdict === 'deny' ? verdict : null,
    why: text('why'),
    policy: text('policy') || null,
    rule: fields.number('rule'),
    place: text('place') || null,
    ...(isObject(nearest) && { nearest }),
    ...(dryRun.length > 0 && { dryRun }),
    endpoint: text('endpoint'),
    attempts: number('attempts'),
    route: text('route'),
  };
}

export function callRecordsOf(value: unknown): CallRecord[] {
  if (!Array.isArray(value)) return [];
  return value.map(callRecordOf).filter((record) => record !== null);
}

/** How many were left out before the next line of a tap; 0: the line says nothing of it. */
export function droppedOf(value: unknown): number {
  return new JsonFields(value).number('dropped') ?? 0;
}

export function edgeCountsOf(value: unknown): EdgeCount[] {
  if (!Array.isArray(value)) return [];
  return value.map((one: unknown) => {
    const fields = new JsonFields(one);
    const protocol = fields.text('protocol');
    const security = fields.text('security');
    const durations = fields.value('durations');
    return {
      reporter: fields.text('reporter') === 'outbound' ? 'outbound' : 'inbound',
      source: partyOf(fields.inner('source')),
      destination: partyOf(fields.inner('destination')),
      service: fields.text('service'),
      protocol: protocol === 'grpc' || protocol === 'tcp' ? protocol : 'http',
      security: security === 'mutual_tls' || security === 'none' ? security : 'unknown',
      requests: fields.number('requests') ?? 0,
      failures: fields.number('failures') ?? 0,
      refusals: fields.number('refusals') ?? 0,
      durations: (Array.isArray(durations) ? durations : []).map((count) => Number(count) || 0),
    };
  });
}

function partyOf(fields: JsonFields): CallParty {
  return {
    namespace: fields.text('namespace') || 'unknown',
    workload: fields.text('workload') || 'unknown',
    principal: fields.text('principal') || 'unknown',
  };
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}
