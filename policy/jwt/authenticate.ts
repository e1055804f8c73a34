// Judges the tokens of a request against the rules: Envoy's jwt_authn filter as istiod configures it.
import type { RequestFacts, TokenFacts } from '../facts.ts';
import { claimText } from './claims.ts';
import { cutParameter, findTokens, type FoundToken, isPreflight } from './locations.ts';
import { detailsOf, statusOf, type TokenProblem } from './problems.ts';
import { plainAudience, type TokenRule, type TokenRules, type VerifiedToken } from './rules.ts';
import { checkLife, parseToken, type ParsedToken } from './token.ts';

export type TokenOutcome =
  | {
      readonly ok: true;
      /** Null when the request carried none. */
      readonly token: TokenFacts | null;
      /** Headers to cut, lower-case; before `append`. */
      readonly remove: readonly string[];
      /** The new `:path` when a parameter was cut out of it. */
      readonly path: string | null;
      readonly append: readonly (readonly [name: string, value: string])[];
    }
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
  if (isPreflight(r)) return untouched;
  const attempt = judge(rules, r, null);
  return attempt instanceof Pending ? resume(rules, r, attempt) : attempt;
}

/** RFC 6750, section 3: what a 401 says in WWW-Authenticate. */
export function challenge(r: RequestFacts): string {
  const realm = `${r.scheme}://${r.authority}${r.path}`.replaceAll(/["\\]/g, encodeURIComponent);
  return `Bearer realm="${realm}", error="invalid_token"`;
}

const untouched: TokenOutcome = { ok: true, token: null, remove: [], path: null, append: [] };

/** A signature that must be checked before the judgement can go on. */
class Pending {
  readonly rule: TokenRule;
  readonly text: string;
  readonly token: ParsedToken;

  constructor(rule: TokenRule, text: string, token: ParsedToken) {
    this.rule = rule;
    this.text = text;
    this.token = token;
  }
}

/** Signatures checked for this request. */
type Checked = Map<TokenRule, Map<string, VerifiedToken | TokenProblem>>;

// The judgement itself is synchronous and is begun anew after each signature; what is known is not checked again.
async function resume(rules: TokenRules, r: RequestFacts, first: Pending): Promise<TokenOutcome> {
  const checked: Checked = new Map();
  let attempt: TokenOutcome | Pending = first;
  while (attempt instanceof Pending) {
    const { rule, text, token } = attempt;
    const problem = await rule.keys().verify(token);
    const result = problem === '' ? remember(rule, text, token) : problem;
    let known = checked.get(rule);
    if (known === undefined) checked.set(rule, (known = new Map()));
    known.set(text, result);
    attempt = judge(rules, r, checked);
  }
  return attempt;
}

function remember(rule: TokenRule, text: string, token: ParsedToken): VerifiedToken {
  const append: [string, string][] = [];
  if (rule.payloadHeader !== '') append.push([rule.payloadHeader, token.payload]);
  for (const { header, claim } of rule.claimHeaders) {
    const value = claimText(token.claims, claim);
    if (value !== '') append.push([header, value]);
  }
  const verified: VerifiedToken = {
    facts: {
      issuer: token.issuer,
      subject: token.subject,
      payload: token.claims,
      spaceDelimitedClaims: rule.spaceDelimitedClaims,
    },
    notBefore: token.notBefore,
    expiry: token.expiry,
    append,
  };
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
  checked: Checked | null,
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
const unknownIssuer = 'Jwt issuer is not configured';

function refuse(problem: TokenProblem): TokenOutcome {
  const details = detailsOf(problem);
  return { ok: false, status: statusOf(problem), details, message: problem };
}

function applyRule(
  rule: TokenRule,
  edits: Edits,
  now: number,
  checked: Map<string, VerifiedToken | TokenProblem> | undefined,
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

function checkToken(
  rule: TokenRule,
  text: string,
  now: number,
  checked: Map<string, VerifiedToken | TokenProblem> | undefined,
): VerifiedToken | TokenProblem | Pending {
  const known = rule.verified.get(text) ?? checked?.get(text);
  if (typeof known === 'string') return known;
  if (known !== undefined) return checkLife(known, now) || known;
  const token = parseToken(text);
  if (typeof token === 'string') return token;
  if (rule.issuer !== '' && token.issuer !== rule.issuer) return unknownIssuer;
  const dated = checkLife(token, now);
  if (dated !== '') return dated;
  const { audiences } = rule;
  if (audiences !== null && !token.audiences.some((one) => audiences.has(plainAudience(one)))) {
    return 'Audiences in Jwt are not allowed';
  }
  // RFC 7515, section 4.1.11: extensions that must be understood and are not. Envoy lets them pass.
  if (token.critical) return 'Jwt verification fails';
  return new Pending(rule, text, token);
}

const nothing: readonly never[] = Object.freeze([]);

/** The request as it stands while rules take tokens out of it and put claims into it. */
class Edits {
  readonly #request: RequestFacts;
  #removed: readonly string[] = nothing;
  #append: readonly (readonly [string, string])[] = nothing;
  path: string;

  constructor(request: RequestFacts) {
    this.#request = request;
    this.path = request.path;
  }

  values(name: string): readonly string[] {
    const sent = this.#removed.includes(name) ? nothing : this.#request.values(name);
    if (this.#append.length === 0) return sent;
    const added = this.#append.filter(([header]) => header === name).map(([, value]) => value);
    return added.length === 0 ? sent : [...sent, ...added];
  }

  cut(names: readonly string[]): void {
    if (names.length === 0) return;
    const more = names.filter((name) => !this.#removed.includes(name));
    this.#removed = this.#removed.length === 0 ? more : [...this.#removed, ...more];
    if (this.#append.length > 0) this.#append = this.#append.filter(([n]) => !names.includes(n));
  }

  add(lines: readonly (readonly [string, string])[]): void {
    if (lines.length > 0) this.#append = [...this.#append, ...lines];
  }

  /** Cuts a token that served its purpose. Cookies stay, as in Envoy. */
  take(token: FoundToken): void {
    if (token.in === 'header') this.cut([token.name]);
    else if (token.in === 'parameter') this.path = cutParameter(this.path, token.name);
  }

  outcome(token: TokenFacts | null): TokenOutcome {
    const path = this.path === this.#request.path ? null : this.path;
    return { ok: true, token, remove: this.#removed, path, append: this.#append };
  }
}
