// Turns the policies of a snapshot into what one workload's sidecar enforces.
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import type { MeshConfig, PathNormalization } from '#api/kinds/mesh-config.ts';
import type { PeerAuthentication } from '#api/kinds/peer-authentication.ts';
import type { RequestAuthentication } from '#api/kinds/request-authentication.ts';
import type { PolicyResource } from '#api/snapshot.ts';
import type { PortProtocol, Workload } from '#api/workload.ts';

import { appliesTo } from './attach.ts';
import { compileTokenRules, type TokenRules } from './jwt/rules.ts';
import { resolveMtls, type MtlsDecision } from './peer-authentication.ts';
import { makeRuleSet, readPolicy, type RuleSet } from './rule-set.ts';

export interface PolicyInput {
  readonly mesh: MeshConfig;
  readonly workload: Workload;
  /** The oldest first. Those that do not apply are left out here. */
  readonly policies: readonly PolicyResource[];
}

export interface CompiledPolicies {
  readonly http: RuleSet;
  readonly tcp: RuleSet;
  /** null: no RequestAuthentication applies, and tokens are not looked at. */
  readonly tokens: TokenRules | null;
  readonly normalization: PathNormalization;
  /** The trust domain, then its aliases: those of peers that may connect. */
  readonly trustDomains: readonly string[];
  portProtocol(port: number): PortProtocol;
  mtls(port: number): MtlsDecision;
}

/** Never throws: what cannot be built of a policy counts as it does in Istio. */
export function compilePolicies(input: PolicyInput): CompiledPolicies {
  const { mesh, workload, policies } = input;
  const trustDomains = [mesh.trustDomain, ...mesh.trustDomainAliases];
  const authorizations: AuthorizationPolicy[] = [];
  const authentications: RequestAuthentication[] = [];
  const peers: PeerAuthentication[] = [];
  for (const policy of policies) {
    if (policy.kind === 'PeerAuthentication') peers.push(policy);
    else if (!appliesTo(policy, workload, mesh.rootNamespace)) continue;
    else if (policy.kind === 'RequestAuthentication') authentications.push(policy);
    else authorizations.push(policy);
  }
  const models = authorizations.map((policy) => readPolicy(policy, trustDomains));
  let tcp: RuleSet | null = null;
  const protocols = new Map(workload.ports.map(({ port, protocol }) => [port, protocol]));
  return {
    http: makeRuleSet(models, 'http', mesh.extensionProviders),
    // Made when the first TCP connection comes: most workloads never see one, and it doubles time and memory.
    get tcp() {
      tcp ??= makeRuleSet(models, 'tcp', mesh.extensionProviders);
      return tcp;
    },
    tokens: compileTokenRules(authentications),
    normalization: mesh.pathNormalization.normalization,
    trustDomains,
    portProtocol: (port) => protocols.get(port) ?? 'detect',
    mtls: resolveMtls(peers, workload, mesh.rootNamespace),
  };
}
