// One call with what is expected of it, and what came of it.
import type { PolicyTestSpec } from '#api/kinds/policy-test.ts';
import type { Outcome } from '#policy/judge.ts';

import { CallError } from './failure.ts';
import { judgeCall, type JudgedCall } from './judge-call.ts';
import type { MeshModel } from './model.ts';
import { describeCall } from './render.ts';

type TestCall = PolicyTestSpec['calls'][number];

export interface CallResult {
  /** Index in `spec.calls`. */
  readonly index: number;
  readonly title: string;
  readonly ok: boolean;
  /** `expected allow, got deny by default`; '' when ok. */
  readonly difference: string;
  /** Null when the call names what is not there. */
  readonly judged: JudgedCall | null;
}

/** Judges a call and compares. An unknown workload or account is a failure of this call only. */
export async function checkCall(
  model: MeshModel,
  call: TestCall,
  index: number,
): Promise<CallResult> {
  const title = call.name ?? `${describeCall(call, call.port)}: ${call.expect}`;
  try {
    const judged = await judgeCall(model, call);
    const difference = differenceOf(call, judged.outcome);
    return { index, title, ok: difference === '', difference, judged };
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    return { index, title, ok: false, difference: error.message, judged: null };
  }
}

function differenceOf(call: TestCall, outcome: Outcome): string {
  const by = deciderOf(outcome);
  const got = by === '' ? outcome.decision : `${outcome.decision} by ${by}`;
  const wanted = call.by === undefined ? call.expect : `${call.expect} by ${call.by}`;
  // A TCP connection that a rule denies is closed: both words say so.
  const denied =
    call.expect === 'deny' && outcome.decision === 'closed' && outcome.verdict !== null;
  const decided = denied || call.expect === outcome.decision;
  const decider =
    call.by === undefined || by === call.by || by.replace(/ rule \d+$/, '') === call.by;
  return decided && decider ? '' : `expected ${wanted}, got ${got}`;
}

/** `billing/admit rule 0`; '' when no rule decided. */
function deciderOf({ verdict }: Outcome): string {
  if (verdict === null || verdict.policy === '') return '';
  return `${verdict.namespace}/${verdict.policy} rule ${verdict.rule}`;
}
