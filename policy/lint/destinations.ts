// DestinationRules and the kinds beside them: hosts that nobody has, rules that lose, subsets of nothing, TLS in the way.
import type { DestinationRule } from '#api/kinds/destination-rule.ts';
import { joinIndex, nameOf } from '#api/origin.ts';
import type { Problem } from '#api/problem.ts';
import { hostCovers, fullHost } from '#api/traffic/host.ts';
import { selectsSome } from '#api/workload-ports.ts';

import { selectsLabels } from '../attach.ts';
import { resolveMtls } from '../peer-authentication.ts';
import { type LintContext, namesOf, warning } from './context.ts';
import { checkSubsets } from './routes.ts';
import { hostsUnder, type KnownHost, knownHosts, mendOfHost } from './service-hosts.ts';
import { labelsOf } from './services.ts';

export function checkDestinations(context: LintContext): Problem[] {
  const { destinationRules, circuitBreakers, healthChecks } = context.mesh;
  const known = knownHosts(context.mesh);
  return [
    ...[...destinationRules, ...circuitBreakers, ...healthChecks].flatMap((rule) =>
      unknownHost(rule, known),
    ),
    ...destinationRules.flatMap((rule, i) => [
      ...apart(rule, destinationRules.slice(0, i)),
      ...emptySubsets(rule, known, context),
      ...plainToStrict(rule, known, context),
      ...withoutCarrier(rule),
    ]),
    ...checkSubsets(context.mesh.virtualServices, (host) => {
      const rules = destinationRules.filter((rule) => hostCovers(hostOf(rule), host));
      const names = rules.flatMap(({ spec }) => spec.subsets.map(({ name }) => name));
      return rules.length === 0 ? null : new Set(names);
    }),
    ...repeated(circuitBreakers),
    ...repeated(healthChecks),
  ];
}

type HostRule = LintContext['mesh'][
  | 'destinationRules'
  | 'circuitBreakers'
  | 'healthChecks'][number];

function hostOf({ spec, metadata }: HostRule): string {
  return fullHost(spec.host, metadata.namespace);
}

/** A folder without Services says nothing about which there are. */
function unknownHost(rule: HostRule, known: readonly KnownHost[]): Problem[] {
  const host = hostOf(rule);
  if (known.length === 0 || hostsUnder(host, known).length > 0) return [];
  return [
    warning(rule, {
      code: 'destination-host-unknown',
      path: 'spec.host',
      message: `no Service and no ServiceEntry is called ${host}: the rule changes nothing`,
      mend: mendOfHost(host, known),
    }),
  ];
}

/** Of rules for one host the oldest counts, and takes subsets of the others. */
function apart(rule: DestinationRule, older: readonly DestinationRule[]): Problem[] {
  const rival = older.find(
    (other) =>
      other.metadata.namespace === rule.metadata.namespace &&
      hostOf(other) === hostOf(rule) &&
      isSame(other.spec.workloadSelector?.matchLabels, rule.spec.workloadSelector?.matchLabels),
  );
  if (rival === undefined) return [];
  const problems: Problem[] = [];
  if (rival.spec.trafficPolicy !== undefined && rule.spec.trafficPolicy !== undefined) {
    problems.push(
      warning(rule, {
        code: 'destination-rules-apart',
        path: 'spec.trafficPolicy',
        message: `${nameOf(rival)} is older and for the same host: this trafficPolicy is ignored`,
        mend: 'merge the two into one',
      }),
    );
  }
  for (const [i, { name }] of rule.spec.subsets.entries()) {
    if (!rival.spec.subsets.some((subset) => subset.name === name)) continue;
    problems.push(
      warning(rule, {
        code: 'destination-rules-apart',
        path: joinIndex('spec.subsets', i),
        message: `${nameOf(rival)} is older and has a subset ${name}: this one is ignored`,
        mend: 'rename it, or merge the two into one',
      }),
    );
  }
  return problems;
}

function repeated(rules: readonly Exclude<HostRule, DestinationRule>[]): Problem[] {
  return rules.flatMap((rule, i) => {
    const { namespace } = rule.metadata;
    const rival = rules
      .slice(0, i)
      .find((one) => one.metadata.namespace === namespace && hostOf(one) === hostOf(rule));
    if (rival === undefined) return [];
    return warning(rule, {
      code: 'destination-rules-apart',
      path: 'spec.host',
      message: `${nameOf(rival)} is older and for the same host: this one is ignored`,
      mend: 'remove one of them',
    });
  });
}

