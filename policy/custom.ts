// CUSTOM policies: which external authorizer is to be asked about a call, and what a refusal is called.
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import type { ExtensionProvider } from '#api/kinds/mesh-config.ts';

import { makeGroup, type CompiledRule, type RuleGroup } from './rule-group.ts';

/** The rules that send a call to one authorizer. */
export interface CustomGroup {
  /** null: unknown, or not the only one on the workload; then what matches is denied. */
  readonly provider: ExtensionProvider | null;
  /** `provider.name` of the policies. */
  readonly providerName: string;
  readonly group: RuleGroup;
}

export interface CustomRules {
  readonly policy: AuthorizationPolicy;
  readonly rules: readonly Omit<CompiledRule, 'order'>[];
}

/**
 * Groups CUSTOM rules by authorizer, in the order of their names. An HTTP authorizer does nothing on TCP.
 * @param providers meshConfig.extensionProviders
 */
export function customGroups(
  policies: readonly CustomRules[],
  providers: readonly ExtensionProvider[],
  chain: 'http' | 'tcp',
): readonly CustomGroup[] {
  const names = new Set(policies.map(({ policy }) => policy.spec.provider?.name ?? ''));
  return [...names].toSorted().flatMap((providerName): CustomGroup[] => {
    const provider = names.size > 1 ? null : findProvider(providers, providerName);
    if (chain === 'tcp' && provider !== null && provider.envoyExtAuthzGrpc === undefined) return [];
    const rules = policies
      .filter(({ policy }) => (policy.spec.provider?.name ?? '') === providerName)
      .flatMap((one) => one.rules)
      .map((rule) => withRefusal(rule, providerName, provider !== null));
    return [{ provider, providerName, group: makeGroup(rules) }];
  });
}

function findProvider(
  providers: readonly ExtensionProvider[],
  name: string,
): ExtensionProvider | null {
  const found = providers.find((provider) => provider.name === name);
  const usable = found?.envoyExtAuthzHttp !== undefined || found?.envoyExtAuthzGrpc !== undefined;
  return found !== undefined && usable ? found : null;
}

function withRefusal(
  rule: Omit<CompiledRule, 'order'>,
  providerName: string,
  asked: boolean,
): Omit<CompiledRule, 'order'> {
  const prefix = providerName === '' ? 'istio-ext-authz-' : `istio-ext-authz-${providerName}-`;
  const name = `${prefix}${rule.name}-deny-due-to-bad-CUSTOM-action`;
  const details = asked ? 'ext_authz_denied' : `rbac_access_denied_matched_policy[${name}]`;
  return { ...rule, verdict: { ...rule.verdict, decidedBy: 'CUSTOM', details } };
}
