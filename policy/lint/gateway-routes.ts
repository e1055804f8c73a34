// Routes of the Gateway API: parents and backends that are not there, and what is not served of them.
import type { HTTPRoute } from '#api/kinds/http-route.ts';
import type { GRPCRoute } from '#api/kinds/grpc-route.ts';
import type { Problem } from '#api/problem.ts';
import { isMeshParent, References } from '#api/traffic/references.ts';

import { type LintContext, warning } from './context.ts';

export function checkGatewayRoutes({ mesh }: LintContext): Problem[] {
  const references = new References(mesh);
  // A folder of routes alone says nothing about what there is to be called.
  const known = mesh.services.length > 0;
  return [...mesh.httpRoutes, ...mesh.grpcRoutes].flatMap((route) => [
    ...parents(route, references, known),
    ...(known ? backends(route, references) : []),
    ...unserved(route),
  ]);
}

function parents(route: HTTPRoute | GRPCRoute, references: References, known: boolean): Problem[] {
  const { namespace } = route.metadata;
  const { parentRefs } = route.spec;
  if (!parentRefs.some(isMeshParent)) {
    const message = 'none of its parents is a Service: no sidecar goes by it';
    const mend = 'add parentRefs: [{group: "", kind: Service, name: …}]';
    return [warning(route, { code: 'parent-missing', path: 'spec.parentRefs', message, mend })];
  }
  return parentRefs.flatMap((ref, i) => {
    if (!known || references.parent(ref, namespace) !== null) return [];
    const port = ref.port === undefined ? '' : ` with the port ${ref.port}`;
    const what = `${ref.kind} ${ref.namespace ?? namespace}/${ref.name}${port}`;
    return warning(route, {
      code: 'parent-unknown',
      path: `spec.parentRefs[${i}]`,
      message: `there is no ${what}: nothing is routed`,
      mend: 'correct the name, its namespace or the port',
    });
  });
}

function backends(route: HTTPRoute | GRPCRoute, references: References): Problem[] {
  const { kind, metadata, spec } = route;
  const { namespace } = metadata;
  const shared = spec.parentRefs.some(
    (ref) => isMeshParent(ref) && (ref.namespace ?? namespace) === namespace,
  );
  return spec.rules.flatMap(({ backendRefs = [] }, i) =>
    backendRefs.flatMap((ref, j) => {
      const found = references.backend(ref, { kind, namespace }, shared).unresolved;
      if (found === undefined) return [];
      return warning(route, {
        code: found.reason === 'RefNotPermitted' ? 'grant-missing' : 'backend-unknown',
        path: `spec.rules[${i}].backendRefs[${j}]`,
        message: `${found.message}: its share of calls gets 500`,
        mend:
          found.reason === 'RefNotPermitted'
            ? `add a ReferenceGrant to the namespace ${ref.namespace ?? namespace}`
            : 'correct the name, its namespace or the port',
      });
    }),
  );
}

function unserved(route: HTTPRoute | GRPCRoute): Problem[] {
  const problems: Problem[] = [];
  for (const [i, rule] of route.spec.rules.entries()) {
    const filters: readonly { readonly type: string }[] = rule.filters ?? [];
    for (const [j, { type }] of filters.entries()) {
      if (type !== 'ExtensionRef' && type !== 'ExternalAuth') continue;
      const path = `spec.rules[${i}].filters[${j}]`;
      const message = `the filter ${type} is not served: calls that the rule matches get 500`;
      problems.push(warning(route, { code: 'filter-unserved', path, message, mend: 'remove it' }));
    }
  }
  return problems;
}
