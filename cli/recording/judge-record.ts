// What policies say of a recorded call; and where the recording lacks what they ask for, that it cannot be said.
import type { CallRecord } from '#api/call-record.ts';
import { askedOf } from '#policy/compare/asked.ts';
import { type Judgement, judgementOf } from '#policy/compare/judgement.ts';
import type { CompiledPolicies } from '#policy/compile.ts';
import { judge } from '#policy/judge.ts';
import type { RecordedCall } from '#policy/judge/call.ts';
import { redacted } from '#sidecar/observe/secrets.ts';

export type RecordJudgement =
  | { readonly kind: 'judged'; readonly judgement: Judgement }
  | { readonly kind: 'unknown'; readonly why: string };

export interface RecordJudge {
  /** @param answer of external authorizers, where it is known; null: it is not */
  judge(call: CallRecord, answer?: boolean | null): Promise<RecordJudgement>;
}

/** For one workload's policies. */
export function recordJudge(policies: CompiledPolicies): RecordJudge {
  const asked = [...askedOf(policies).values()].map(({ condition }) => condition.field);
  const headers = new Set(asked.flatMap((field) => headerIn(field) ?? []));
  return {
    async judge(call, answer = null) {
      const why = gapOf(call, policies, headers);
      if (why !== null) return { kind: 'unknown', why };
      const claims = claimsOf(call);
      const options = claims === null ? {} : { claims };
      const answers = answer === null ? [true, false] : [answer];
      const judgements: Judgement[] = [];
      let askedFor = '';
      for (const allowed of answers) {
        const authorizer = async ({ name }: { readonly name: string }): Promise<boolean> => {
          askedFor = name;
          return allowed;
        };
        const outcome = await judge(policies, recordedOf(call), { ...options, authorizer });
        judgements.push(judgementOf(policies, outcome));
      }
      const [first, second = first] = judgements;
      if (first === undefined || first.allowed !== second?.allowed) {
        return {
          kind: 'unknown',
          why: `what the authorizer ${askedFor} would answer was not recorded`,
        };
      }
      return { kind: 'judged', judgement: first };
    },
  };
}

/** Sentences that a call was refused by before a rule was asked, which no recording can show again. */
const beforeRules = /^jwt_authn_access_denied|_api_key$/;

/** What is missing of a call; null: nothing. */
function gapOf(
  { facts, path, details, mtls }: CallRecord,
  { tokens }: CompiledPolicies,
  asked: ReadonlySet<string>,
): string | null {
  if (facts === undefined) return 'it was recorded without the facts that verdicts are made from';
  if (isCut(path)) return 'its path is longer than a recording keeps';
  if (!mtls && facts.sni !== '') return "its TLS was not the mesh's";
  if (asked.has(':path') && path.includes('?')) return 'values of its query were not recorded';
  const hidden = new Set(
    facts.headers.flatMap(([name, value]) => (value === redacted ? [name] : [])),
  );
  for (const name of asked) {
    if (hidden.has(name)) return `its header ${name} was not recorded, as it may hold a credential`;
  }
  if (tokens === null) return null;
  if (beforeRules.test(details)) return 'the credential that it was refused for was not recorded';
  if (facts.token !== null) return null;
  const places = tokens.rules.flatMap(({ locations }) => [
    ...locations.headers.map(({ name }) => name),
    ...(locations.cookies.length > 0 ? ['cookie'] : []),
  ]);
  const place = places.find((name) => hidden.has(name));
  if (place !== undefined) return `its header ${place}, where a token may be, was not recorded`;
  const parameters = tokens.rules.flatMap(({ locations }) => locations.parameters);
  const query = new URLSearchParams(path.split('?')[1] ?? '');
  const parameter = parameters.find((name) => query.has(name));
  return parameter === undefined ? null : `its parameter ${parameter} was not recorded`;
}

/** Whether the sidecar kept only the beginning of a path. */
export function isCut(path: string): boolean {
  return /^.{512}\.{3}$/s.test(path);
}

/** What a token said, of whatever age it is now. */
function claimsOf({ facts }: CallRecord): Readonly<Record<string, unknown>> | null {
  if (facts === undefined || facts.token === null) return null;
  const { exp: _exp, nbf: _nbf, iat: _iat, ...claims } = facts.token.payload;
  return claims;
}

/** As the sidecar had it from its client; the query, whose values are not known, is gone. */
export function recordedOf(call: CallRecord): RecordedCall {
  const { method, path, authority, protocol, port, mtls, facts } = call;
  const {
    identities = [],
    sourceIp = '',
    destinationIp = '',
    sni = '',
    headers = [],
  } = facts ?? {};
  const names = identities.map((one) => `uri:${one}`).join(',');
  const source = { identity: mtls ? names || 'cn:unknown' : null, ip: sourceIp };
  const destination = { ip: destinationIp, port };
  const own = sni === '' ? {} : { sni };
  if (protocol === 'TCP') return { kind: 'tcp', source, destination, ...own };
  const lines = headers.filter(([name]) => !name.startsWith(':') && name !== 'host');
  const target = path.replace(/\?.*$/s, '');
  return { method, path: target, host: authority, headers: lines, source, destination, ...own };
}

function headerIn(field: string): string | null {
  const [, name] = /^when\[request\.headers\[(.*)\]\]/s.exec(field) ?? [];
  return name?.toLowerCase() ?? null;
}
