// Who calls whom, and how it goes now: what sidecars have counted since they started, turned into rates.
import type { CallParty, EdgeCount } from '#api/call-record.ts';

/** Of some time. */
export interface Traffic {
  readonly requests: number;
  readonly failures: number;
  readonly refusals: number;
  /** Counts of durations, by the buckets of the metrics. */
  readonly durations: readonly number[];
}

export interface Edge {
  /** Names of its ends as `nameOfParty` makes them. */
  readonly from: string;
  readonly to: string;
  readonly protocols: readonly string[];
  /** `mutual_tls` where the callee says so of all, `none` of none, `mixed`; `unknown` where only the caller counts. */
  readonly security: 'mutual_tls' | 'none' | 'mixed' | 'unknown';
  /** Since the sidecars started. */
  readonly total: Traffic;
  /** Of the window. */
  readonly recent: Traffic;
  /** Calls a second, by reading, oldest first. */
  readonly history: readonly number[];
}

export interface EdgeView {
  readonly edges: readonly Edge[];
  /** How much time `recent` stands for, in ms; 0: there was but one reading. */
  readonly windowMs: number;
}

/** Somebody without an identity of the mesh. */
export const outside = '(outside)';

const pollsKept = 60;
/** What counts as now. */
const windowMs = 30_000;
/** Readings of the window, where they are not further apart. */
const gainsKept = 16;
/** Rows of all sidecars together; further ones are left out. One that is busy has about 4 KiB. */
const rowsMax = 10_000;

interface Row {
  /** As it was counted last. */
  count: EdgeCount;
  /** By reading, the last ones; null: none. */
  readonly gains: (Traffic | null)[];
  /** Requests of each, for longer. */
  readonly requests: number[];
}

export class EdgeBook {
  /** When each reading was, in ms; each stands for the time since the one before. */
  readonly #polls: number[] = [];
  /** By sidecar, then by edge and reporter. */
  #sidecars = new Map<string, Map<string, Row>>();

  /**
   * Takes what all sidecars answered at one time.
   * @param answers by sidecar; one that is missing is gone, null did not answer
   */
  add(answers: ReadonlyMap<string, readonly EdgeCount[] | null>, atMs: number): void {
    this.#polls.push(atMs);
    if (this.#polls.length > pollsKept) this.#polls.shift();
    const sidecars = new Map<string, Map<string, Row>>();
    let left = rowsMax;
    for (const [sidecar, counts] of answers) {
      const known = this.#sidecars.get(sidecar);
      const rows = counts === null ? aged(known) : grown(known, counts.slice(0, left));
      left -= rows.size;
      sidecars.set(sidecar, rows);
    }
    this.#sidecars = sidecars;
  }

  view(): EdgeView {
    const window = this.#window();
    const sides = new Map<string, { inbound: Row[]; outbound: Row[] }>();
    for (const rows of this.#sidecars.values()) {
      for (const row of rows.values()) {
        const key = edgeKey(row.count);
        const side = sides.get(key) ?? { inbound: [], outbound: [] };
        sides.set(key, side);
        side[row.count.reporter].push(row);
      }
    }
    const edges = [...sides.values()].map((side) => this.#edge(side, window.polls));
    return { edges: edges.toSorted(byEnds), windowMs: window.ms };
  }

  /** Readings that count as now: the first only marks where time begins. */
  #window(): { readonly polls: number; readonly ms: number } {
    const last = this.#polls.at(-1) ?? 0;
    const first = this.#polls.findIndex((atMs) => last - atMs <= windowMs);
    const start = Math.max(0, Math.min(first, this.#polls.length - 2));
    return { polls: this.#polls.length - 1 - start, ms: last - (this.#polls[start] ?? last) };
  }

  /** Both sides count a call. The caller sees more of them: also those that never arrive. The callee knows who called. */
  #edge({ inbound, outbound }: { inbound: Row[]; outbound: Row[] }, polls: number): Edge {
    const rows = outbound.length > 0 ? outbound : inbound;
    const other = outbound.length > 0 ? inbound : [];
    const { from, to } = endsOf((rows[0] ?? inbound[0]) as Row);
    const total = sum(rows.map(({ count }) => count));
    const recent = sum(rows.flatMap(({ gains }) => lastOf(gains, polls)));
    const refusals = {
      total: sum(other.map(({ count }) => count)).refusals,
      recent: sum(other.flatMap(({ gains }) => lastOf(gains, polls))).refusals,
    };
    return {
      from,
      to,
      protocols: [...new Set([...rows, ...other].map(({ count }) => count.protocol))].toSorted(),
      security: securityOf(inbound.length > 0 ? inbound : outbound),
      total: { ...total, refusals: Math.max(total.refusals, refusals.total) },
      recent: { ...recent, refusals: Math.max(recent.refusals, refusals.recent) },
      history: this.#historyOf(rows),
    };
  }

  #historyOf(rows: readonly Row[]): number[] {
    const count = this.#polls.length;
    return this.#polls.flatMap((atMs, i) => {
      const before = this.#polls[i - 1];
      if (before === undefined) return [];
      const gained = rows.map(({ requests }) => requests[requests.length - count + i] ?? 0);
      return [(gained.reduce((a, b) => a + b, 0) * 1000) / Math.max(1, atMs - before)];
    });
  }
}

