// Routes: hosts, delegates and gateways that are not there, weights that look wrong, two rules for one host.
import type { VirtualService } from '#api/kinds/virtual-service.ts';
import type { DestinationSpec } from '#api/kinds/virtual-service-http.ts';
import type { MeshResources } from '#api/mesh.ts';
import { joinIndex, nameOf } from '#api/origin.ts';
import type { Problem } from '#api/problem.ts';
import { nearest } from '#api/spelling.ts';
import { audienceOf } from '#api/traffic/audience.ts';
import { fullHost, hostCovers } from '#api/traffic/host.ts';
import { countsInMesh } from '#api/validate/virtual-service.ts';

import { type LintContext, warning } from './context.ts';
import { knownHosts } from './service-hosts.ts';

interface Target {
  readonly destination: DestinationSpec;
  readonly path: string;
}

export function checkRoutes({ mesh }: LintContext): Problem[] {
  const known = knownHosts(mesh).map(({ host }) => host);
  return [
    ...mesh.virtualServices.flatMap((one) => [
      ...unknownHosts(one, known),
      ...oddWeights(one),
      ...missingDelegates(one, mesh),
      ...gatewaysOnly(one),
    ]),
    ...conflicts(mesh.virtualServices),
  ];
}

/** As Istio's IST0101. */
function unknownHosts(route: VirtualService, known: readonly string[]): Problem[] {
  // A folder of routes alone says nothing about what there is to be called.
  if (known.length === 0) return [];
  const { namespace } = route.metadata;
  return destinationsOf(route).flatMap(({ destination, path }) => {
    const host = fullHost(destination.host, namespace);
    if (host === '' || known.some((one) => hostCovers(one, host))) return [];
    const similar = nearest(host, known);
    return warning(route, {
      code: 'host-unknown',
      path: `${path}.host`,
      message: `no Service and no ServiceEntry has the host ${host}: calls that go there fail`,
      mend:
        similar === null
          ? 'a short name means a Service of the namespace of the VirtualService; name another with its namespace'
          : `did you mean ${similar}?`,
    });
  });
}

/**
 * Subsets that no DestinationRule of the host has, as Istio's IST0101.
 * @param subsetsOf names of the subsets of a host as callers of a namespace see them; null: no rule is for the host
 */
export function checkSubsets(
  routes: readonly VirtualService[],
  subsetsOf: (host: string, namespace: string) => ReadonlySet<string> | null,
): Problem[] {
  return routes.flatMap((route) =>
    destinationsOf(route).flatMap(({ destination, path }) => {
      const { subset = '' } = destination;
      const host = fullHost(destination.host, route.metadata.namespace);
      const known = subset === '' ? null : subsetsOf(host, route.metadata.namespace);
      if (subset === '' || known?.has(subset) === true) return [];
      const similar = nearest(subset, [...(known ?? [])]);
      return warning(route, {
        code: 'subset-unknown',
        path: `${path}.subset`,
        message: `no DestinationRule of ${host} has a subset "${subset}": calls that go there fail`,
        mend: similar === null ? 'add it to a DestinationRule' : `did you mean ${similar}?`,
      });
    }),
  );
}

function destinationsOf({ spec }: VirtualService): Target[] {
  return [
    ...spec.http.flatMap(({ route = [], mirror, mirrors = [] }, i) => [
      ...route.flatMap((one, j) =>
        target(one.destination, `${joinIndex(`spec.http[${i}].route`, j)}.destination`),
      ),
      ...target(mirror, `spec.http[${i}].mirror`),
      ...mirrors.flatMap((one, j) =>
        target(one.destination, `${joinIndex(`spec.http[${i}].mirrors`, j)}.destination`),
      ),
    ]),
    ...(['tls', 'tcp'] as const).flatMap((kind) =>
      spec[kind].flatMap(({ route = [] }, i) =>
        route.flatMap((one, j) =>
          target(one.destination, `${joinIndex(`spec.${kind}[${i}].route`, j)}.destination`),
        ),
      ),
    ),
  ];
}

function target(destination: DestinationSpec | undefined, path: string): Target[] {
  return destination === undefined ? [] : [{ destination, path }];
}

