<<<<<<<< HEAD:policy/lint/extensions.ts
// Kinds of our own: Services that are not there, and workloads that nobody has or that have no sidecar.
========
// API keys and exchanged tokens: names of callers that anyone can send, hosts that nobody has.
import type { ApiKeyAuthentication } from '#api/kinds/api-key-authentication.ts';
>>>>>>>> h-edge:policy/lint/credentials.ts
import type { ExtensionResource } from '#api/kinds/extension.ts';
import { type MeshWorkload, selects } from '#api/mesh.ts';
import { joinIndex } from '#api/origin.ts';
import type { Problem } from '#api/problem.ts';

import { type LintContext, namesOf, warning } from './context.ts';
<<<<<<<< HEAD:policy/lint/extensions.ts
import { labelsOf } from './services.ts';

export function checkExtensions(context: LintContext): Problem[] {
  return context.mesh.extensions.flatMap((resource) => checkOne(resource, context));
}

function checkOne(resource: ExtensionResource, context: LintContext): Problem[] {
  const { workloads } = context;
  if (workloads.length === 0) return [];
  const { targetRefs = [] } = resource.spec;
  return targetRefs.length === 0
    ? checkSelector(resource, context)
    : targetRefs.flatMap((_, i) => checkTarget(resource, i, context));
}

function checkSelector(resource: ExtensionResource, { mesh, workloads }: LintContext): Problem[] {
  const { metadata, spec, kind } = resource;
  const { namespace } = metadata;
  const isRoot = namespace === mesh.meshConfig.rootNamespace;
  const labels = spec.selector?.matchLabels ?? {};
  const chosen = workloads.filter(
    (workload) => (isRoot || workload.namespace === namespace) && selects(labels, workload.labels),
  );
  const path = spec.selector === undefined ? 'metadata.namespace' : 'spec.selector.matchLabels';
  if (chosen.length > 0) return withoutSidecar(resource, path, chosen);
  const where = isRoot ? 'the mesh' : namespace;
  const message =
    spec.selector === undefined
      ? `there is no workload in ${where}: this ${kind} does nothing`
      : `no workload in ${where} has the labels ${labelsOf(labels)}: this ${kind} does nothing`;
  const code =
    spec.selector === undefined ? 'namespace-without-workloads' : 'selector-matches-nothing';
  const mend = 'compare them with the labels and the namespace of the pod template';
  return [warning(resource, { code, path, message, mend })];
}

function checkTarget(
  resource: ExtensionResource,
  index: number,
  { mesh, workloads }: LintContext,
): Problem[] {
  const { namespace } = resource.metadata;
  const name = resource.spec.targetRefs?.[index]?.name ?? '';
  const path = joinIndex('spec.targetRefs', index);
  const service = mesh.services.find(
    ({ metadata }) => metadata.namespace === namespace && metadata.name === name,
  );
  if (service === undefined) {
    const message = `there is no Service ${name} in ${namespace}: this ${resource.kind} does nothing`;
    const mend = 'name a Service of the same namespace, or use a selector';
    return [warning(resource, { code: 'target-unknown', path, message, mend })];
  }
  const { selector = {} } = service.spec;
  if (Object.keys(selector).length === 0) return [];
  return withoutSidecar(
    resource,
    path,
    workloads.filter(
      (workload) => workload.namespace === namespace && selects(selector, workload.labels),
    ),
  );
}

function withoutSidecar(
  resource: ExtensionResource,
  path: string,
  chosen: readonly MeshWorkload[],
): Problem[] {
  if (chosen.length === 0 || chosen.some(({ injected }) => injected)) return [];
  return [
    warning(resource, {
      code: 'sidecar-missing',
      path,
      message: `${namesOf(chosen)} has no sidecar: this ${resource.kind} does nothing`,
      mend: 'add the annotation inject: "true" to the workload',
    }),
  ];
========
import type { PolicyValue } from './values.ts';

export function checkCredentials(context: LintContext): Problem[] {
  const { extensions } = context.mesh;
  if (extensions.length === 0) return [];
  return [
    ...extensions.filter(isExchange).flatMap((one) => checkHosts(one, context)),
    ...context.values.flatMap((at) => checkConsumer(at, context)),
  ];
}

/** As control gives it to sidecars. */
function chooses(
  { metadata, spec }: ExtensionResource,
  workload: MeshWorkload,
  { meshConfig, services }: LintContext['mesh'],
): boolean {
  const { namespace } = metadata;
  const isNear = workload.namespace === namespace;
  const { targetRefs = [], selector } = spec;
  if (targetRefs.length > 0) {
    return services.some((service) => {
      const named = targetRefs.some(({ name }) => name === service.metadata.name);
      const { selector: wanted = {} } = service.spec;
      const isOurs = named && service.metadata.namespace === namespace && isNear;
      return isOurs && Object.keys(wanted).length > 0 && selects(wanted, workload.labels);
    });
  }
  return (
    (isNear || namespace === meshConfig.rootNamespace) &&
    selects(selector?.matchLabels ?? {}, workload.labels)
  );
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
  const open = context
    .workloadsUnder(policy)
    .filter((workload) => !telling.some((one) => chooses(one, workload, context.mesh)));
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
>>>>>>>> h-edge:policy/lint/credentials.ts
}
