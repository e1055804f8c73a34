// The outcome of authorization, small enough to be made at compile time and handed out without allocation.

export interface Verdict {
  readonly allowed: boolean;
  /** The action that decided; NONE: no rule did (nothing forbids, or no ALLOW rule matched). */
  readonly decidedBy: 'ALLOW' | 'DENY' | 'CUSTOM' | 'NONE';
  readonly namespace: string;
  readonly policy: string;
  /** Index in the policy's `rules`, as written; -1 without one. */
  readonly rule: number;
  /** Envoy's response code details, '' when allowed: `rbac_access_denied_matched_policy[none]`. */
  readonly details: string;
}

/** Why a verdict fell, for people: assembled only when asked for. */
export interface Explanation {
  readonly verdict: Verdict;
  /** One sentence: `allowed by billing/admit-billing rule 0 (shop.yaml:41)`. */
  readonly summary: string;
  /** Where the deciding rule is written: `file:line`, null where unknown. */
  readonly at: string | null;
  /** For a refusal by default: the rule that came nearest; null when no ALLOW rule exists. */
  readonly nearest: NearMiss | null;
  /** AUDIT rules that matched. */
  readonly audited: readonly string[];
  /** What dry-run policies would have said, one sentence each. */
  readonly dryRun: readonly string[];
}

export interface NearMiss {
  readonly namespace: string;
  readonly policy: string;
  readonly rule: number;
  readonly at: string | null;
  /** Fields that matched, as written: `from.source.principals`. */
  readonly matched: readonly string[];
  readonly missed: readonly Miss[];
}

export interface Miss {
  /** `to.operation.paths`, `when[request.headers[x-user]]`. */
  readonly field: string;
  readonly wanted: readonly string[];
  /** What the call had: `/api/v2/charges`, or `(none)`. */
  readonly got: string;
  readonly at: string | null;
}

/** What becomes of a call. */
export type Decision = 'allow' | 'deny' | 'unauthenticated' | 'badrequest' | 'closed' | 'other';
