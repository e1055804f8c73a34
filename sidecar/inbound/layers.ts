// The inbound layers that judge a request: its head, its token, and the rules.
import { decide } from '#policy/decide.ts';
import { authenticate, challenge, type TokenOutcome } from '#policy/jwt/authenticate.ts';

import { admitHead } from '../admit-head.ts';
import type { Exchange } from '../exchange.ts';
import { failures, type FailureCode } from '../failures.ts';
import type { InForce } from '../in-force.ts';
import { PASS, type Layer, type Outcome } from '../request-path.ts';

/** Notes what is in force for all layers to come, and refuses heads that no policy should see. */
export function admitLayer(inForce: InForce): Layer {
  return (x) => {
    const enforced = inForce.current();
    if (enforced === null) return failures.internal;
    x.enforced = enforced;
    const refusal = admitHead(x.request, enforced.policies.normalization);
    return refusal === '' ? PASS : failures[refusal];
  };
}

/** RequestAuthentication: a bad token is refused, a good one becomes the request's identity. */
export function tokenLayer(x: Exchange): Outcome | Promise<Outcome> {
  const tokens = x.enforced?.policies.tokens;
  if (tokens === undefined || tokens === null) return PASS;
  const outcome = authenticate(tokens, x.request);
  if (!(outcome instanceof Promise)) return takeToken(x, outcome);
  return outcome.then((settled) => takeToken(x, settled));
}

/** AuthorizationPolicy: DENY, then ALLOW. */
export function authorizeLayer(x: Exchange): Outcome {
  const { enforced } = x;
  if (enforced === null) return failures.internal;
  const verdict = decide(enforced.policies.http, x.downstream.facts, x.request);
  x.verdict = verdict;
  if (verdict.allowed) return PASS;
  x.details = verdict.details;
  return failures.denied;
}

function takeToken(x: Exchange, outcome: TokenOutcome): Outcome {
  const { request } = x;
  if (!outcome.ok) {
    x.details = outcome.details;
    const code: FailureCode = outcome.status === 403 ? 'audience-refused' : 'token-refused';
    if (outcome.status === 401) {
      x.replyHeaders = `www-authenticate: ${challenge(request)}\r\n`;
    }
    return { ...failures[code], details: outcome.details, body: outcome.message };
  }
  request.token = outcome.token;
  for (const name of outcome.remove) request.removeSpellings(name);
  if (outcome.path !== null) request.setPath(outcome.path);
  for (const [name, value] of outcome.append) request.append(name, value);
  return PASS;
}
