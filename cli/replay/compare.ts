// Compares what was decided with what was recorded: the decision, and the policy and rule that made it.
import type { Decision } from '#policy/verdict.ts';
import type { RecordedCall } from '#policy/judge/call.ts';
import { stricter } from '#policy/stricter.ts';

import type { Expected, ReplayCase } from './format.ts';

/** What became of a request, by whatever means it was judged. */
export interface Observed {
  readonly decision: Decision;
  /** HTTP status, 0 without a response; absent where it is not known. */
  readonly status?: number;
  /** Response code details, '' without any; null where they cannot be seen: then only decisions are compared. */
  readonly details: string | null;
  /** Why, in a sentence; '' if unknown. */
  readonly reason: string;
  /** Which rules judged it; '' where it did not come to that, absent where it is not known. */
  readonly protocol?: 'http' | 'tcp' | '';
  /** As the application gets an admitted request; '' without one, absent where it is not known. */
  readonly path?: string;
  readonly authority?: string;
  /** What must come out where another call than the recorded one had to be made; else what was recorded. */
  readonly instead?: Expected;
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
export function compare(call: RecordedCall, recorded: Expected, observed: Observed): Comparison {
  const expected = observed.instead ?? recorded;
  const wanted = nameOf({
    decision: expected.decision,
    status: observed.status === undefined ? undefined : expected.status,
    details: observed.details === null ? '' : expected.details,
  });
  const got = nameOf(observed);
  if (wanted === got) return compareArrival(call, expected, observed);
  if (observed.decision === 'badrequest' || observed.decision === 'unauthenticated') {
    const deliberate = stricter.find((one) => one.applies(call));
    if (deliberate !== undefined) return { result: 'skipped', reason: deliberate.name };
  }
  return { result: 'failed', expected: wanted, got };
}

/** What is let pass has to be read as it was recorded, and to arrive as it was judged. */
function compareArrival(call: RecordedCall, expected: Expected, observed: Observed): Comparison {
  if (observed.decision !== 'allow') return { result: 'passed' };
  const protocol = call.kind === 'tcp' ? 'tcp' : (expected.as ?? 'http');
  const { path, authority } = expected;
  const wanted = { protocol, path, authority };
  for (const part of ['protocol', 'path', 'authority'] as const) {
    const want = wanted[part] ?? '';
    const got = observed[part] ?? '';
    if (want === '' || got === '' || want === got) continue;
    return { result: 'failed', expected: `${part} ${want}`, got: `${part} ${got}` };
  }
  return { result: 'passed' };
}

/** `deny by foo/p rule 0`, `deny by default`, `allow`, `other (426)`. */
function nameOf(one: {
  readonly decision: Decision;
  readonly status?: number | undefined;
  readonly details?: string | null | undefined;
}): string {
  const { decision, status } = one;
  if (decision === 'other' && status !== undefined) return `other (${status})`;
  if (decision !== 'deny') return decision;
  const details = one.details ?? '';
  const rule = namedRule.exec(details);
  if (rule !== null) return `deny by ${rule[1]}/${rule[2]} rule ${rule[3]}`;
  if (details === 'rbac_access_denied_matched_policy[none]') return 'deny by default';
  return decision;
}

/** Namespace, policy and rule in Envoy's details of a refusal. */
export const namedRule = /ns\[([^\]]*)\]-policy\[([^\]]*)\]-rule\[([^\]]*)\]/;
