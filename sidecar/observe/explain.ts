// Judges a call that somebody describes by the snapshot in force: POST /explain, as `selvage explain` does by YAML.
import { isIP } from 'node:net';

import { judge, type Outcome } from '#policy/judge.ts';
import type { RecordedCall } from '#policy/judge/call.ts';
import type { Decision, Explanation } from '#policy/verdict.ts';

import type { Enforced } from '../in-force.ts';

export interface AskedCall {
  readonly call: RecordedCall;
  /** Claims that count as signed; null: the headers say who asks, if anybody. */
  readonly claims: Readonly<Record<string, unknown>> | null;
  /** What authorizers of CUSTOM policies say: they are not asked. */
  readonly authorizerAllows: boolean;
}

export interface ExplainedCall {
  /** Version of the snapshot that it was judged by. */
  readonly snapshot: number;
  /** Of the port, by PeerAuthentication. */
  readonly mtls: string;
  readonly decision: Decision;
  /** HTTP status; 0: there is no response. */
  readonly status: number;
  readonly details: string;
  /** Where the rules were never asked it says what decided before them. */
  readonly explanation: Explanation;
}

/** Never throws on what a call holds. */
export async function explainCall(enforced: Enforced, asked: AskedCall): Promise<ExplainedCall> {
  const { policies, snapshot, apiKeys } = enforced;
  const { call, claims, authorizerAllows } = asked;
  const outcome = await judge(policies, call, {
    authorizer: async () => authorizerAllows,
    apiKeys,
    ...(claims !== null && { claims }),
  });
  return {
    snapshot: snapshot.version,
    mtls: policies.mtls(call.destination.port).mode,
    decision: outcome.decision,
    status: outcome.status,
    details: outcome.details,
    explanation: outcome.explanation ?? decidedBefore(outcome),
  };
}

/** Reads the body of POST /explain. A text says what is wrong. */
export function readAskedCall(body: unknown): AskedCall | string {
  if (!isRecord(body)) return 'the body is no JSON object';
  const unknown = Object.keys(body).find((name) => !Object.hasOwn(fields, name));
  if (unknown !== undefined) {
    return `there is no ${JSON.stringify(unknown)}; there are ${Object.keys(fields).join(', ')}`;
  }
  for (const [name, { is, wanted }] of Object.entries(fields)) {
    if (body[name] !== undefined && !is(body[name])) return `${name} is ${wanted}`;
  }
  const asked = body as AskedFields;
  const { port, identities = [], sourceIp = '10.0.0.1', tcp = false } = asked;
  if (port === undefined) return 'port is missing: the port of the workload that is called';
  const identity = identities.length === 0 ? null : identities.map((uri) => `uri:${uri}`).join(',');
  const source = { identity, ip: sourceIp };
  const destination = { ip: isIP(sourceIp) === 6 ? 'fd00::2' : '10.0.0.2', port };
  return {
    call: tcp ? { kind: 'tcp', source, destination } : { ...httpOf(asked), source, destination },
    claims: asked.token ?? null,
    authorizerAllows: asked.authorizer === 'allow',
  };
}

interface AskedFields {
  readonly port?: number;
  readonly method?: string;
  readonly path?: string;
  readonly authority?: string;
  readonly scheme?: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly identities?: readonly string[];
  readonly sourceIp?: string;
  readonly token?: Readonly<Record<string, unknown>> | null;
  readonly tcp?: boolean;
  readonly authorizer?: 'allow' | 'deny';
}

const fields: Readonly<
  Record<keyof AskedFields, { readonly is: (value: unknown) => boolean; readonly wanted: string }>
> = {
  port: {
    is: (value) => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 65_535,
    wanted: 'a number from 1 to 65535',
  },
  method: { is: isText, wanted: 'a text, as "GET"' },
  path: { is: isText, wanted: 'a text, as "/charges"' },
  authority: { is: isText, wanted: 'a text, as "payments.shop"' },
  scheme: { is: (value) => value === 'http' || value === 'https', wanted: '"http" or "https"' },
  headers: {
    is: (value) => isListOf(value, (line) => isListOf(line, isText) && line.length === 2),
    wanted: 'a list of [name, value]',
  },
  identities: {
    is: (value) => isListOf(value, (one) => isText(one) && /^spiffe:\/\/[^,\s]+$/.test(one)),
    wanted: 'a list of SPIFFE IDs; empty: a call in the clear',
  },
  sourceIp: { is: (value) => isText(value) && isIP(value) !== 0, wanted: 'an IP address' },
  token: {
    is: (value) => value === null || isRecord(value),
    wanted: 'an object of claims, or null',
  },
  tcp: { is: (value) => typeof value === 'boolean', wanted: 'true or false' },
  authorizer: {
    is: (value) => value === 'allow' || value === 'deny',
    wanted: '"allow" or "deny": what authorizers are taken to say',
  },
};

function httpOf(asked: AskedFields): Pick<RecordedCall, 'method' | 'path' | 'host' | 'headers'> {
  const { method = 'GET', path = '/', authority = 'localhost', scheme, headers = [] } = asked;
  // A scheme that a proxy before has told is in this header already.
  const told = headers.some(([name]) => name.toLowerCase() === 'x-forwarded-proto');
  const lines =
    scheme === undefined || told ? headers : [...headers, ['x-forwarded-proto', scheme] as const];
  return { method, path, host: authority, headers: lines };
}

function decidedBefore({ verdict, details, reason }: Outcome): Explanation {
  const refused = {
    allowed: false,
    decidedBy: 'NONE',
    namespace: '',
    policy: '',
    rule: -1,
  } as const;
  return {
    verdict: verdict ?? { ...refused, details },
    summary: reason,
    at: null,
    nearest: null,
    audited: [],
    dryRun: [],
  };
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isListOf<Item>(value: unknown, is: (item: unknown) => item is Item): value is Item[];
function isListOf(value: unknown, is: (item: unknown) => boolean): value is unknown[];
function isListOf(value: unknown, is: (item: unknown) => boolean): value is unknown[] {
  return Array.isArray(value) && value.every((item) => is(item));
}
