// What sidecars answer of themselves, of whatever version they are: what is missing or odd reads as nothing.
import { JsonFields, parseJsonList } from '../cluster/json-fields.ts';
import { type LeftOut, leftOutOf } from '../cluster/sidecar-ejections.ts';

export interface SidecarStatus {
  readonly identity: string;
  readonly certificateEndsMs: number | null;
  readonly snapshot: number | null;
  /** null: it has none, but a file. */
  readonly control: { readonly connected: boolean; readonly lastError: string } | null;
  readonly inbound: number | null;
  readonly outbound: number | null;
}

export interface Certificate {
  readonly name: string;
  readonly issuer: string;
  readonly serial: string;
  readonly beganMs: number | null;
  readonly endsMs: number | null;
}

export interface Certificates {
  readonly chain: readonly Certificate[];
  readonly roots: readonly Certificate[];
}

export interface PortMode {
  readonly port: number;
  readonly protocol: string;
  readonly mode: string;
  /** `payments/strict`; '' by default. */
  readonly policy: string;
  readonly at: string;
}

export interface LimitUse {
  readonly limit: string;
  readonly algorithm: string;
  readonly scope: string;
  readonly keys: number | null;
  readonly allowed: number;
  readonly limited: number;
  readonly errors: number;
}

export interface EndpointHealth {
  readonly endpoints: number;
  readonly leftOut: readonly LeftOut[];
}

/** Of /status. */
export function statusOf(answer: unknown): SidecarStatus {
  const fields = new JsonFields(answer);
  const control = partOf(answer, 'control');
  const connections = new JsonFields(partOf(answer, 'connections'));
  return {
    identity: fields.text('identity'),
    certificateEndsMs: fields.time('certificateNotAfter'),
    snapshot: fields.number('snapshotVersion'),
    control:
      control === null || control === undefined
        ? null
        : {
            connected: new JsonFields(control).flag('connected'),
            lastError: new JsonFields(control).text('lastError'),
          },
    inbound: connections.number('inbound'),
    outbound: connections.number('outbound'),
  };
}

/** Of /certs. */
export function certificatesOf(answer: unknown): Certificates {
  const list = (name: string): Certificate[] =>
    parseJsonList(partOf(answer, name) ?? []).map((fields) => ({
      name: fields.texts('uris')[0] ?? fields.text('subject'),
      issuer: fields.text('issuer').replaceAll('\n', ', '),
      serial: fields.text('serial'),
      beganMs: fields.time('notBefore'),
      endsMs: fields.time('notAfter'),
    }));
  return { chain: list('chain'), roots: list('trustBundle') };
}

/** Of /listeners: the workload's own ports. */
export function portModesOf(answer: unknown): PortMode[] {
  const rows: readonly unknown[] = Array.isArray(answer) ? answer : [];
  return rows.flatMap((row) => {
    const fields = new JsonFields(row);
    const port = fields.number('workloadPort');
    if (fields.text('direction') !== 'inbound' || port === null) return [];
    const mtls = new JsonFields(partOf(row, 'mtls'));
    const { mode, policy, at } = {
      mode: mtls.text('mode'),
      policy: mtls.text('policy'),
      at: mtls.text('at'),
    };
    return [{ port, protocol: fields.text('protocol'), mode, policy, at }];
  });
}

/** Of /limits. */
export function limitsOf(answer: unknown): LimitUse[] {
  return parseJsonList(answer ?? []).map((fields) => ({
    limit: fields.text('limit'),
    algorithm: fields.text('algorithm'),
    scope: fields.text('scope'),
    keys: fields.number('keys'),
    allowed: fields.number('allowed') ?? 0,
    limited: fields.number('limited') ?? 0,
    errors: fields.number('errors') ?? 0,
  }));
}

/** Of /clusters. */
export function endpointHealthOf(answer: unknown): EndpointHealth {
  const clusters: readonly unknown[] = Array.isArray(answer) ? answer : [];
  const endpoints = clusters.map((one) => parseJsonList(partOf(one, 'endpoints') ?? []).length);
  return { endpoints: endpoints.reduce((a, b) => a + b, 0), leftOut: leftOutOf(answer) };
}

export function partOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}
