// The routes of control's admin endpoint.
import type { Problem } from '#api/problem.ts';
import { jsonReply, type AdminReply, type AdminRoute } from '#runtime/admin.ts';

import type { ChangeLog } from './changes.ts';
import type { ControlMetrics } from './metrics.ts';
import type { Sessions } from './push/sessions.ts';
import type { Snapshots } from './snapshots.ts';

export interface AdminParts {
  readonly sessions: Sessions;
  readonly snapshots: Snapshots;
  readonly changes: ChangeLog;
  readonly metrics: ControlMetrics;
  readonly problems: () => readonly Problem[];
  readonly ready: () => boolean;
}

/** A question for changes is held open at most so long. */
const waitMaxMs = 30_000;

export function adminRoutes(parts: AdminParts): AdminRoute[] {
  const { sessions, snapshots, changes, metrics, problems, ready } = parts;
  return [
    get('/ready', '200 once snapshots are served', () =>
      ready() ? { body: 'ready\n' } : { status: 503, body: 'not ready\n' },
    ),
    get('/sidecars', 'connected sidecars, what each enforces and should enforce', () =>
      jsonReply(sessions.states()),
    ),
    get('/snapshot', "?workload=NAMESPACE/NAME: that workload's snapshot", (query) =>
      snapshotReply(snapshots, query.get('workload') ?? ''),
    ),
    get('/workloads', 'the workloads that there are snapshots for', () =>
      jsonReply([...(snapshots.view?.workloads() ?? [])]),
    ),
    get('/problems', 'what is wrong with the resources in force', () => jsonReply(problems())),
    get('/changes', '?since=N&wait=SECONDS: resources and problems that changed after N', (query) =>
      changesReply(changes, query),
    ),
    get('/stats/prometheus', 'metrics', () => metrics.render()),
  ];
}

function get(path: string, doc: string, handler: AdminRoute['handler']): AdminRoute {
  return { method: 'GET', path, doc, handler };
}

function snapshotReply(snapshots: Snapshots, workload: string): AdminReply {
  const snapshot = snapshots.of(workload);
  if (snapshot !== null) return jsonReply(snapshot);
  const known = [...(snapshots.view?.workloads() ?? [])];
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
