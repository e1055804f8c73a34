// Who called what of each workload, and was let in: what a policy that allows just that has to say.
import type { CallRecord } from '#api/call-record.ts';

import { isCut } from '../recording/judge-record.ts';
import { calleeOf, classesOf, keyOf, pathOf } from '../recording/replay-calls.ts';

/** Calls to one workload. */
export interface Observed {
  readonly namespace: string;
  readonly workload: string;
  /** By principal, then by the issuer of its tokens. */
  readonly callers: readonly Caller[];
  /** Calls that were let in without an identity. */
  readonly plaintext: number;
  readonly denied: number;
  /** Calls whose path is longer than a recording keeps. */
  readonly cut: number;
  /** `namespace/name` of those that let calls in. */
  readonly policies: readonly string[];
  /** Those that the callers made. */
  readonly allowed: readonly CallRecord[];
}

export interface Caller {
  /** Without its scheme. */
  readonly principal: string;
  /** Every one of these calls had a token of it, with a subject; '' where not. */
  readonly issuer: string;
  readonly operations: readonly Operation[];
  readonly calls: number;
}

export interface Operation {
  readonly ports: readonly number[];
  /** Empty: bytes that are no HTTP. */
  readonly methods: readonly string[];
  readonly paths: readonly string[];
}

/** In the order of names. Calls that no policy was asked about, and those that left a sidecar, are left out. */
export function observe(calls: readonly CallRecord[]): Observed[] {
  const inbound = calls.filter(
    ({ reporter, verdict }) => reporter === 'inbound' && verdict !== null,
  );
  const classes = classesOf(inbound.filter(isCaller));
  const byCallee = Map.groupBy(inbound, calleeOf);
  return [...byCallee]
    .toSorted(([a], [b]) => compare(a, b))
    .map(([, own]) => {
      const [first] = own;
      const allowed = own.filter((call) => isCaller(call) && !isCut(call.path));
      return {
        namespace: first?.destination.namespace ?? '',
        workload: first?.destination.workload ?? '',
        callers: callersOf(allowed, classes),
        cut: own.filter((call) => isCaller(call) && isCut(call.path)).length,
        plaintext: own.filter((call) => call.verdict === 'allow' && !isCaller(call)).length,
        denied: own.filter(({ verdict }) => verdict === 'deny').length,
        policies: unique(allowed.flatMap(({ policy }) => policy ?? [])),
        allowed,
      };
    });
}

/** Whom a policy can name. */
function isCaller({ verdict, mtls, source }: CallRecord): boolean {
  return verdict === 'allow' && mtls && source.principal.startsWith('spiffe://');
}

function callersOf(
  allowed: readonly CallRecord[],
  classes: ReadonlyMap<string, ReadonlyMap<string, string>>,
): Caller[] {
  const byCaller = Map.groupBy(allowed, (call) =>
    JSON.stringify([call.source.principal.replace('spiffe://', ''), issuerOf(call)]),
  );
  return [...byCaller]
    .toSorted(([a], [b]) => compare(a, b))
    .map(([key, own]): Caller => {
      const [principal, issuer] = JSON.parse(key) as [string, string];
      return { principal, issuer, operations: operationsOf(own, classes), calls: own.length };
    });
}

/** What `requestPrincipals: ["ISSUER/*"]` can ask for. */
function issuerOf({ facts }: CallRecord): string {
  const { iss, sub } = facts?.token?.payload ?? {};
  return typeof iss === 'string' && typeof sub === 'string' && sub !== '' ? iss : '';
}

/** Paths that are called by the same methods on one port stand together. */
function operationsOf(
  calls: readonly CallRecord[],
  classes: ReadonlyMap<string, ReadonlyMap<string, string>>,
): Operation[] {
  const bytes = unique(calls.filter(({ protocol }) => protocol === 'TCP').map(({ port }) => port));
  const requests = calls.filter(({ protocol }) => protocol !== 'TCP');
  const classOf = (call: CallRecord): string =>
    classes.get(keyOf(call))?.get(pathOf(call)) ?? pathOf(call);
  const byPath = Map.groupBy(requests, (call) => JSON.stringify([call.port, classOf(call)]));
  const byMethods = Map.groupBy([...byPath], ([key, own]) => {
    const [port] = JSON.parse(key) as [number, string];
    return JSON.stringify([port, unique(own.map(({ method }) => method))]);
  });
  const http = [...byMethods].map(([key, own]): Operation => {
    const [port, methods] = JSON.parse(key) as [number, string[]];
    const paths = unique(own.map(([path]) => (JSON.parse(path) as [number, string])[1]));
    return { ports: [port], methods, paths };
  });
  const tcp = bytes.length === 0 ? [] : [{ ports: bytes, methods: [], paths: [] }];
  return [...http.toSorted((a, b) => compare(JSON.stringify(a), JSON.stringify(b))), ...tcp];
}

function unique<T extends string | number>(values: readonly T[]): T[] {
  return [...new Set(values)].toSorted((a, b) => (a < b ? -1 : 1));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
