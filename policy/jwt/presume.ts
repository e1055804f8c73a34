// What would become of a request with a token that nobody can sign here: for tests of policies and explanations.
import type { RequestFacts } from '../facts.ts';
import { refuse, type TokenOutcome } from './authenticate.ts';
import { checkClaims, unknownIssuer, verifiedToken } from './check.ts';
import { Edits } from './edits.ts';
import type { TokenProblem } from './problems.ts';
import type { TokenRules } from './rules.ts';
import { parseToken } from './token.ts';

/**
 * Judges claims as if a key of their issuer had signed them; all else is checked. Tokens that the request itself
 * carries are not looked at.
 */
export function presume(
  rules: TokenRules,
  r: RequestFacts,
  claims: Readonly<Record<string, unknown>>,
): TokenOutcome {
  const payload = Buffer.from(JSON.stringify(claims)).toString('base64url');
  const token = parseToken(`${header}.${payload}.${header}`);
  if (typeof token === 'string') return refuse(token);
  const now = Math.floor(Date.now() / 1000);
  const edits = new Edits(r);
  let problem: TokenProblem = unknownIssuer;
  for (const rule of rules.rules) {
    edits.cut(rule.reserved);
    const found = checkClaims(rule, token, now);
    if (found === '') {
      const { facts, append } = verifiedToken(rule, token);
      edits.add(append);
      return edits.outcome(facts);
    }
    if (found !== unknownIssuer) problem = found;
  }
  return refuse(problem);
}

const header = Buffer.from('{"alg":"RS256"}').toString('base64url');
