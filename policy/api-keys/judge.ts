// Who calls, by the API key of a request: one function for the sidecar, `explain` and `test`.
import type { ConnectionFacts, RequestFacts } from '../facts.ts';
import { Edits, type TokenEdits } from '../jwt/edits.ts';
import type { ApiKeys, KeyRule } from './compile.ts';

export type KeyProblem = 'missing' | 'duplicated' | 'unknown';

export type KeyOutcome =
  | {
      readonly ok: true;
      /** '': nobody who is known, and nobody need be. */
      readonly consumer: string;
      readonly edits: TokenEdits;
    }
  | {
      readonly ok: false;
      readonly problem: KeyProblem;
      /** `missing_api_key` */
      readonly details: string;
      /** The body: `API key missing`. */
      readonly message: string;
      /** The rule that asked for it, of several the last. */
      readonly source: string;
    };

const messages: Readonly<Record<KeyProblem, string>> = {
  missing: 'API key missing',
  duplicated: 'more than one API key',
  unknown: 'API key unknown',
};
/** Of several, what is told: the one that is nearest to a good key. */
const weights: Readonly<Record<KeyProblem, number>> = { missing: 0, duplicated: 1, unknown: 2 };

/** A key that any of the rules knows is enough; without one all that match must be content. */
export function judgeKeys(
  { rules, consumerHeaders }: ApiKeys,
  connection: ConnectionFacts,
  request: RequestFacts,
): KeyOutcome {
  const edits = new Edits(request);
  edits.cut(consumerHeaders);
  const asking = rules.filter(({ matches }) => matches?.(connection, request) ?? true);
  let worst: KeyProblem | null = null;
  let source = '';
  let isOptional = true;
  for (const rule of asking) {
    const found = keyOf(rule, request);
    const consumer = typeof found === 'string' ? '' : rule.consumerOf(found.key);
    if (consumer !== '') return admit(edits, asking, rule, consumer);
    const problem = typeof found === 'string' ? found : 'unknown';
    if (worst === null || weights[problem] >= weights[worst])
      [worst, source] = [problem, rule.source];
    isOptional &&= rule.optional;
  }
  if (worst === null || (worst === 'missing' && isOptional)) {
    return { ok: true, consumer: '', edits: edits.outcome(null) };
  }
  return {
    ok: false,
    problem: worst,
    details: `${worst}_api_key`,
    message: messages[worst],
    source,
  };
}

/** The first place that has something counts: a second key elsewhere changes nothing. */
function keyOf({ places }: KeyRule, request: RequestFacts): { readonly key: string } | KeyProblem {
  for (const place of places) {
    const keys = place.find(request).filter((key) => key !== '');
    if (keys.length > 1) return 'duplicated';
    const [key] = keys;
    if (key !== undefined) return { key };
  }
  return 'missing';
}

function admit(
  edits: Edits,
  asking: readonly KeyRule[],
  { consumerHeader }: KeyRule,
  consumer: string,
): KeyOutcome {
  for (const { hideKey, places } of asking) {
    if (hideKey) for (const place of places) place.cut(edits);
  }
  if (consumerHeader !== '') edits.add([[consumerHeader, consumer]]);
  return { ok: true, consumer, edits: edits.outcome(null) };
}
