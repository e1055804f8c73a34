// Says in the log what of a snapshot is left out because it cannot be compiled: once, for as long as it is so.
import type { Log } from '#runtime/log.ts';

import type { Enforced, InForce } from './in-force.ts';

/** Called with the first snapshot in force. In a process with workers once for all of them. */
export function logLeftOut(inForce: InForce, log: Log): void {
  let known: ReadonlySet<string> = new Set();
  const look = (enforced: Enforced): void => {
    const present = problemsOf(enforced);
    for (const [problem, message] of present) {
      if (!known.has(problem)) log.warn({ problem }, message);
    }
    known = new Set(present.map(([problem]) => problem));
  };
  const enforced = inForce.current();
  if (enforced !== null) look(enforced);
  inForce.onChange(look);
}

function problemsOf({ routing, transforms }: Enforced): (readonly [string, string])[] {
  return [
    ...routing.problems.map((problem) => [problem, 'a route is left out'] as const),
    ...(transforms?.problems ?? []).map(
      (problem) => [problem, 'an edit of a Transformation is left out'] as const,
    ),
  ];
}
