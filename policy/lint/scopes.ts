// Sidecars and ServiceEntries: hosts that do not exist or are somebody else's, and two that claim the same workloads.
import { joinIndex, nameOf } from '#api/origin.ts';
import type { Problem } from '#api/problem.ts';
import { hostCovers } from '#api/traffic/host.ts';

import { type LintContext, warning } from './context.ts';
import { type KnownHost, knownHosts, mendOfHost } from './service-hosts.ts';

export function checkScopes(context: LintContext): Problem[] {
  const known = knownHosts(context.mesh);
  return [
    ...takenHosts(context),
    ...repeatedSidecars(context),
    ...(known.length === 0 ? [] : unknownEgress(context, known)),
  ];
}

/** A Service keeps its name; an entry for it is never called. */
function takenHosts({ mesh }: LintContext): Problem[] {
  const services = new Map(
    mesh.services.flatMap((service) => {
      const { name, namespace } = service.metadata;
      const short = `${name}.${namespace}`;
      return [`${short}.svc.cluster.local`, `${short}.svc`, short].map((host) => [host, service]);
    }),
  );
  return mesh.serviceEntries.flatMap((entry) =>
    entry.spec.hosts.flatMap((host, i) => {
      const service = services.get(host.toLowerCase());
      if (service === undefined) return [];
      return warning(entry, {
        code: 'service-entry-host-taken',
        path: joinIndex('spec.hosts', i),
        message: `${host} is the name of ${nameOf(service)}, which is called in its place`,
        mend: 'give the entry another host',
      });
    }),
  );
}

function repeatedSidecars({ mesh }: LintContext): Problem[] {
  const general = mesh.sidecars.filter(
    ({ spec }) => Object.keys(spec.workloadSelector?.labels ?? {}).length === 0,
  );
  return general.flatMap((sidecar, i) => {
    const { namespace } = sidecar.metadata;
    const rival = general.slice(0, i).find(({ metadata }) => metadata.namespace === namespace);
    if (rival === undefined) return [];
    return warning(sidecar, {
      code: 'sidecar-repeated',
      path: 'metadata.name',
      message: `${nameOf(rival)} is older and has no workloadSelector either: this one is ignored`,
      mend: 'merge the two, or add a workloadSelector',
    });
  });
}

function unknownEgress({ mesh, namespaces }: LintContext, known: readonly KnownHost[]): Problem[] {
  return mesh.sidecars.flatMap((sidecar) =>
    sidecar.spec.egress.flatMap(({ hosts }, i) =>
      hosts.flatMap((written, j) => {
        const [where = '', host = ''] = written.toLowerCase().split('/');
        const namespace = where === '.' ? sidecar.metadata.namespace : where;
        if (where === '~' || isThere(namespace, host, known)) return [];
        // A namespace without services may get some.
        if (host === '*' && (namespace === '*' || namespaces.has(namespace))) return [];
        return warning(sidecar, {
          code: 'sidecar-host-unknown',
          path: joinIndex(`${joinIndex('spec.egress', i)}.hosts`, j),
          message: `${written}: no Service and no ServiceEntry there is called so`,
          mend: host === '*' ? 'correct the namespace' : mendOfHost(host, known),
        });
      }),
    ),
  );
}

function isThere(namespace: string, host: string, known: readonly KnownHost[]): boolean {
  return known.some(
    (one) =>
      (namespace === '*' || one.namespace === namespace) &&
      (hostCovers(host, one.host) || hostCovers(one.host, host)),
  );
}
