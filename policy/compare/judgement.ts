// What became of a judged call, in few words: to be set beside another.
import type { CompiledPolicies } from '../compile.ts';
import { decide, decideCustom } from '../decide.ts';
import { describe, explain } from '../explain.ts';
import type { ConnectionFacts } from '../facts.ts';
import type { Outcome } from '../judge.ts';
import { admitTransport } from '../transport.ts';

export interface Judgement {
  readonly allowed: boolean;
  readonly decision: Outcome['decision'];
  /** `namespace/name`; null: no rule decided. */
  readonly policy: string | null;
  readonly rule: number | null;
  /** `file:line`. */
  readonly at: string | null;
  /** A sentence, with the place in it. */
  readonly reason: string;
}

/**
 * Of TLS that is not the mesh's: a sidecar passes it on as it is where the rules for bytes allow it.
 * @param answers of external authorizers, by name
 */
export function judgeRelayed(
  policies: CompiledPolicies,
  connection: ConnectionFacts,
  answers: Readonly<Record<string, boolean>>,
): Judgement {
  const { destinationPort, sni } = connection;
  const transport = admitTransport(policies, destinationPort, { alpn: [], sni });
  if (transport.kind !== 'opaque') {
    const reason = "the connection is closed: it takes no TLS that is not the mesh's";
    return { ...closed, allowed: false, reason };
  }
  const custom = decideCustom(policies.tcp, connection, null);
  const refused =
    custom !== null && (custom.provider === null || answers[custom.provider.name] === false);
  const verdict = refused ? custom.verdict : decide(policies.tcp, connection, null);
  const allowed = !refused && verdict.allowed;
  const { at } = explain(policies.tcp, connection, null);
  return {
    ...closed,
    decision: allowed ? 'allow' : 'closed',
    allowed,
    ...(verdict.policy !== '' && {
      policy: `${verdict.namespace}/${verdict.policy}`,
      rule: verdict.rule,
      at: refused ? null : at,
    }),
    reason: describe(policies.tcp, verdict),
  };
}

const closed = { decision: 'closed', policy: null, rule: null, at: null } as const;

/** What an outcome comes down to. */
export function judgementOf(policies: CompiledPolicies, outcome: Outcome): Judgement {
  const { decision, verdict, explanation, protocol } = outcome;
  const named = verdict !== null && verdict.policy !== '';
  const reason =
    verdict === null || explanation === null
      ? outcome.reason
      : describe(protocol === 'tcp' ? policies.tcp : policies.http, verdict);
  return {
    allowed: decision === 'allow',
    decision,
    policy: named ? `${verdict.namespace}/${verdict.policy}` : null,
    rule: named ? verdict.rule : null,
    at: explanation?.at ?? null,
    reason,
  };
}
