// Puts fetched keys into the rules that name where they are, so that a sidecar never fetches any.
import type { JwtRule, RequestAuthentication } from '#api/kinds/request-authentication.ts';
import type { Problem } from '#api/problem.ts';
import { durationMsOf } from '#api/validate/request-authentication.ts';

import type { KeySource } from './fetch.ts';
import type { KeyState, WantedKeys } from './key-sets.ts';

/** What a rule gets for keys that cannot be had: every token of the issuer fails, as in Istio. */
const noKeys = '{"keys":[]}';
const timeoutDefaultMs = 5000;

/** The key sets that policies want; a rule with keys of its own wants none. */
export function wantedKeys(policies: readonly RequestAuthentication[]): WantedKeys[] {
  return policies.flatMap((policy) =>
    policy.spec.jwtRules.flatMap((rule) => {
      const source = sourceOf(rule);
      const timeoutMs = durationMsOf(rule.timeout) ?? timeoutDefaultMs;
      return source === null ? [] : [{ ...source, timeoutMs }];
    }),
  );
}

/** Policies with keys in place, and a warning for each rule without. Unchanged input gives the same objects. */
export class KeyResolver {
  readonly #done = new WeakMap<
    RequestAuthentication,
    { readonly keys: readonly (string | null)[]; readonly policy: RequestAuthentication }
  >();

  resolve(
    policies: readonly RequestAuthentication[],
    stateOf: (source: KeySource) => KeyState,
  ): { policies: RequestAuthentication[]; problems: Problem[] } {
    const problems: Problem[] = [];
    const resolved = policies.map((policy) => {
      const keys = policy.spec.jwtRules.map((rule, index) => {
        const source = sourceOf(rule);
        if (source === null) return null;
        const state = stateOf(source);
        if (state.error !== null) problems.push(problemOf(policy, index, state));
        return state.keys ?? noKeys;
      });
      const before = this.#done.get(policy);
      if (before !== undefined && before.keys.every((set, i) => set === keys[i])) {
        return before.policy;
      }
      const withKeys = insertKeys(policy, keys);
      this.#done.set(policy, { keys, policy: withKeys });
      return withKeys;
    });
    return { policies: resolved, problems };
  }
}

function sourceOf(rule: JwtRule): KeySource | null {
  const uri = rule.jwksUri ?? '';
  if (uri !== '') return { uri, issuer: rule.issuer };
  if ((rule.jwks ?? '') !== '' || rule.issuer === '') return null;
  return { uri: '', issuer: rule.issuer };
}

function insertKeys(
  policy: RequestAuthentication,
  keys: readonly (string | null)[],
): RequestAuthentication {
  if (keys.every((set) => set === null)) return policy;
  const jwtRules = policy.spec.jwtRules.map((rule, index) => {
    const jwks = keys[index] ?? null;
    if (jwks === null) return rule;
    const { jwksUri: _, ...rest } = rule;
    return { ...rest, jwks };
  });
  return { ...policy, spec: { ...policy.spec, jwtRules } };
}

function problemOf(policy: RequestAuthentication, index: number, state: KeyState): Problem {
  const rule = policy.spec.jwtRules[index];
  const { namespace, name } = policy.metadata;
  const at = `spec.jwtRules[${index}]`;
  const lines = policy.origin?.lines;
  const consequence =
    state.keys === null ? 'its tokens are refused with 401' : 'the last good keys stay in use';
  return {
    severity: 'warning',
    code: 'jwks-unavailable',
    message: `the keys of issuer "${rule?.issuer ?? ''}" cannot be fetched: ${state.error ?? ''}; ${consequence}`,
    mend: 'check that control can reach the address, or write the keys into `jwks`',
    file: policy.origin?.file,
    line: lines?.[`${at}.jwksUri`] ?? lines?.[at] ?? policy.origin?.line,
    resource: `RequestAuthentication ${namespace}/${name}`,
  };
}
