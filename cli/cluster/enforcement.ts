// How far a resource has come: what control says of the sidecars that it concerns.
import { JsonFields } from './json-fields.ts';

export interface Enforcement {
  /** The oldest that a replica goes by; null: one of them has not seen the resource yet. */
  readonly generation: number | null;
  readonly enforced: number;
  readonly of: number;
  /** `namespace/pod` of sidecars that do not enforce it yet. */
  readonly missing: readonly string[];
  /** Replicas of control that do not answer the one that was asked; their sidecars count as missing. */
  readonly unreachable: readonly string[];
}

/** Reads what control answers. */
export function enforcementOf(answer: unknown): Enforcement {
  const fields = new JsonFields(answer);
  return {
    generation: fields.number('generation'),
    enforced: fields.number('enforced') ?? 0,
    of: fields.number('of') ?? 0,
    missing: fields.texts('missing'),
    unreachable: fields.texts('unreachable'),
  };
}

/** Every sidecar that the resource concerns enforces this generation of it, or a newer one. */
export function isEnforced({ generation, enforced, of }: Enforcement, wanted: number): boolean {
  return generation !== null && generation >= wanted && enforced >= of;
}

/** `2 of 3 sidecars enforce it; waiting for shop/web-1`. */
export function describeEnforcement(state: Enforcement, wanted: number): string {
  const { generation, enforced, of, missing, unreachable } = state;
  const silent = unreachable.length === 0 ? '' : `; control at ${unreachable.join(', ')} is silent`;
  if (generation === null) return `control has not seen it yet${silent}`;
  if (generation < wanted) return `control has seen generation ${generation} of ${wanted}${silent}`;
  const counted = `${enforced} of ${of} sidecar${of === 1 ? '' : 's'} enforce it`;
  const shown = missing.slice(0, 3).join(', ');
  const more = missing.length > 3 ? ` and ${missing.length - 3} more` : '';
  const waiting = missing.length === 0 ? '' : `; waiting for ${shown}${more}`;
  return `${counted}${waiting}${silent}`;
}
