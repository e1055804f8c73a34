// Fields about the caller's token: its principal, audiences, presenter and claims.
import type { TokenFacts } from '../facts.ts';
import {
  claimTest,
  readClaimPath,
  readRequestPrincipal,
  showClaim,
  type TokenTest,
} from '../match/claims.ts';
import { readPattern } from '../match/text.ts';
import { allKeys, textKeys, type Attribute, type Matcher } from './condition.ts';

/** `requestPrincipals`, `request.auth.principal`: `issuer/subject`. */
export const requestPrincipals: Attribute = {
  http: true,
  build(values) {
    const principals = values.map(readRequestPrincipal);
    return tokenMatcher(
      (token) => {
        for (const principal of principals) if (principal.test(token)) return true;
        return false;
      },
      allKeys(principals, ({ exact }) =>
        exact === null
          ? null
          : { kind: 'text', space: exact.claim, form: 'exact', text: exact.text },
      ),
    );
  },
  got: (_, r) => (r?.token ? showPrincipal(r.token) : ''),
};

/** `request.auth.audiences`. */
export const audiences: Attribute = claimAttribute('[aud]');

/** `request.auth.presenter`. */
export const presenters: Attribute = claimAttribute('[azp]');

/** `request.auth.claims[a][b]`. @param brackets the key after `request.auth.claims` */
export function claims(brackets: string): Attribute {
  return claimAttribute(brackets);
}

function claimAttribute(brackets: string): Attribute {
  const path = readClaimPath(brackets);
  return {
    http: true,
    build(values) {
      if (path === null) return { any: null, broken: values, keys: null };
      return tokenMatcher(
        claimTest(path, values),
        textKeys(`claim:${brackets}`, values.map(readPattern)),
      );
    },
    got: (_, r) => (path !== null && r?.token ? (showClaim(r.token, path) ?? '') : ''),
  };
}

function tokenMatcher(test: TokenTest, keys: Matcher['keys']): Matcher {
  return { any: (_, r) => r !== null && r.token !== null && test(r.token), broken: [], keys };
}

function showPrincipal({ payload }: TokenFacts): string {
  const [issuer, subject] = [payload['iss'], payload['sub']];
  return `${typeof issuer === 'string' ? issuer : ''}/${typeof subject === 'string' ? subject : ''}`;
}
