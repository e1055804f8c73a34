// How far a resource has come: what the replicas of control say of the sidecars that it concerns, as one.
import { JsonFields } from './json-fields.ts';
import type { ReplicaAnswer } from './control.ts';

export interface Enforcement {
  /** The oldest that a replica goes by; null: one of them has not seen the resource yet. */
  readonly generation: number | null;
  readonly enforced: number;
  readonly of: number;
  /** `namespace/pod` of sidecars that do not enforce it yet. */
  readonly missing: readonly string[];
}

/** Each replica answers for the sidecars that are connected to it. */
export function enforcementOf(answers: readonly ReplicaAnswer[]): Enforcement {
  const parts = answers.map(({ answer }) => {
    const fields = new JsonFields(answer);
    return {
      generation: fields.number('generation'),
      enforced: fields.number('enforced') ?? 0,
      of: fields.number('of') ?? 0,
      missing: fields.texts('missing'),
    };
  });
  const generations = parts.map(({ generation }) => generation);
  const known = generations.filter((one) => one !== null);
  return {
    generation: known.length < generations.length ? null : Math.min(...known),
    enforced: sum(parts.map(({ enforced }) => enforced)),
    of: sum(parts.map(({ of }) => of)),
    missing: [...new Set(parts.flatMap(({ missing }) => missing))].toSorted(),
  };
}

/** Every sidecar that the resource concerns enforces this generation of it, or a newer one. */
export function isEnforced({ generation, enforced, of }: Enforcement, wanted: number): boolean {
  return generation !== null && generation >= wanted && enforced >= of;
}

/** `2 of 3 sidecars enforce it; waiting for shop/web-1`. */
export function describeEnforcement(state: Enforcement, wanted: number): string {
  const { generation, enforced, of, missing } = state;
  if (generation === null) return 'control has not seen it yet';
  if (generation < wanted) return `control has seen generation ${generation} of ${wanted}`;
  const counted = `${enforced} of ${of} sidecar${of === 1 ? '' : 's'} enforce it`;
  const shown = missing.slice(0, 3).join(', ');
  const more = missing.length > 3 ? ` and ${missing.length - 3} more` : '';
  return missing.length === 0 ? counted : `${counted}; waiting for ${shown}${more}`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
