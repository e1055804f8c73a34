// What a request becomes on its way to the destination that was chosen: headers, path and host.
import type { Exchange } from '../exchange.ts';
import type { CompiledDestination, CompiledRoute } from './compiled-route.ts';
import { applyRequestEdits } from './header-edits.ts';

/** Names the path that the caller asked for, as Envoy's router does. */
const originalPath = 'x-envoy-original-path';

/** All edits of a request in Envoy's order: the destination's, the route's, then path and host. */
export function editRequest(
  x: Exchange,
  { edits, rewrite }: CompiledRoute,
  destination: CompiledDestination,
): void {
  const { request } = x;
  if (destination.edits !== null) applyRequestEdits(destination.edits, x);
  if (edits !== null) applyRequestEdits(edits, x);
  const path = rewrite === null ? null : rewrite.path;
  if (path !== null) {
    const before = request.path;
    request.setPath(path(before));
    request.remove(originalPath);
    request.append(originalPath, before);
  }
  const authority = rewrite?.authority || edits?.authority || destination.edits?.authority || '';
  if (authority !== '') request.setAuthority(authority);
}
