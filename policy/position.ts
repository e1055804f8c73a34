// Where a node of a policy is written, for messages: `shop.yaml:41`.
import type { Origin } from '#api/resource.ts';

/**
 * `file:line` of a node, or of the nearest one around it that has a line; null without an origin.
 * Of a resource of a cluster its name: `AuthorizationPolicy payments/admit-billing`.
 * @param path as in Origin.lines: `spec.rules[0].to[0].operation.paths`
 */
export function positionOf(origin: Origin | undefined, path: string): string | null {
  if (origin === undefined) return null;
  if (origin.line === 0) return origin.file;
  for (let at = path; at !== ''; at = parentOf(at)) {
    const line = origin.lines[at];
    if (line !== undefined) return `${origin.file}:${line}`;
  }
  return `${origin.file}:${origin.line}`;
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('.'), path.lastIndexOf('['), 0));
}
