// Judges a call that somebody describes: by the sidecar that would, and rule by rule by what it enforces.
import { isIP } from 'node:net';

import type { Snapshot } from '#api/snapshot.ts';
import { compilePolicies } from '#policy/compile.ts';
import { fitsOf, type RuleFit } from '#policy/fits.ts';
import { judge, type Outcome } from '#policy/judge.ts';
import type { MtlsDecision } from '#policy/peer-authentication.ts';

import { JsonFields } from '../cluster/json-fields.ts';
import type { Collector } from './collector.ts';
import { partOf } from './sidecar-answers.ts';

/** A form as it was filled in. */
export interface CallForm {
  /** `namespace/service-account`, a SPIFFE ID, or `none`. */
  readonly from: string;
  readonly to: string;
  readonly port: string;
  readonly method: string;
  readonly path: string;
  readonly host: string;
  /** `name: value`, a line each. */
  readonly headers: string;
  /** Claims as JSON. */
  readonly token: string;
  readonly ip: string;
  readonly tcp: boolean;
}

export interface Inspection {
  readonly port: number;
  readonly identity: string;
  readonly host: string;
  /** What the sidecar says; null: it cannot be asked, and `unasked` says why. */
  readonly said: { readonly decision: string; readonly summary: string } | null;
  readonly unasked: string;
  readonly mtls: MtlsDecision;
  /** The same, judged here by the snapshot that the sidecar enforces. */
  readonly outcome: Outcome;
  /** Of each rule; empty where it did not come to them. */
  readonly fits: readonly RuleFit[];
}

/** What is wrong with the form, in a sentence for whoever filled it in. */
export class FormError extends Error {}

/** @throws FormError */
export async function inspect(collector: Collector, form: CallForm): Promise<Inspection> {
  const [namespace = '', name = ''] = form.to.split('/');
  const [sidecar] = await collector.sidecarsOf(namespace, name);
  if (sidecar === undefined) throw new FormError(`no sidecar is of a workload "${form.to}"`);
  const { value } = await collector.workload(namespace, name);
  const snapshot = value?.snapshot ?? null;
  if (snapshot === null) throw new FormError(`the sidecar of ${form.to} tells no snapshot`);
  const call = readForm(form, snapshot);
  const policies = compilePolicies(snapshot);
  const { port, identity, host } = call;
  const outcome = await judge(
    policies,
    {
      kind: form.tcp ? 'tcp' : 'http',
      method: form.method,
      path: form.path,
      host,
      headers: call.headers,
      source: { identity: identity === '' ? null : identity.replace('spiffe://', ''), ip: call.ip },
      destination: { ip: isIP(call.ip) === 6 ? 'fd00::2' : '10.0.0.2', port },
    },
    { ...(call.claims !== null && { claims: call.claims }) },
  );
  const rules = outcome.protocol === 'tcp' ? policies.tcp : policies.http;
  const { facts } = outcome;
  const asked = await sidecar
    .post('/explain', {
      port,
      method: form.method,
      path: form.path,
      authority: host,
      scheme: 'http',
      headers: call.headers,
      identities: identity === '' ? [] : [identity],
      sourceIp: call.ip,
      token: call.claims,
      tcp: form.tcp,
    })
    .then(saidOf, (error: unknown) => (error instanceof Error ? error.message : String(error)));
  return {
    port,
    identity,
    host,
    said: typeof asked === 'string' ? null : asked,
    unasked: typeof asked === 'string' ? asked : '',
    mtls: policies.mtls(port),
    outcome,
    fits: facts === null ? [] : fitsOf(rules, facts.connection, facts.request),
  };
}

function saidOf(answer: unknown): { decision: string; summary: string } | string {
  const decision = new JsonFields(answer).text('decision');
  if (decision === '') return 'its answer has no decision';
  return { decision, summary: new JsonFields(partOf(answer, 'explanation')).text('summary') };
}

function readForm(form: CallForm, snapshot: Snapshot) {
  const port = form.port === '' ? snapshot.workload.ports[0]?.port : Number(form.port);
  if (port === undefined) throw new FormError('say which port: the workload declares none');
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new FormError(`a port is a number from 1 to 65535, not "${form.port}"`);
  }
  const ip = form.ip || '10.0.0.1';
  if (isIP(ip) === 0) throw new FormError(`"${ip}" is no IP address`);
  return {
    port,
    ip,
    identity: identityOf(form.from, snapshot.mesh.trustDomain),
    host: form.host || hostOf(snapshot, port),
    headers: headersOf(form.headers),
    claims: claimsOf(form.token),
  };
}

function identityOf(from: string, trustDomain: string): string {
  if (from === 'none' || from === '') return '';
  if (from.startsWith('spiffe://')) return from;
  const [namespace, account, ...rest] = from.split('/');
  if (account === undefined || account === '' || rest.length > 0) {
    throw new FormError(`"${from}" is no caller: write NAMESPACE/ACCOUNT, a SPIFFE ID, or none`);
  }
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${account}`;
}

/** What a caller would write. */
function hostOf({ services, workload }: Snapshot, port: number): string {
  for (const service of services) {
    for (const { port: front, endpoints } of service.ports) {
      const isIts = endpoints.some(
        (one) => one.workload === workload.name && one.namespace === workload.namespace,
      );
      if (isIts) return `${service.hosts[0] ?? service.name}:${front}`;
    }
  }
  return `${workload.name}.${workload.namespace}.svc.cluster.local:${port}`;
}

function headersOf(text: string): (readonly [string, string])[] {
  return text
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, name, value] = /^\s*([^\s:=]+)\s*[:=]\s*(.*?)\s*$/.exec(line) ?? [];
      if (name === undefined || value === undefined) {
        throw new FormError(`a header is "name: value", not "${line.trim()}"`);
      }
      return [name.toLowerCase(), value];
    });
}

function claimsOf(text: string): Readonly<Record<string, unknown>> | null {
  if (text.trim() === '') return null;
  try {
    const claims: unknown = JSON.parse(text);
    if (typeof claims === 'object' && claims !== null && !Array.isArray(claims)) {
      return claims as Readonly<Record<string, unknown>>;
    }
  } catch {
    // Told below.
  }
  throw new FormError('claims are an object of JSON: {"iss":"https://…","sub":"…"}');
}
