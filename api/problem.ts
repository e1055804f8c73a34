// What is wrong with an input, where, and how to mend it: the one shape for `check`, the webhook and the reloader.

export interface Problem {
  readonly severity: 'error' | 'warning';
  /** Stable name of the rule, kebab-case: `principal-unknown`, `yaml-syntax`. */
  readonly code: string;
  readonly message: string;
  /** What to do about it, as an instruction: `write "/admin*" as well`. */
  readonly mend?: string;
  readonly file?: string;
  /** From 1. */
  readonly line?: number;
  /** From 1. */
  readonly column?: number;
  /** The node that it is about, as `spec.rules[0].to`, where there is no file to point into. */
  readonly path?: string;
  /** `Kind namespace/name` where it is known. */
  readonly resource?: string;
}
