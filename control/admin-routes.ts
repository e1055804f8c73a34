// The routes of control's admin endpoint.
import type { Problem } from '#api/problem.ts';
import { jsonReply, type AdminReply, type AdminRoute } from '#runtime/admin.ts';

import type { ChangeLog } from './changes.ts';
import type { ControlMetrics } from './metrics.ts';
import type { Snapshots } from './snapshots.ts';
import type { Census } from './status/census.ts';
import { statusRoutes } from './status/routes.ts';

export interface AdminParts {
  readonly census: Census;
  readonly snapshots: Snapshots;
  readonly changes: ChangeLog;
  readonly metrics: ControlMetrics;
  readonly problems: () => readonly Problem[];
  readonly ready: () => boolean;
}

/** A question for changes is held open at most so long. */
const waitMaxMs = 30_000;

export function adminRoutes(parts: AdminParts): AdminRoute[] {
  const { census, snapshots, changes, metrics, problems, ready } = parts;
  return [
    get('/ready', '200 once snapshots are served', () => readiness(ready())),
    ...statusRoutes(census),
    get('/snapshot', "?workload=NAMESPACE/NAME&pod=POD: that workload's snapshot", (query) =>
      snapshotReply(snapshots, query.get('workload') ?? '', query.get('pod')),
    ),
    get('/workloads', 'the workloads that there are snapshots for', () =>
      jsonReply(workloadsOf(snapshots)),
    ),
    get('/problems', 'what is wrong with the resources in force', () => jsonReply(problems())),
    get('/changes', '?since=N&wait=SECONDS: resources and problems that changed after N', (query) =>
      changesReply(changes, query),
    ),
    get('/stats/prometheus', 'metrics', () => metrics.render()),
  ];
}

function readiness(ready: boolean): AdminReply {
  return ready ? { body: 'ready\n' } : { status: 503, body: 'not ready\n' };
}

function get(path: string, doc: string, handler: AdminRoute['handler']): AdminRoute {
  return { method: 'GET', path, doc, handler };
}

/** `namespace/name`, once each. */
function workloadsOf({ view }: Snapshots): string[] {
  return [...new Set([...(view?.keys() ?? [])].map(nameIn))];
}

/** Keys of a cluster's pods say more than the name of their workload. */
function nameIn(key: string): string {
  return key.split(' ', 1)[0] ?? '';
}

/** Without `pod`, the pods of a workload that differ are told by the first of them. */
function snapshotReply(snapshots: Snapshots, workload: string, pod: string | null): AdminReply {
  const [namespace = '', name = ''] = workload.split('/');
  const key = [...(snapshots.view?.keys() ?? [])].find((one) => nameIn(one) === workload);
  const snapshot =
    pod === null
      ? snapshots.of(key ?? workload)
      : snapshots.for({ namespace, workload: name, pod });
  if (snapshot !== null) return jsonReply(snapshot);
  const known = workloadsOf(snapshots);
  const message = `no workload "${workload}"; write ?workload=NAMESPACE/NAME`;
  return jsonReply({ code: 'workload-unknown', message, known }, 404);
}

async function changesReply(changes: ChangeLog, query: URLSearchParams): Promise<AdminReply> {
  const since = wholeNumber(query.get('since') ?? '0');
  const waitSeconds = wholeNumber(query.get('wait') ?? '0');
  if (since === null || waitSeconds === null) {
    return jsonReply({ code: 'query-malformed', message: 'since and wait are whole numbers' }, 400);
  }
  await changes.waitFor(since, Math.min(waitSeconds * 1000, waitMaxMs));
  return jsonReply({ seq: changes.seq, ...changes.since(since) });
}

function wholeNumber(text: string): number | null {
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}
