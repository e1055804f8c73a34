// Numbers of clusters that a policy says something of, for /stats/prometheus; the others have none.
import type { Gauge } from '../telemetry/exposition.ts';
import type { Cluster } from './cluster.ts';
import type { Upstreams } from './upstreams.ts';

type Row = ReturnType<Gauge['read']>[number];

export function upstreamGauges(upstreams: Upstreams): Gauge[] {
  const over = (read: (cluster: Cluster) => readonly Row[]) => (): Row[] =>
    [...upstreams.all()].flatMap(([, cluster]) => read(cluster));
  return [
    {
      name: 'selvage_endpoint_ejections_total',
      help: 'Endpoints left out for a while because calls to them failed, by reason.',
      type: 'counter',
      read: over(({ name, ejections }) =>
        [...(ejections?.counts ?? [])].map(([reason, value]) => row(name, value, { reason })),
      ),
    },
    {
      name: 'selvage_endpoints_ejected',
      help: 'Endpoints that are left out now because calls to them failed.',
      type: 'gauge',
      read: over(({ name, ejections, members }) =>
        ejections === null ? [] : [row(name, members.filter(({ ejected }) => ejected).length)],
      ),
    },
    {
      name: 'selvage_endpoints_failing_checks',
      help: 'Endpoints that are left out now because their health checks fail.',
      type: 'gauge',
      read: over(({ name, checks, members }) =>
        checks === null ? [] : [row(name, members.filter(({ failing }) => failing).length)],
      ),
    },
    {
      name: 'selvage_upstream_overflow_total',
      help: 'Calls, connections and retries that a limit of the connection pool held back.',
      type: 'counter',
      read: over(({ name, admission: { limits } }) =>
        limits === null
          ? []
          : Object.entries(limits.refused).map(([limit, value]) => row(name, value, { limit })),
      ),
    },
    {
      name: 'selvage_circuit_breaker_opened_total',
      help: 'How often the circuit breaker opened.',
      type: 'counter',
      read: over(({ name, admission: { breaker } }) =>
        breaker === null ? [] : [row(name, breaker.opened)],
      ),
    },
    {
      name: 'selvage_circuit_breaker_open',
      help: 'Whether the circuit breaker holds calls back: 1 open, 0.5 recovering, 0 closed.',
      type: 'gauge',
      read: over(({ name, admission: { breaker } }) =>
        breaker === null ? [] : [row(name, openness[breaker.state])],
      ),
    },
  ];
}

const openness = { closed: 0, recovering: 0.5, open: 1 } as const;

function row(cluster: string, value: number, labels: Row['labels'] = {}): Row {
  return { labels: { cluster, ...labels }, value };
}
