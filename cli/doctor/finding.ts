// What the doctor finds: one line for each thing that was looked at, with what to do about it.

/** `note`: worth knowing and no fault; `unknown`: it could not be looked at. */
export type Level = 'ok' | 'note' | 'warning' | 'problem' | 'unknown';

export interface Finding {
  /** Stable name, kebab-case. */
  readonly check: string;
  readonly level: Level;
  readonly message: string;
  /** What to do, as an instruction. */
  readonly mend?: string;
}

/** A part of the cluster's state, or why it is not known. */
export type Known<T> = { readonly value: T } | { readonly unknown: string };

/** Findings about what is known; else one that says why it is not. */
export function whenKnown<T>(
  check: string,
  known: Known<T>,
  look: (value: T) => readonly Finding[],
): readonly Finding[] {
  if ('value' in known) return look(known.value);
  return [{ check, level: 'unknown', message: `cannot be told: ${known.unknown}` }];
}

/** `a, b and 3 more`. */
export function listed(names: readonly string[], shownMax = 3): string {
  const shown = names.slice(0, shownMax);
  const rest = names.length - shown.length;
  return rest > 0 ? `${shown.join(', ')} and ${rest} more` : shown.join(', ');
}

/** `1 pod`, `2 pods`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
