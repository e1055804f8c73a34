// The status of a route of the Gateway API: conditions for each parent that is ours, beside those of other controllers.
import type { Problem } from '#api/problem.ts';

import type { ParentVerdict, Verdict } from '../traffic/route-verdicts.ts';
import { type Difference, enforcedCondition } from './conditions.ts';
import type { Enforcement } from './tally.ts';

/** By this name others know which parents of a route are ours. */
export const controllerName = 'selvage.dev/mesh';

export interface RouteFinding {
  readonly generation: number;
  /** As written: `spec.parentRefs`. */
  readonly parentRefs: readonly unknown[];
  /** By the order of `parentRefs`; null: the route, or its newest generation, is not in force. */
  readonly verdicts: readonly (ParentVerdict | null)[] | null;
  /** What is wrong with it, in the words of `selvage check`. */
  readonly problems: readonly Problem[];
  /** Whether a parent is a Service or a service entry. */
  readonly isOurs: (ref: unknown) => boolean;
  readonly enforcement: Enforcement;
}

export interface RouteStatus {
  readonly parents: readonly unknown[];
}

interface Fields {
  readonly [name: string]: unknown;
}

const messageLengthMax = 1000;

/** Null: there is nothing to say yet, or nothing at all. @param present the status as it is */
export function routeStatus(
  finding: RouteFinding,
  present: unknown,
  now: Date,
): { readonly status: RouteStatus; readonly difference: Difference } | null {
  const before = listOf(fieldsOf(present)['parents']);
  const wanted = wantedParents(finding);
  if (wanted === null) return null;
  const others = before.filter((one) => fieldsOf(one)['controllerName'] !== controllerName);
  const own = before.filter((one) => fieldsOf(one)['controllerName'] === controllerName);
  // Who has no parent of ours gets no status of ours; one that we left there is taken away.
  if (wanted.length === 0 && own.length === 0) return null;
  let difference: Difference = own.length === wanted.length ? 'none' : 'status';
  const parents = wanted.map(({ ref, conditions }) => {
    const old = own.find((one) => sameRef(fieldsOf(one)['parentRef'], ref));
    if (old === undefined) difference = 'status';
    const merged = mergeConditions(
      fieldsOf(old)['conditions'],
      conditions,
      finding.generation,
      now,
    );
    if (merged.difference === 'status') difference = 'status';
    else if (merged.difference === 'message' && difference === 'none') difference = 'message';
    return { parentRef: ref, controllerName, conditions: merged.conditions };
  });
  return { status: { parents: [...others, ...parents] }, difference };
}

/** The condition Enforced of each parent that is ours, as far as it is about this generation. */
export function enforcedOf(
  status: unknown,
  generation: number,
): readonly { readonly holds: boolean; readonly reason: unknown }[] {
  return listOf(fieldsOf(status)['parents'])
    .map(fieldsOf)
    .filter((one) => one['controllerName'] === controllerName)
    .flatMap((one) => listOf(one['conditions']).map(fieldsOf))
    .filter((one) => one['type'] === 'Enforced' && one['observedGeneration'] === generation)
    .map((one) => ({ holds: one['status'] === 'True', reason: one['reason'] }));
}

const notAccepted: Verdict = {
  holds: false,
  reason: 'NotAccepted',
  message: 'not accepted, so nothing enforces it here',
};

interface WantedParent {
  readonly ref: unknown;
  readonly conditions: Readonly<Record<string, Verdict>>;
}

function wantedParents(finding: RouteFinding): WantedParent[] | null {
  const { generation, parentRefs, verdicts, problems, isOurs, enforcement } = finding;
  if (verdicts === null) {
    const errors = problems.filter(({ severity }) => severity === 'error');
    if (errors.length === 0) return null;
    const message = errors.map((one) => one.message).join('; ');
    const accepted = { holds: false, reason: 'UnsupportedValue', message };
    const conditions = { Accepted: accepted, Enforced: notAccepted };
    return parentRefs.filter(isOurs).map((ref) => ({ ref, conditions }));
  }
  const { status, reason, message } = enforcedCondition(generation, enforcement);
  const inForce: Verdict = { holds: status === 'True', reason, message };
  return parentRefs.flatMap((ref, i) => {
    const verdict = verdicts[i] ?? null;
    if (verdict === null) return [];
    const { accepted, resolvedRefs } = verdict;
    const enforced = accepted.holds ? inForce : notAccepted;
    const conditions = { Accepted: accepted, ResolvedRefs: resolvedRefs, Enforced: enforced };
    return [{ ref, conditions }];
  });
}

function mergeConditions(
  present: unknown,
  wanted: Readonly<Record<string, Verdict>>,
  generation: number,
  now: Date,
): { readonly conditions: readonly unknown[]; readonly difference: Difference } {
  const before = listOf(present).map(fieldsOf);
  let difference: Difference = 'none';
  const conditions = Object.entries(wanted).map(([type, { holds, reason, message: text }]) => {
    const message = text.slice(0, messageLengthMax);
    const old = before.find((one) => one['type'] === type);
    const status = holds ? 'True' : 'False';
    const same = old?.['status'] === status;
    if (!same || old['reason'] !== reason || old['observedGeneration'] !== generation) {
      difference = 'status';
    } else if (old['message'] !== message && difference === 'none') difference = 'message';
    const since = same ? old['lastTransitionTime'] : undefined;
    return {
      type,
      status,
      reason,
      message,
      observedGeneration: generation,
      lastTransitionTime: since ?? now.toISOString().replace(/\.\d+Z$/, 'Z'),
    };
  });
  return { conditions, difference };
}

/** The fields that make two references one. */
function sameRef(a: unknown, b: unknown): boolean {
  const [one, other] = [fieldsOf(a), fieldsOf(b)];
  return ['group', 'kind', 'namespace', 'name', 'sectionName', 'port'].every(
    (field) => one[field] === other[field],
  );
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}
