// How findings about one resource are put.
import type { Finding } from '../origin.ts';

/** Takes what is wrong with the node at a path. */
export type Add = (path: string, message: string, mend?: string) => void;

/** Adds findings of one severity to a list. */
export function adder(findings: Finding[], severity: Finding['severity'], code: string): Add {
  return (path, message, mend) => findings.push({ severity, code, path, message, mend });
}
