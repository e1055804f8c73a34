// A problem in words, without its place: the same for `selvage check` and for whoever runs kubectl.
import type { Problem } from './problem.ts';

/** `AuthorizationPolicy shop/a: spec.rules: message [code]`, and what to do about it in a second line. */
export function problemText(problem: Problem): string {
  const { mend } = problem;
  return mend === undefined ? problemLine(problem) : `${problemLine(problem)}\n    mend: ${mend}`;
}

/** Without what to do about it. */
export function problemLine({ resource, path, message, code }: Problem): string {
  const subject = [resource, path].filter(Boolean).map((part) => `${part}: `);
  return `${subject.join('')}${message} [${code}]`;
}
