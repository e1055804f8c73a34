// Compares what was decided with what was recorded: the decision, and the policy and rule that made it.
import type { Decision } from '#policy/judge.ts';
import type { RecordedCall } from '#policy/judge/call.ts';
import { stricter } from '#policy/stricter.ts';

import type { Expected, ReplayCase } from './format.ts';

/** What became of a request, by whatever means it was judged. */
export interface Observed {
  readonly decision: Decision;
  /** Response code details, '' without any; null where they cannot be seen: then only decisions are compared. */
  readonly details: string | null;
  /** Why, in a sentence; '' if unknown. */
  readonly reason: string;
}

/** Judges all requests of a case, in order. */
export type Runner = (c: ReplayCase) => Promise<readonly Observed[]>;

export type Comparison =
  | { readonly result: 'passed' }
  | { readonly result: 'skipped'; readonly reason: string }
  | { readonly result: 'failed'; readonly expected: string; readonly got: string };

/**
 * Compares one request. A refusal of ours that `stricter` names is skipped, not failed; letting pass what Envoy
 * refuses is always a failure.
 */
export function compare(call: RecordedCall, expected: Expected, observed: Observed): Comparison {
  const blind = observed.details === null;
  const wanted = nameOf(expected.decision, blind ? '' : (expected.details ?? ''));
  const got = nameOf(observed.decision, observed.details ?? '');
  if (wanted === got) return { result: 'passed' };
  if (observed.decision === 'badrequest' || observed.decision === 'unauthenticated') {
    const known = stricter.find((one) => one.applies(call));
    if (known !== undefined) return { result: 'skipped', reason: known.name };
  }
  return { result: 'failed', expected: wanted, got };
}

/** `deny by foo/p rule 0`, `deny by default`, `allow`. */
function nameOf(decision: Decision, details: string): string {
  if (decision !== 'deny') return decision;
  const rule = namedRule.exec(details);
  if (rule !== null) return `deny by ${rule[1]}/${rule[2]} rule ${rule[3]}`;
  if (details === 'rbac_access_denied_matched_policy[none]') return 'deny by default';
  return decision;
}

const namedRule = /ns\[([^\]]*)\]-policy\[([^\]]*)\]-rule\[([^\]]*)\]/;
