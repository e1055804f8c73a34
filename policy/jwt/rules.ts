// RequestAuthentication compiled: which tokens are believed, where they are, and what becomes of them.
import type { JwtRule, RequestAuthentication } from '#api/kinds/request-authentication.ts';

import type { TokenFacts } from '../facts.ts';
import { TokenCache } from './cache.ts';
import { type KeySet, readKeySet } from './jose.ts';
import { type Locations, locationsOf } from './locations.ts';

/** All rules in force at a workload. A request may carry no token; one that it carries must be good. */
export interface TokenRules {
  /** By issuer, as Istio orders them. */
  readonly rules: readonly TokenRule[];
}

export interface TokenRule {
  /** '' = any. */
  readonly issuer: string;
  /** Without scheme and final slash; null = any. */
  readonly audiences: ReadonlySet<string> | null;
  readonly locations: Locations;
  /** Lower-case: the headers that this rule writes, so no client may set them. */
  readonly reserved: readonly string[];
  /** Lower-case; '' = none. */
  readonly payloadHeader: string;
  readonly claimHeaders: readonly { readonly header: string; readonly claim: string }[];
  /** The token stays in the request. */
  readonly forward: boolean;
  readonly spaceDelimitedClaims: readonly string[];
  /** Reads the key set on first use: a workload may never see a token. */
  keys(): KeySet;
  readonly verified: TokenCache<VerifiedToken>;
}

/** What is left to do when a token comes again: to look at the clock. */
export interface VerifiedToken {
  readonly facts: TokenFacts;
  /** Seconds since 1970; 0: none. */
  readonly notBefore: number;
  readonly expiry: number;
  /** Headers to add, name and value. */
  readonly append: readonly (readonly [name: string, value: string])[];
}

/**
 * Compiles the rules of all RequestAuthentications that apply to a workload; null when they hold none.
 * A rule whose keys cannot be read stays: every token of its issuer fails.
 */
export function compileTokenRules(policies: readonly RequestAuthentication[]): TokenRules | null {
  const rules = policies.flatMap((policy) => policy.spec.jwtRules).map(compileRule);
  if (rules.length === 0) return null;
  rules.sort((a, b) => (a.issuer < b.issuer ? -1 : a.issuer > b.issuer ? 1 : 0));
  return { rules };
}

/** In `aud`, "https://foo/" and "foo" are the same. */
export function plainAudience(audience: string): string {
  return audience.replace(/^https?:\/\//, '').replace(/\/$/, '');
}

function compileRule(rule: JwtRule): TokenRule {
  const payloadHeader = (rule.outputPayloadToHeader ?? '').toLowerCase();
  const claimHeaders = (rule.outputClaimToHeaders ?? []).map(({ header, claim }) => ({
    header: header.toLowerCase(),
    claim,
  }));
  const reserved = claimHeaders.map(({ header }) => header);
  if (payloadHeader !== '') reserved.unshift(payloadHeader);
  const audiences = rule.audiences ?? [];
  let keys: KeySet | null = null;
  return {
    issuer: rule.issuer,
    audiences: audiences.length === 0 ? null : new Set(audiences.map(plainAudience)),
    locations: locationsOf(rule),
    reserved: [...new Set(reserved)],
    payloadHeader,
    claimHeaders,
    forward: rule.forwardOriginalToken,
    spaceDelimitedClaims: rule.spaceDelimitedClaims ?? [],
    keys: () => (keys ??= readKeySet(rule.jwks ?? '')),
    verified: new TokenCache(),
  };
}