function oddWeights(resource: VirtualService): Problem[] {
  const { spec } = resource;
  return (['http', 'tls', 'tcp'] as const).flatMap((kind) =>
    spec[kind].flatMap(({ route = [] }, i) => {
      if (route.length < 2) return [];
      const path = `spec.${kind}[${i}].route`;
      const without = route.findIndex(({ weight }) => weight === undefined);
      if (without !== -1) {
        const message = 'a destination without a weight beside others gets nothing';
        const mend = 'give it its share, or write weight: 0';
        return warning(resource, {
          code: 'weight-missing',
          path: joinIndex(path, without),
          message,
          mend,
        });
      }
      const sum = route.reduce((total, { weight = 0 }) => total + weight, 0);
      // Weights are shares of their sum: 1 and 2 are fine. What comes close to 100 was meant to be 100.
      if (sum === 100 || sum < 90 || sum > 110) return [];
      const message = `the weights are ${sum} in sum: each gets its part of ${sum}, not percent`;
      return warning(resource, {
        code: 'weights-odd',
        path,
        message,
        mend: 'make them 100 in sum',
      });
    }),
  );
}

function missingDelegates(resource: VirtualService, mesh: MeshResources): Problem[] {
  return resource.spec.http.flatMap(({ delegate }, i) => {
    if (delegate === undefined) return [];
    const namespace = delegate.namespace || resource.metadata.namespace;
    const path = `spec.http[${i}].delegate`;
    const code = 'delegate-unknown';
    const found = mesh.virtualServices.find(
      ({ metadata }) => metadata.name === delegate.name && metadata.namespace === namespace,
    );
    if (found === undefined) {
      const message = `there is no VirtualService ${namespace}/${delegate.name}: the rule does nothing`;
      return warning(resource, { code, path, message, mend: 'correct the name, or add it' });
    }
    if (found.spec.hosts.length > 0) {
      const message = `${nameOf(found)} has hosts, so it is no delegate: the rule does nothing`;
      return warning(resource, { code, path, message, mend: 'remove its hosts' });
    }
    if (seenBy(found, resource.metadata.namespace)) return [];
    const message = `${nameOf(found)} is not exported to ${resource.metadata.namespace}: the rule does nothing`;
    return warning(resource, { code, path, message, mend: 'add the namespace to its exportTo' });
  });
}

function gatewaysOnly(resource: VirtualService): Problem[] {
  const { gateways, hosts } = resource.spec;
  if (countsInMesh(resource.spec) || hosts.length === 0) return [];
  return [
    warning(resource, {
      code: 'gateways-without-mesh',
      path: 'spec.gateways',
      message: `it is for ${gateways.join(', ')} alone: no sidecar goes by it`,
      mend: 'add "mesh" to gateways where calls between workloads are meant too',
    }),
  ];
}

/** As Istio's analyzer of conflicting hosts: sidecars take the rules of one of them, whole. */
function conflicts(routes: readonly VirtualService[]): Problem[] {
  const first = new Map<string, VirtualService[]>();
  const problems: Problem[] = [];
  for (const route of routes) {
    if (!countsInMesh(route.spec)) continue;
    for (const [i, written] of route.spec.hosts.entries()) {
      const host = fullHost(written, route.metadata.namespace);
      const others = first.get(host) ?? [];
      first.set(host, [...others, route]);
      const other = others.find((one) => visibleTogether(one, route));
      if (other === undefined) continue;
      problems.push(
        warning(route, {
          code: 'hosts-conflict',
          path: joinIndex('spec.hosts', i),
          message: `${nameOf(other)} is for ${host} too, and is older: sidecars go by its rules alone`,
          mend: 'put the rules of both into one VirtualService',
        }),
      );
    }
  }
  return problems;
}

/** Whether callers of some namespace see both, in the same way: what is exported by name comes before the rest. */
function visibleTogether(a: VirtualService, b: VirtualService): boolean {
  const [one, other] = [seers(a), seers(b)];
  if (one === null || other === null) return one === other;
  return [...one].some((namespace) => other.has(namespace));
}

function seenBy(route: VirtualService, namespace: string): boolean {
  return seers(route)?.has(namespace) ?? true;
}

/** Null: all namespaces. */
function seers({ spec, metadata }: VirtualService): ReadonlySet<string> | null {
  return audienceOf(spec.exportTo, metadata.namespace);
}
