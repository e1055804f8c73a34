// What would become of a call if the policies under trial were enforced, by what the sidecar says each of them would do.
import type { CallRecord } from '#api/call-record.ts';

/** `uncovered`: it is allowed by other policies, and no ALLOW policy under trial would. */
export type Effect = 'none' | 'deny' | 'allow' | 'uncovered';

export interface Effects {
  readonly effect: Effect;
  /** Of the policies that make it so. */
  readonly sentences: readonly string[];
}

interface Trial {
  readonly policy: string;
  readonly action: string;
  readonly matches: boolean;
  readonly sentence: string;
}

/** Null: no policy under trial is about it. @param only `namespace/name`; null: all of them, at once */
export function effectsOf(call: CallRecord, only: string | null): Effects | null {
  const trials = (call.dryRun ?? [])
    .flatMap((sentence) => trialOf(sentence) ?? [])
    .filter(({ policy }) => only === null || policy === only);
  if (trials.length === 0 || call.verdict === null) return null;
  const denying = trials.filter(({ action, matches }) => action === 'DENY' && matches);
  const allows = trials.filter(({ action }) => action === 'ALLOW');
  const matching = allows.filter(({ matches }) => matches);
  if (call.verdict === 'deny') {
    // A rule that denies stands above all that allows.
    const byDefault = call.policy === null && call.why.startsWith('denied: no rule of');
    const isAllowed = byDefault && matching.length > 0 && denying.length === 0;
    return { effect: isAllowed ? 'allow' : 'none', sentences: sentences(matching) };
  }
  if (denying.length > 0) return { effect: 'deny', sentences: sentences(denying) };
  if (allows.length === 0 || matching.length > 0) return { effect: 'none', sentences: [] };
  // Without any ALLOW policy everything is allowed; with the first, only what it names.
  return { effect: call.policy === null ? 'deny' : 'uncovered', sentences: sentences(allows) };
}

function sentences(those: readonly Trial[]): string[] {
  return those.map(({ sentence }) => sentence);
}

/** `shop/p (dry run, DENY) would deny by rule 0 (shop.yaml:3)`, `… would not match`. */
function trialOf(sentence: string): Trial | null {
  const [, policy, action, what] = /^(\S+) \(dry run, (\w+)\) would (.*)$/s.exec(sentence) ?? [];
  if (policy === undefined || action === undefined || what === undefined) return null;
  return { policy, action, matches: what !== 'not match', sentence };
}
