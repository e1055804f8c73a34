// Which endpoints a sidecar does not call for now, and why, and which have come back: read from its /clusters.
import { paint } from '../table.ts';
import { formatAge } from './age.ts';
import type { Cluster } from './cluster.ts';
import { askEachSidecar } from './each-sidecar.ts';
import { JsonFields, parseJsonList } from './json-fields.ts';
import type { LivePod } from './pods.ts';

/** One endpoint, as one caller sees it. */
export interface LeftOut {
  /** `reviews.shop.svc.cluster.local:8080`, of a subset `…:8080/v1`. */
  readonly cluster: string;
  readonly address: string;
  /** `shop/reviews`. */
  readonly workload: string;
  /** `failing`: its health checks do. `returned`: it was ejected, and is called again. */
  readonly state: 'ejected' | 'failing' | 'returned';
  /** Why it was left out: `consecutive-5xx`; '' where that is not known. */
  readonly reason: string;
  /** When it was ejected or came back; null where that is not known. */
  readonly atMs: number | null;
  /** How long it is left out at least. */
  readonly forMs: number;
}

/** By `namespace/pod` of the caller. */
export type Ejections = ReadonlyMap<string, readonly LeftOut[]>;

export function sidecarEjections(cluster: Cluster, pods: readonly LivePod[]): Promise<Ejections> {
  return askEachSidecar(cluster, pods, '/clusters', leftOutOf);
}

/** @param answer of /clusters, of whatever version */
export function leftOutOf(answer: unknown): LeftOut[] {
  const views = Array.isArray(answer) ? answer : [];
  return views.flatMap((view: unknown) => {
    const cluster = new JsonFields(view).text('cluster');
    const { endpoints, ejections } = (view ?? {}) as Readonly<Record<string, unknown>>;
    const last = new Map<string, JsonFields>();
    // Oldest first: what is said last of an address counts.
    for (const event of parseJsonList(ejections)) last.set(event.text('address'), event);
    return parseJsonList(endpoints).flatMap((endpoint): LeftOut[] => {
      const address = endpoint.text('address');
      const event = last.get(address);
      const state = stateOf(endpoint.text('health'), event);
      if (state === null) return [];
      const known = state === 'failing' ? undefined : event;
      return [
        {
          cluster,
          address,
          workload: endpoint.text('workload'),
          state,
          reason: known?.text('reason') ?? '',
          atMs: known?.time('at') ?? null,
          forMs: known?.number('forMs') ?? 0,
        },
      ];
    });
  });
}

function stateOf(health: string, last: JsonFields | undefined): LeftOut['state'] | null {
  if (health === 'ejected' || health === 'failing') return health;
  return last?.text('event') === 'returned' ? 'returned' : null;
}

const reasons: Readonly<Record<string, string>> = {
  'consecutive-5xx': 'errors in a row',
  'consecutive-gateway': 'gateway errors in a row',
  'consecutive-local-origin': 'connections in a row that failed',
};

/** A line for each endpoint, below one for its caller; what came back is dim. */
export function ejectionLines(ejections: Ejections, nowMs: number, tty: boolean): string[] {
  const callers = [...ejections].filter(([, all]) => all.length > 0).toSorted(byName);
  if (callers.length === 0) return ['no endpoint is left out'];
  return callers.flatMap(([caller, all]) => [
    `${caller}:`,
    ...all.map((one) => {
      const colour = one.state === 'returned' ? 'dim' : 'yellow';
      return paint(`    ${describe(one, nowMs)}`, colour, tty);
    }),
  ]);
}

function describe(one: LeftOut, nowMs: number): string {
  const { cluster, address, workload, state, reason, atMs, forMs } = one;
  const who = `${address} (${workload}) of ${cluster}`;
  if (state === 'failing') return `${who} fails its health checks`;
  const ago = atMs === null ? '' : ` ${formatAge(nowMs - atMs)} ago`;
  const why = reasons[reason] ?? reason;
  if (state === 'returned') return `${who} came back${ago}, after ${why}`;
  return `${who} ejected${ago} for at least ${formatAge(forMs)}: ${why}`;
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
