// One token against one rule: its form, its claims, and what is remembered of its signature.
import { claimText } from './claims.ts';
import type { TokenProblem } from './problems.ts';
import { plainAudience, type TokenRule, type VerifiedToken } from './rules.ts';
import { checkLife, parseToken, type ParsedToken } from './token.ts';

/** A signature that must be checked before the judgement can go on. */
export class Pending {
  readonly rule: TokenRule;
  readonly text: string;
  readonly token: ParsedToken;

  constructor(rule: TokenRule, text: string, token: ParsedToken) {
    this.rule = rule;
    this.text = text;
    this.token = token;
  }
}

/** What became of the signatures that were checked for this request, by token; for one rule. */
export type Checked = Map<string, VerifiedToken | TokenProblem>;

export const unknownIssuer = 'Jwt issuer is not configured';

/** Everything but the signature; that, too, where it was checked before. */
export function checkToken(
  rule: TokenRule,
  text: string,
  now: number,
  checked: Checked | undefined,
): VerifiedToken | TokenProblem | Pending {
  const known = rule.verified.get(text) ?? checked?.get(text);
  if (typeof known === 'string') return known;
  if (known !== undefined) return checkLife(known, now) || known;
  const token = parseToken(text);
  if (typeof token === 'string') return token;
  const problem = checkClaims(rule, token, now);
  if (problem !== '') return problem;
  // RFC 7515, section 4.1.11: extensions that must be understood and are not. Envoy lets them pass.
  if (token.critical) return 'Jwt verification fails';
  return new Pending(rule, text, token);
}

/** All that can be said of a token before its signature is checked. */
export function checkClaims(rule: TokenRule, token: ParsedToken, now: number): TokenProblem | '' {
  if (rule.issuer !== '' && token.issuer !== rule.issuer) return unknownIssuer;
  const dated = checkLife(token, now);
  if (dated !== '') return dated;
  const { audiences } = rule;
  if (audiences !== null && !token.audiences.some((one) => audiences.has(plainAudience(one)))) {
    return 'Audiences in Jwt are not allowed';
  }
  return '';
}

/** What is to be known of a token that is good. */
export function verifiedToken(rule: TokenRule, token: ParsedToken): VerifiedToken {
  const append: [string, string][] = [];
  if (rule.payloadHeader !== '') append.push([rule.payloadHeader, token.payload]);
  for (const { header, claim } of rule.claimHeaders) {
    const value = claimText(token.claims, claim);
    if (value !== '') append.push([header, value]);
  }
  return {
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
}
