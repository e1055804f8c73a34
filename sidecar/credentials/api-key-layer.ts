// The inbound layer that asks for API keys: a good one makes its owner known, a bad one is refused.
import type { Exchange } from '../exchange.ts';
import { failures, type Failure } from '../failures.ts';
import { PASS, type Outcome } from '../request-path.ts';
import type { ApiKeys, KeyRule } from './api-keys.ts';

type Problem = 'missing' | 'duplicated' | 'unknown';

const texts: Readonly<Record<Problem, string>> = {
  missing: 'API key missing',
  duplicated: 'more than one API key',
  unknown: 'API key unknown',
};
/** Of several, what is told: the one that is nearest to a good key. */
const weights: Readonly<Record<Problem, number>> = { missing: 0, duplicated: 1, unknown: 2 };

/** Costs a look where no key is asked for. */
export function apiKeyLayer(x: Exchange): Outcome {
  const keys = x.enforced?.apiKeys ?? null;
  return keys === null ? PASS : judge(x, keys);
}

/** A key that any of the rules knows is enough; without one all that match must be content. */
function judge(x: Exchange, { rules, consumerHeaders }: ApiKeys): Outcome {
  const { request } = x;
  for (const name of consumerHeaders) request.removeSpellings(name);
  const asking = rules.filter(({ matches }) => matches?.(x.downstream.facts, request) ?? true);
  let worst: Problem | null = null;
  let isOptional = true;
  for (const rule of asking) {
    const found = keyOf(rule, x);
    const consumer = typeof found === 'string' ? '' : rule.consumerOf(found.key);
    if (consumer !== '') return admit(x, asking, rule, consumer);
    const problem = typeof found === 'string' ? found : 'unknown';
    if (worst === null || weights[problem] > weights[worst]) worst = problem;
    isOptional &&= rule.optional;
  }
  if (worst === null || (worst === 'missing' && isOptional)) return PASS;
  return refuse(x, worst);
}

/** The first place that has something counts: a second key elsewhere changes nothing. */
function keyOf({ places }: KeyRule, x: Exchange): { readonly key: string } | Problem {
  for (const place of places) {
    const keys = place.find(x.request).filter((key) => key !== '');
    if (keys.length > 1) return 'duplicated';
    const [key] = keys;
    if (key !== undefined) return { key };
  }
  return 'missing';
}

function admit(x: Exchange, asking: readonly KeyRule[], rule: KeyRule, consumer: string): Outcome {
  x.consumer = consumer;
  if (rule.consumerHeader !== '') x.request.append(rule.consumerHeader, consumer);
  for (const { hideKey, places } of asking) {
    if (hideKey) for (const place of places) place.cut(x.request);
  }
  return PASS;
}

function refuse(x: Exchange, problem: Problem): Failure {
  const realm = x.enforced?.snapshot.workload.name ?? '';
  x.replyHeaders = `www-authenticate: Key realm="${realm}", error="${problem}_key"\r\n`;
  x.details = `${problem}_api_key`;
  return { ...failures['key-refused'], body: texts[problem] };
}
