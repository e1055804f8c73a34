// The decision: what the sidecar enforces, the CLI explains, and replay compares.
import type { ExtensionProvider } from '#api/kinds/mesh-config.ts';

import type { ConnectionFacts, RequestFacts } from './facts.ts';
import { findAll, findFirst } from './rule-group.ts';
import type { RuleSet } from './rule-set.ts';
import type { Verdict } from './verdict.ts';

/** A CUSTOM rule matched. */
export interface CustomMatch {
  /** Whom to ask; null: the authorizer is unknown, or several are named on the workload, so the call is denied. */
  readonly provider: ExtensionProvider | null;
  /** The denial, in case of one. */
  readonly verdict: Verdict;
}

/** No policy says anything against the call, and none needs to allow it. */
const allowedByDefault: Verdict = {
  allowed: true,
  decidedBy: 'NONE',
  namespace: '',
  policy: '',
  rule: -1,
  details: '',
};

/** ALLOW policies apply, and no rule of theirs matches. */
const deniedByDefault: Verdict = {
  allowed: false,
  decidedBy: 'NONE',
  namespace: '',
  policy: '',
  rule: -1,
  details: 'rbac_access_denied_matched_policy[none]',
};

/**
 * Judges a call, after CUSTOM authorizers and tokens: a DENY rule that matches, then the need for an ALLOW rule.
 * Of several rules that match, the first by name is the one that decided. Allocates nothing.
 * @param request null for a TCP connection, with the `tcp` rules
 */
export function decide(
  rules: RuleSet,
  connection: ConnectionFacts,
  request: RequestFacts | null,
): Verdict {
  const denied = findFirst(rules.deny, connection, request);
  if (denied !== null) return denied.verdict;
  if (rules.allow === null) return allowedByDefault;
  return findFirst(rules.allow, connection, request)?.verdict ?? deniedByDefault;
}

/** Whether an external authorizer has a say; it comes before tokens are read. null: none has. */
export function decideCustom(
  rules: RuleSet,
  connection: ConnectionFacts,
  request: RequestFacts | null,
): CustomMatch | null {
  for (const { provider, group } of rules.custom) {
    const rule = findFirst(group, connection, request);
    if (rule !== null) return { provider, verdict: rule.verdict };
  }
  return null;
}

/** The AUDIT rules that match, as `namespace/name rule i`. */
export function audited(
  rules: RuleSet,
  connection: ConnectionFacts,
  request: RequestFacts | null,
): readonly string[] {
  if (rules.audit.rules.length === 0) return nothing;
  return findAll(rules.audit, connection, request).map(
    ({ verdict }) => `${verdict.namespace}/${verdict.policy} rule ${verdict.rule}`,
  );
}

const nothing: readonly string[] = [];
