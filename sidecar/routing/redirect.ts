// The answer of a route that redirects: its status and location, as Envoy makes them.
import type { RequestView } from '../exchange.ts';
import type { CompiledRedirect } from './compiled-route.ts';
import { uriText } from './wire-text.ts';

export interface Redirect {
  readonly status: number;
  readonly location: string;
}

export function redirectOf({ redirect, path }: CompiledRedirect, request: RequestView): Redirect {
  const { status, scheme = request.scheme, port } = redirect;
  const authority = redirect.authority ?? ownAuthority(request, scheme, port);
  // A port of 0 means that none is written: the scheme says it.
  const suffix = port === undefined || port === 0 ? '' : `:${port}`;
  const target = path === null ? request.path : path(request.path);
  return { status, location: uriText(`${scheme}://${authority}${suffix}${target}`) };
}

/** The host as called; its port falls where another is said, or where it was only the old scheme's. */
function ownAuthority(request: RequestView, scheme: string, port: number | undefined): string {
  const { authority } = request;
  const at = authority.lastIndexOf(':');
  if (at === -1 || authority.indexOf(']', at) !== -1) return authority;
  const named = authority.slice(at);
  const wasDefault =
    scheme !== request.scheme && named === (request.scheme === 'https' ? ':443' : ':80');
  return port !== undefined || wasDefault ? authority.slice(0, at) : authority;
}
