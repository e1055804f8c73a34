// The routes of the admin endpoint that speak for the whole mesh, whichever replica is asked.
import { kinds } from '#api/kinds/table.ts';
import { jsonReply, type AdminReply, type AdminRoute } from '#runtime/admin.ts';

import type { Census } from './census.ts';
import { enforcementOf, sidecarsOf } from './tally.ts';

export function statusRoutes(census: Census): AdminRoute[] {
  return [
    {
      method: 'GET',
      path: '/sidecars',
      doc: 'the connected sidecars of all replicas, what each enforces and should enforce',
      handler: async () => jsonReply(await sidecars(census)),
    },
    {
      method: 'GET',
      path: '/enforced',
      doc: '?kind=KIND&namespace=NAMESPACE&name=NAME: how many of its sidecars enforce a resource',
      handler: (query) => enforced(census, query),
    },
  ];
}

async function sidecars(census: Census): Promise<object[]> {
  const { reports } = await census.take();
  return sidecarsOf(reports)
    .map(({ wanted: _wanted, acked: _acked, ...sidecar }) => sidecar)
    .toSorted((a, b) => compare(`${a.namespace}/${a.pod}`, `${b.namespace}/${b.pod}`));
}

async function enforced(census: Census, query: URLSearchParams): Promise<AdminReply> {
  const [kind, namespace, name] = ['kind', 'namespace', 'name'].map((key) => query.get(key) ?? '');
  const known = [...kinds.values()].some((entry) => entry.kind === kind);
  if (!known || namespace === '' || name === '') {
    const message = 'write ?kind=AuthorizationPolicy&namespace=NAMESPACE&name=NAME';
    return jsonReply({ code: 'query-malformed', message }, 400);
  }
  const mesh = await census.take();
  const { unreachable } = mesh;
  return jsonReply({ ...enforcementOf(mesh, `${kind}/${namespace}/${name}`), unreachable });
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