/** `payments/payments`; of a callee outside the mesh its host. */
export function nameOfParty({ namespace, workload }: CallParty, service = ''): string {
  if (workload !== '' && workload !== 'unknown') return `${namespace}/${workload}`;
  return service === '' || service === 'unknown' ? outside : service;
}

function edgeKey({ source, destination, service }: EdgeCount): string {
  return `${nameOfParty(source)} ${nameOfParty(destination, service)}`;
}

function endsOf({ count: { source, destination, service } }: Row): { from: string; to: string } {
  return { from: nameOfParty(source), to: nameOfParty(destination, service) };
}

/** A sidecar that did not answer has gained nothing that we know of. */
function aged(known: ReadonlyMap<string, Row> | undefined): Map<string, Row> {
  const rows = new Map(known);
  for (const row of rows.values()) push(row, null);
  return rows;
}

function grown(
  known: ReadonlyMap<string, Row> | undefined,
  counts: readonly EdgeCount[],
): Map<string, Row> {
  const rows = new Map<string, Row>();
  for (const count of counts) {
    const { reporter, source, destination, protocol, security } = count;
    const ends = `${edgeKey(count)} ${source.principal} ${destination.principal}`;
    const key = `${reporter} ${ends} ${protocol} ${security}`;
    const row: Row = known?.get(key) ?? { count, gains: [], requests: [] };
    // What a sidecar counted before it was first asked is no gain; a row that is new to a known sidecar is.
    const isFirst = known === undefined;
    push(row, isFirst ? null : gainOf(known.has(key) ? row.count : null, count));
    row.count = count;
    rows.set(key, row);
  }
  return rows;
}

/** Where a count has become less, its sidecar began anew. */
function gainOf(before: EdgeCount | null, now: EdgeCount): Traffic | null {
  if (before === null || now.requests < before.requests) return now;
  if (now.requests === before.requests && now.refusals === before.refusals) return null;
  return {
    requests: now.requests - before.requests,
    failures: Math.max(0, now.failures - before.failures),
    refusals: Math.max(0, now.refusals - before.refusals),
    durations: now.durations.map((n, i) => Math.max(0, n - (before.durations[i] ?? 0))),
  };
}

function push({ gains, requests }: Row, gain: Traffic | null): void {
  gains.push(gain);
  if (gains.length > gainsKept) gains.shift();
  requests.push(gain?.requests ?? 0);
  if (requests.length > pollsKept) requests.shift();
}

function lastOf(gains: readonly (Traffic | null)[], polls: number): Traffic[] {
  const last = polls === 0 ? [] : gains.slice(-polls);
  return last.filter((gain) => gain !== null);
}

/** Of no traffic: zeros. */
export function sum(all: readonly Traffic[]): Traffic {
  const durations: number[] = [];
  let [requests, failures, refusals] = [0, 0, 0];
  for (const one of all) {
    requests += one.requests;
    failures += one.failures;
    refusals += one.refusals;
    for (const [i, count] of one.durations.entries()) durations[i] = (durations[i] ?? 0) + count;
  }
  return { requests, failures, refusals, durations };
}

function securityOf(rows: readonly Row[]): Edge['security'] {
  const kinds = new Set(rows.filter((r) => r.count.requests > 0).map((r) => r.count.security));
  const [only = 'unknown'] = kinds;
  return kinds.size > 1 ? 'mixed' : only;
}

function byEnds(a: Edge, b: Edge): number {
  const [x, y] = [`${a.from} ${a.to}`, `${b.from} ${b.to}`];
  if (x === y) return 0;
  return x < y ? -1 : 1;
}