function isSame(
  a: Readonly<Record<string, string>> = {},
  b: Readonly<Record<string, string>> = {},
): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

function emptySubsets(
  rule: DestinationRule,
  known: readonly KnownHost[],
  context: LintContext,
): Problem[] {
  const host = hostOf(rule);
  const behind = known.filter((one) => one.host === host);
  const all = behind.map((one) => labelsBehind(one, context));
  if (all.length === 0 || all.includes(null)) return [];
  const endpoints = all.flatMap((labels) => labels ?? []);
  return rule.spec.subsets.flatMap(({ name, labels }, i) => {
    if (endpoints.some((its) => selectsLabels(labels, its))) return [];
    return warning(rule, {
      code: 'subset-selects-nothing',
      path: `${joinIndex('spec.subsets', i)}.labels`,
      message: `the subset ${name} has no endpoint: nothing behind ${host} has ${labelsOf(labels)}`,
      mend: 'compare them with the labels of the pod templates',
    });
  });
}

type Labels = Readonly<Record<string, string>>;

/** Null: it is not known what is there. */
function labelsBehind({ resource }: KnownHost, { workloads, mesh }: LintContext): Labels[] | null {
  const { namespace } = resource.metadata;
  const isService = resource.kind === 'Service';
  const selector = isService ? resource.spec.selector : resource.spec.workloadSelector?.labels;
  if (selector === undefined || Object.keys(selector).length === 0) {
    const endpoints = isService ? [] : resource.spec.endpoints;
    return endpoints.length === 0 ? null : endpoints.map(({ labels }) => labels);
  }
  if (workloads.length + mesh.workloadEntries.length === 0) return null;
  const inside = workloads.filter((one) => one.namespace === namespace).map(({ labels }) => labels);
  const outside = mesh.workloadEntries
    .filter(({ metadata }) => metadata.namespace === namespace)
    .map(({ spec }) => spec.labels);
  const chosen = [...inside, ...outside].filter((labels) => selectsLabels(selector, labels));
  // That the Service itself selects nothing is said of the Service.
  return chosen.length === 0 ? null : chosen;
}

function plainToStrict(
  rule: DestinationRule,
  known: readonly KnownHost[],
  { mesh, workloads }: LintContext,
): Problem[] {
  const mode = rule.spec.trafficPolicy?.tls?.mode;
  if (mode === undefined || mode === 'ISTIO_MUTUAL') return [];
  const host = hostOf(rule);
  const behind = known.flatMap((one) => (one.host === host ? [one.resource] : []));
  const strict = workloads.filter((workload) => {
    const isBehind = behind.some(
      ({ kind, metadata, spec }) =>
        kind === 'Service' &&
        metadata.namespace === workload.namespace &&
        'selector' in spec &&
        selectsSome(spec.selector ?? {}, workload.labels),
    );
    if (!isBehind || !workload.injected) return false;
    const mtls = resolveMtls(mesh.peerAuthentications, workload, mesh.meshConfig.rootNamespace);
    return workload.ports.some(({ port }) => mtls(port).mode === 'STRICT');
  });
  if (strict.length === 0) return [];
  return [
    warning(rule, {
      code: 'tls-against-strict',
      path: 'spec.trafficPolicy.tls.mode',
      message: `${namesOf(strict)} takes mutual TLS of the mesh only: with ${mode} every call fails`,
      mend: 'remove tls, or write ISTIO_MUTUAL',
    }),
  ];
}

/** What is read, and what no sidecar does. */
function withoutCarrier(rule: DestinationRule): Problem[] {
  const { trafficPolicy, subsets, workloadSelector } = rule.spec;
  const policies = [
    ['spec.trafficPolicy', trafficPolicy] as const,
    ...subsets.map(
      (one, i) => [`${joinIndex('spec.subsets', i)}.trafficPolicy`, one.trafficPolicy] as const,
    ),
  ];
  return policies.flatMap(([path, policy]) => {
    if ((policy?.tls?.credentialName ?? '') === '') return [];
    const message =
      workloadSelector === undefined
        ? 'without a workloadSelector sidecars ignore credentialName'
        : 'sidecars cannot read Secrets: no call can be made';
    const code = 'credential-unreachable';
    const mend = 'mount the Secret, and name its files';
    return [warning(rule, { code, path: `${path}.tls.credentialName`, message, mend })];
  });
}
