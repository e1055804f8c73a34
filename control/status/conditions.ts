// The conditions of a resource's status, in the style of Istio's IstioStatus: what they should be, and whether they differ.
import type { Problem } from '#api/problem.ts';

import type { Enforcement } from './tally.ts';

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

/** What is known of the newest generation of a resource. */
export interface Finding {
  readonly generation: number;
  /** The generation that control goes by; undefined: none of it is in force. */
  readonly inForce: number | undefined;
  /** What is wrong with the resource, in the words of `selvage check`. */
  readonly problems: readonly Problem[];
  /** Null: of its kind no sidecar says what it enforces. */
  readonly enforcement: Enforcement | null;
}

export interface ResourceStatus {
  readonly observedGeneration: number;
  /** Also those that others wrote. */
  readonly conditions: readonly unknown[];
}

/** How much of a status is new: a message may wait, another status is what people wait for. */
export type Difference = 'none' | 'message' | 'status';

const messageLengthMax = 1000;

/** Null: control has not read this generation yet. */
export function conditionsOf(finding: Finding): Condition[] | null {
  const { generation, inForce, problems, enforcement } = finding;
  const errors = problems.filter(({ severity }) => severity === 'error');
  if (inForce !== generation) {
    if (errors.length === 0) return null;
    const kept =
      inForce === undefined ? 'nothing of it is in force' : `generation ${inForce} stays in force`;
    return [
      condition('Accepted', 'False', 'Invalid', wordsOf(errors)),
      ...(enforcement === null
        ? []
        : [condition('Enforced', 'False', 'NotAccepted', `not accepted: ${kept}`)]),
    ];
  }
  const warnings = problems.filter(({ severity }) => severity === 'warning');
  const accepted = warnings.length === 0 ? 'valid' : `valid, with warnings: ${wordsOf(warnings)}`;
  return [
    condition('Accepted', 'True', 'Accepted', accepted),
    ...(enforcement === null ? [] : [enforcedCondition(generation, enforcement)]),
  ];
}

/** The status with our conditions in it: others' stay as and where they are, a time changes only with its status. */
export function statusWith(
  present: unknown,
  generation: number,
  wanted: readonly Condition[],
  now: Date,
): { readonly status: ResourceStatus; readonly difference: Difference } {
  const { conditions, observedGeneration } = fieldsOf(present);
  const before = Array.isArray(conditions) ? (conditions as unknown[]) : [];
  let difference: Difference = observedGeneration === generation ? 'none' : 'status';
  const lastTransitionTime = now.toISOString().replace(/\.\d+Z$/, 'Z');
  const next = [...before];
  for (const one of wanted) {
    const index = before.findIndex((entry) => fieldsOf(entry)['type'] === one.type);
    const old = index === -1 ? null : fieldsOf(before[index]);
    const same = old?.['status'] === one.status;
    if (!same) difference = 'status';
    const told = old?.['reason'] === one.reason && old['message'] === one.message;
    if (!told && difference === 'none') difference = 'message';
    const sinceMs = same ? old['lastTransitionTime'] : undefined;
    const written = { ...one, lastTransitionTime: sinceMs ?? lastTransitionTime };
    if (index === -1) next.push(written);
    else next[index] = written;
  }
  return { status: { observedGeneration: generation, conditions: next }, difference };
}

/** The status of one of the conditions, as it was written last. */
export function statusOf(present: unknown, type: string): unknown {
  const { conditions } = fieldsOf(present);
  if (!Array.isArray(conditions)) return undefined;
  return fieldsOf(conditions.find((entry) => fieldsOf(entry)['type'] === type))['status'];
}

export function enforcedCondition(generation: number, enforcement: Enforcement): Condition {
  const { enforced, of } = enforcement;
  const counted = `enforced by ${enforced} of ${of} sidecars`;
  if (enforcement.generation !== generation) {
    const message = `${counted}; a replica of control has not seen it yet`;
    return condition('Enforced', 'False', 'Pending', message);
  }
  // Told apart from success: a selector with a mistake in it enforces nothing either.
  if (of === 0) {
    const message = `${counted}: it applies to no workload with a sidecar, or an older one takes its place`;
    return condition('Enforced', 'False', 'NoSidecars', message);
  }
  if (enforced === of) return condition('Enforced', 'True', 'Enforced', counted);
  const [refusal] = enforcement.refusals;
  if (refusal === undefined) return condition('Enforced', 'False', 'Pending', counted);
  const message = `${counted}; it is refused by ${refusal}`;
  return condition('Enforced', 'False', 'Refused', cut(message));
}

function condition(
  type: string,
  status: Condition['status'],
  reason: string,
  message: string,
): Condition {
  return { type, status, reason, message };
}

function wordsOf(problems: readonly Problem[]): string {
  const words = problems
    .map(({ message, mend }) => (mend === undefined ? message : `${message}: ${mend}`))
    .join('; ');
  return cut(words);
}

function cut(text: string): string {
  return text.length > messageLengthMax ? `${text.slice(0, messageLengthMax - 1)}…` : text;
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
