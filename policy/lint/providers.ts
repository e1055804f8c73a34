// External authorizers that the mesh does not know, and workloads with two of them.
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import { nearest } from '#api/spelling.ts';
import type { Problem } from '#api/problem.ts';

import { type LintContext, namesOf, warning } from './context.ts';

export function checkProviders(context: LintContext): Problem[] {
  const custom = context.mesh.authorizationPolicies.filter(({ spec }) => spec.action === 'CUSTOM');
  return custom.flatMap((policy) => [
    ...unknownProvider(policy, context),
    ...rivals(policy, custom, context),
  ]);
}

function unknownProvider(policy: AuthorizationPolicy, { mesh }: LintContext): Problem[] {
  const name = policy.spec.provider?.name ?? '';
  const { extensionProviders } = mesh.meshConfig;
  const found = extensionProviders.find((provider) => provider.name === name);
  const say = (code: string, message: string, mend: string): Problem[] => [
    warning(policy, { code, path: 'spec.provider.name', message, mend }),
  ];
  if (found === undefined) {
    const similar = nearest(
      name,
      extensionProviders.map((provider) => provider.name),
    );
    const mend =
      similar === null ? 'add it to meshConfig.extensionProviders' : `did you mean ${similar}?`;
    const message = `there is no extension provider "${name}": all that a rule matches is refused`;
    return say('provider-unknown', message, mend);
  }
  const authorizer = found.envoyExtAuthzHttp ?? found.envoyExtAuthzGrpc;
  if (authorizer === undefined) {
    const message = `the extension provider "${name}" is no authorizer: what a rule matches is refused`;
    return say('provider-unknown', message, 'give it envoyExtAuthzHttp');
  }
  const host = authorizer.service.replace(/^[^/]*\//, '');
  if (hostsOf(mesh).has(host) || mesh.services.length + mesh.serviceEntries.length === 0) return [];
  const message =
    `the authorizer "${name}" is at ${host}, which no Service and no ServiceEntry is called: ` +
    'calls are refused';
  return say(
    'authorizer-unknown',
    message,
    'write its whole name: NAME.NAMESPACE.svc.cluster.local',
  );
}

function hostsOf(mesh: LintContext['mesh']): Set<string> {
  return new Set([
    ...mesh.services.map(
      ({ metadata }) => `${metadata.name}.${metadata.namespace}.svc.cluster.local`,
    ),
    ...mesh.serviceEntries.flatMap(({ spec }) => spec.hosts),
  ]);
}

/** Istio allows one provider for each workload: with two, both refuse. */
function rivals(
  policy: AuthorizationPolicy,
  custom: readonly AuthorizationPolicy[],
  context: LintContext,
): Problem[] {
  const own = policy.spec.provider?.name;
  for (const other of custom) {
    const name = other.spec.provider?.name;
    if (name === own) continue;
    const theirs = context.workloadsUnder(other);
    const both = context.workloadsUnder(policy).filter((workload) => theirs.includes(workload));
    if (both.length === 0) continue;
    const { namespace } = other.metadata;
    return [
      warning(policy, {
        code: 'providers-conflict',
        path: 'spec.provider.name',
        message:
          `${namesOf(both)} has two authorizers, "${own}" here and "${name}" of ` +
          `${namespace}/${other.metadata.name}: every call that a rule of either matches ` +
          'is refused',
        mend: 'use one provider for each workload',
      }),
    ];
  }
  return [];
}
