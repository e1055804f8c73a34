// Judges the tokens of a request against the rules: Envoy's jwt_authn filter as istiod configures it.
import type { RequestFacts, TokenFacts } from '../facts.ts';
import { type Checked, checkToken, Pending, unknownIssuer, verifiedToken } from './check.ts';
import { Edits, type TokenEdits } from './edits.ts';
import { findTokens, isPreflight } from './locations.ts';
import { detailsOf, statusOf, type TokenProblem } from './problems.ts';
import type { TokenRule, TokenRules, VerifiedToken } from './rules.ts';

export type TokenOutcome =
  | TokenEdits
  | {
      readonly ok: false;
      readonly status: 401 | 403;
      /** `jwt_authn_access_denied{Jwt_is_expired}` */
      readonly details: string;
      /** The body: `Jwt is expired`. */
      readonly message: string;
    };

/**
 * Synchronous unless a signature has to be checked: tokens that were verified before are remembered.
 * Never throws, and the promise never rejects.
 */
export function authenticate(
  rules: TokenRules,
  r: RequestFacts,
): TokenOutcome | Promise<TokenOutcome> {
  if (isPreflight(r)) return preflight(rules, r);
  const attempt = judge(rules, r, null);
  return attempt instanceof Pending ? resume(rules, r, attempt) : attempt;
}

/** The answer to a token with this problem. */
export function refuse(problem: TokenProblem): TokenOutcome {
  const details = detailsOf(problem);
  return { ok: false, status: statusOf(problem), details, message: problem };
}

/** RFC 6750, section 3: what a 401 says in WWW-Authenticate. Long addresses are cut, as in Envoy. */
export function challenge(r: RequestFacts): string {
  const address = `${r.scheme}://${r.authority}${r.path}`.slice(0, addressLengthMax);
  const realm = address.replaceAll(/["\\]/g, encodeURIComponent);
  return `Bearer realm="${realm}", error="invalid_token"`;
}

const addressLengthMax = 256;

/** Envoy looks at nothing then, and a client's own claim headers reach the application. */
function preflight(rules: TokenRules, r: RequestFacts): TokenOutcome {
  const edits = new Edits(r);
  for (const rule of rules.rules) edits.cut(rule.reserved);
  return edits.outcome(null);
}

// The judgement itself is synchronous and is begun anew after each signature; what is known is not checked again.
async function resume(rules: TokenRules, r: RequestFacts, first: Pending): Promise<TokenOutcome> {
  const checked = new Map<TokenRule, Checked>();
  let attempt: TokenOutcome | Pending = first;
  while (attempt instanceof Pending) {
    const { rule, text } = attempt;
    let known = checked.get(rule);
    if (known === undefined) checked.set(rule, (known = new Map()));
    known.set(text, await checkSignature(attempt));
    attempt = judge(rules, r, checked);
  }
  return attempt;
}

async function checkSignature({
  rule,
  text,
  token,
}: Pending): Promise<VerifiedToken | TokenProblem> {
  const problem = await rule.keys().verify(token);
  if (problem !== '') return problem;
  const verified = verifiedToken(rule, token);
  rule.verified.set(text, verified);
  return verified;
}

/**
 * One rule: every token in its places must be good, or there is none. Several: the first rule that is satisfied
 * decides; else each must be without a token.
 */
function judge(
  rules: TokenRules,
  r: RequestFacts,
  checked: ReadonlyMap<TokenRule, Checked> | null,
): TokenOutcome | Pending {
  const edits = new Edits(r);
  const now = Math.floor(Date.now() / 1000);
  let firstProblem: TokenProblem = missing;
  let lastSpecific: TokenProblem = missing;
  for (const rule of rules.rules) {
    const result = applyRule(rule, edits, now, checked?.get(rule));
    if (result instanceof Pending) return result;
    if (typeof result !== 'string') return edits.outcome(result);
    if (result === missing) continue;
    if (firstProblem === missing) firstProblem = result;
    if (result !== unknownIssuer) lastSpecific = result;
  }
  if (firstProblem === missing) return edits.outcome(null);
  // Envoy reports the first problem, unless all that one says is that the issuer is another rule's.
  return refuse(
    firstProblem === unknownIssuer && lastSpecific !== missing ? lastSpecific : firstProblem,
  );
}

const missing = 'Jwt is missing';

function applyRule(
  rule: TokenRule,
  edits: Edits,
  now: number,
  checked: Checked | undefined,
): TokenFacts | TokenProblem | Pending {
  edits.cut(rule.reserved);
  const found = findTokens(rule.locations, edits);
  let facts: TokenFacts | null = null;
  // The last place first, as in Envoy: so the first place's token is the one that stays.
  for (let i = found.length - 1; i >= 0; i--) {
    const one = found[i];
    if (one === undefined) continue;
    const result = checkToken(rule, one.text, now, checked);
    if (result instanceof Pending || typeof result === 'string') return result;
    edits.add(result.append);
    if (!rule.forward) edits.take(one);
    facts = result.facts;
  }
  return facts ?? missing;
}
