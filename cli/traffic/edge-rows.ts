// Who calls whom, put together from what both ends count: an edge is one row, whoever told of it.
import type { EdgeCount } from '#api/call-record.ts';
import { parseSpiffeId } from '#api/spiffe.ts';

import { nameOfParty, shortHost } from '../calls/record-words.ts';

export interface EdgeRow {
  readonly source: string;
  readonly destination: string;
  /** Names by which it was called: `payments.payments`. */
  readonly services: readonly string[];
  readonly protocol: EdgeCount['protocol'];
  /** `mutual_tls`, `none`, both where both happened; `unknown`: only the caller told of it. */
  readonly security: readonly EdgeCount['security'][];
  /** Service accounts, `shop/web-sa`; '' where it is not known. */
  readonly callerAccount: string;
  readonly calleeAccount: string;
  readonly requests: number;
  readonly failures: number;
  readonly refusals: number;
  /** As EdgeCount has them. */
  readonly durations: readonly number[];
}

/** What was counted between two answers of one sidecar; one that has started anew begins at 0. */
export function countedSince(
  before: readonly EdgeCount[],
  after: readonly EdgeCount[],
): EdgeCount[] {
  const old = new Map(before.map((edge) => [identityOf(edge), edge]));
  const isNew = after.some((edge) => edge.requests < (old.get(identityOf(edge))?.requests ?? 0));
  if (isNew) return [...after];
  return after.map((edge) => {
    const was = old.get(identityOf(edge));
    if (was === undefined) return edge;
    return {
      ...edge,
      requests: edge.requests - was.requests,
      failures: Math.max(0, edge.failures - was.failures),
      refusals: Math.max(0, edge.refusals - was.refusals),
      durations: edge.durations.map((count, i) => Math.max(0, count - (was.durations[i] ?? 0))),
    };
  });
}

/** In the order of names. @param all of any number of sidecars */
export function edgeRows(all: readonly EdgeCount[]): EdgeRow[] {
  const edges = Map.groupBy(all, (edge) => {
    return [sourceOf(edge), destinationOf(edge), edge.protocol].join('\n');
  });
  return [...edges].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, counts]) => rowOf(counts));
}

function rowOf(counts: readonly EdgeCount[]): EdgeRow {
  const [first] = counts;
  const inbound = sum(counts.filter(({ reporter }) => reporter === 'inbound'));
  const outbound = sum(counts.filter(({ reporter }) => reporter === 'outbound'));
  // The caller knows best what it got, and how long it waited; who has no sidecar tells nothing.
  const told = outbound.requests > 0 ? outbound : inbound;
  const known = new Set(counts.map(({ security }) => security));
  if (known.size > 1) known.delete('unknown');
  const services = new Set(counts.map(({ service }) => shortHost(service)));
  services.delete('');
  return {
    source: first === undefined ? '' : sourceOf(first),
    destination: first === undefined ? '' : destinationOf(first),
    services: [...services].toSorted(),
    protocol: first?.protocol ?? 'http',
    security: [...known].toSorted(),
    callerAccount: accountOf(counts.map(({ source }) => source.principal)),
    calleeAccount: accountOf(counts.map(({ destination }) => destination.principal)),
    requests: told.requests,
    failures: told.failures,
    // Each end counts those that it gave itself.
    refusals: inbound.refusals + outbound.refusals,
    durations: told.durations,
  };
}

type Counted = Pick<EdgeCount, 'requests' | 'failures' | 'refusals' | 'durations'>;

function sum(counts: readonly EdgeCount[]): Counted {
  const total: Counted = { requests: 0, failures: 0, refusals: 0, durations: [] };
  return counts.reduce<Counted>(
    (before, { requests, failures, refusals, durations }) => ({
      requests: before.requests + requests,
      failures: before.failures + failures,
      refusals: before.refusals + refusals,
      durations: durations.map((count, i) => count + (before.durations[i] ?? 0)),
    }),
    total,
  );
}

function sourceOf({ source }: EdgeCount): string {
  return nameOfParty(source) ?? 'anonymous';
}

function destinationOf({ destination, service }: EdgeCount): string {
  return nameOfParty(destination) ?? (shortHost(service) || 'outside');
}

function accountOf(principals: readonly string[]): string {
  for (const principal of principals) {
    const id = parseSpiffeId(principal);
    if (id !== null) return `${id.namespace}/${id.serviceAccount}`;
  }
  return '';
}

function identityOf({
  reporter,
  source,
  destination,
  service,
  protocol,
  security,
}: EdgeCount): string {
  const ends = [source, destination].flatMap((one) => [one.namespace, one.workload, one.principal]);
  return [reporter, ...ends, service, protocol, security].join('\n');
}
