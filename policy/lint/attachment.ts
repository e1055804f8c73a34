// What policies apply to: selectors that find nothing, workloads without sidecars, targetRefs.
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import type { RequestAuthentication } from '#api/kinds/request-authentication.ts';
import type { Problem } from '#api/problem.ts';

import { appliesTo } from '../attach.ts';
import { type LintContext, listed, namesOf, warning } from './context.ts';
import { labelsOf } from './services.ts';

type Policy = AuthorizationPolicy | RequestAuthentication;

export function checkAttachment(context: LintContext): Problem[] {
  const { mesh } = context;
  const policies: Policy[] = [...mesh.authorizationPolicies, ...mesh.requestAuthentications];
  return policies.flatMap((policy) => checkPolicy(policy, context));
}

function checkPolicy(policy: Policy, context: LintContext): Problem[] {
  const { targetRef, targetRefs = [], selector } = policy.spec;
  if (targetRef !== undefined || targetRefs.length > 0) {
    return [
      warning(policy, {
        code: 'target-ignored',
        path: targetRef === undefined ? 'spec.targetRefs' : 'spec.targetRef',
        message: 'a policy with targetRefs is for gateways: no sidecar takes any notice of it',
        mend: 'use selector.matchLabels for workloads',
      }),
    ];
  }
  const { workloads, mesh } = context;
  if (workloads.length === 0) return [];
  const { rootNamespace } = mesh.meshConfig;
  const { namespace } = policy.metadata;
  const isRoot = namespace === rootNamespace;
  const chosen = workloads.filter((workload) => appliesTo(policy, workload, rootNamespace));
  const labels = selector?.matchLabels ?? {};
  const hasLabels = Object.keys(labels).length > 0;
  if (chosen.length === 0) {
    if (!hasLabels && isRoot) return [];
    const where = isRoot ? 'the mesh' : namespace;
    return [
      warning(policy, {
        code: hasLabels ? 'selector-matches-nothing' : 'namespace-without-workloads',
        path: hasLabels ? 'spec.selector.matchLabels' : 'metadata.namespace',
        message: hasLabels
          ? `no workload in ${where} has the labels ${labelsOf(labels)}: nothing is enforced`
          : `there is no workload in ${where}: nothing is enforced`,
        mend: hasLabels
          ? 'compare them with the labels of the pod template'
          : 'put the policy into the namespace of the workloads that it is for',
      }),
    ];
  }
  if (chosen.every(({ injected }) => !injected)) {
    return [
      warning(policy, {
        code: 'sidecar-missing',
        path: hasLabels ? 'spec.selector.matchLabels' : 'metadata.namespace',
        message: `${namesOf(chosen)} has no sidecar: nothing is enforced`,
        mend: 'add the annotation inject: "true" to the workload',
      }),
    ];
  }
  const homes = chosen.map((workload) => workload.namespace).filter((home) => home !== namespace);
  if (!isRoot || !hasLabels || homes.length === 0) return [];
  return [
    warning(policy, {
      code: 'selector-in-root',
      path: 'spec.selector',
      message:
        `in the root namespace ${rootNamespace} a selector chooses in every namespace: ` +
        `this policy also holds in ${listed(homes)}`,
      mend: 'put the policy into one namespace if that is not meant',
    }),
  ];
}
