// Resources that were left out, said in a line each: a verdict without them needs to be read with that in mind.
import type { Problem } from '#api/problem.ts';

import type { Io } from '../io.ts';

/** Writes errors to stderr; warnings are the business of `selvage check`. */
export function printProblems(problems: readonly Problem[], io: Io): void {
  for (const problem of problems) {
    if (problem.severity === 'error') io.stderr.write(`${formatProblem(problem)}\n`);
  }
}

/** `shop.yaml:12:3: AuthorizationPolicy shop/a: left out: message`. */
export function formatProblem(problem: Problem): string {
  return placeAndMessage({ ...problem, message: `left out: ${problem.message}` });
}

/** `shop.yaml:12:3: AuthorizationPolicy shop/a: message`. */
export function placeAndMessage(problem: Problem): string {
  const { file, line, column, resource, message } = problem;
  const place = [file, line, column].filter((part) => part !== undefined).join(':');
  return [place, resource, message].filter(Boolean).join(': ');
}
