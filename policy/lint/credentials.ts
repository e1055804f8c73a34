// API keys and exchanged tokens: names of callers that anyone can send, hosts that nobody has.
import type { ApiKeyAuthentication } from '#api/kinds/api-key-authentication.ts';
import type { ExtensionResource } from '#api/kinds/extension.ts';
import type { TokenExchange } from '#api/kinds/token-exchange.ts';
import { joinIndex } from '#api/origin.ts';
import type { Problem } from '#api/problem.ts';

import { extensionApplies, servicesByName } from '../attach.ts';
import { type LintContext, namesOf, warning } from './context.ts';
import type { PolicyValue } from './values.ts';

export function checkCredentials(context: LintContext): Problem[] {
  const { extensions } = context.mesh;
  if (extensions.length === 0) return [];
  return [
    ...extensions.filter(isExchange).flatMap((one) => checkHosts(one, context)),
    ...context.values.flatMap((at) => checkConsumer(at, context)),
  ];
}

/** A header that tells the caller of an API key is only true where a sidecar writes it. */
function checkConsumer(at: PolicyValue, context: LintContext): Problem[] {
  const { policy, path, label, field, name } = at;
  // A header has one condition and many values: said once.
  if (field !== 'headers' || !path.endsWith('[0]')) return [];
  const { extensions } = context.mesh;
  const telling = extensions.filter(
    (one) => isApiKeys(one) && one.spec.forwardConsumerHeader.toLowerCase() === name.toLowerCase(),
  );
  if (telling.length === 0) return [];
  const services = servicesByName(context.mesh.services);
  const { rootNamespace } = context.mesh.meshConfig;
  const open = context
    .workloadsUnder(policy)
    .filter(
      (workload) =>
        !telling.some((one) => extensionApplies(one, workload, services, rootNamespace)),
    );
  if (open.length === 0) return [];
  const message = `${label}: no ApiKeyAuthentication is for ${namesOf(open)}, so callers there can send this header themselves`;
  const mend = 'choose the same workloads in both';
  return [warning(policy, { code: 'consumer-forgeable', path, message, mend })];
}

function checkHosts(one: TokenExchange, { mesh }: LintContext): Problem[] {
  if (mesh.services.length + mesh.serviceEntries.length === 0) return [];
  const known = new Set([
    ...mesh.services.map(({ metadata }) => `${metadata.name}.${metadata.namespace}`),
    ...mesh.serviceEntries.flatMap(({ spec }) => spec.hosts),
  ]);
  const isMissing = (host: string): boolean =>
    /\.svc(\.|$)/.test(host) &&
    !host.startsWith('*') &&
    !known.has(host.replace(/\.svc(\..*)?$/, '')) &&
    !known.has(host);
  const problems = one.spec.hosts.filter(isMissing).map((host) => {
    const message = `no Service and no ServiceEntry is called ${host}: no call gets this token`;
    const path = joinIndex('spec.hosts', one.spec.hosts.indexOf(host));
    return warning(one, { code: 'host-unknown', path, message });
  });
  const endpoint = new URL(one.spec.tokenEndpoint).hostname;
  if (!isMissing(endpoint)) return problems;
  const message = `the token endpoint is at ${endpoint}, which no Service is called: calls are refused`;
  return [...problems, warning(one, { code: 'host-unknown', path: 'spec.tokenEndpoint', message })];
}

function isExchange(one: ExtensionResource): one is ExtensionResource & TokenExchange {
  return one.kind === 'TokenExchange';
}

function isApiKeys(one: ExtensionResource): one is ExtensionResource & ApiKeyAuthentication {
  return one.kind === 'ApiKeyAuthentication';
}
