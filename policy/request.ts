// Whether a request head may go on to authorization, and the path and authority that policies will see.
import type { PathNormalization } from '#api/kinds/mesh-config.ts';

import { normalizePath } from './path.ts';

/** Why a request goes no further; each is a code of the sidecar's table of failures. '' where it may. */
export type RequestRefusal =
  | 'malformed'
  | 'path-refused'
  | 'host-missing'
  | 'version-unsupported'
  | 'upgrade-refused'
  | 'target-refused';

export interface RawRequest {
  readonly method: string;
  /** The request target's bytes as latin-1. */
  readonly rawTarget: string;
  /** The values of all Host lines; HTTP/2: of `:authority`. */
  readonly hosts: readonly string[];
  /** HTTP minor version, 1 for HTTP/2. */
  readonly minor: number;
  /** The lower-case value of `Upgrade` when `Connection` names it, else ''. */
  readonly upgrade: string;
}

export interface AdmittedRequest {
  /** Normalised, with its query. */
  path: string;
  authority: string;
}

/** The methods that Envoy's HTTP/1 codec accepts; all others, and these in lower case, are malformed. */
export const KNOWN_METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
  'PATCH',
  'ACL',
  'BIND',
  'CHECKOUT',
  'COPY',
  'LINK',
  'LOCK',
  'MERGE',
  'MKACTIVITY',
  'MKCALENDAR',
  'MKCOL',
  'MOVE',
  'MSEARCH',
  'NOTIFY',
  'PROPFIND',
  'PROPPATCH',
  'PURGE',
  'REBIND',
  'REPORT',
  'SEARCH',
  'SOURCE',
  'SUBSCRIBE',
  'UNBIND',
  'UNLINK',
  'UNLOCK',
  'UNSUBSCRIBE',
]);

/**
 * Scheme, authority, and the rest, of an absolute-form target (RFC 9112 section 3.2.2). Only the characters of names and
 * addresses, as Envoy: `x@host` would be another host to a policy than to the application.
 */
const absoluteForm = /^https?:\/\/((?:[\w.-]+|\[[\da-f:.]+\])(?::\d+)?)([/?#].*)?$/i;

/** The target of CONNECT (RFC 9112 section 3.2.3). */
const authorityForm = /^[^/?#@]+:\d+$/;

/**
 * Checks a request in Envoy's order: codec, version, host, target, path, upgrade.
 * Allocates nothing when the target is in normal form already.
 * @param out filled unless the request is refused as malformed
 * CONNECT is refused like an unknown upgrade: nothing tunnels into a workload.
 * @returns '' when it may go on. An upgrade to h2c is no refusal: it is ignored, and must not be forwarded.
 */
export function admitRequest(
  raw: RawRequest,
  normalization: PathNormalization,
  out: AdmittedRequest,
): RequestRefusal | '' {
  const { method, rawTarget, hosts, upgrade } = raw;
  if (!KNOWN_METHODS.has(method) || !isPrintable(rawTarget)) return 'malformed';
  out.path = rawTarget;
  out.authority = hosts.length <= 1 ? (hosts[0] ?? '') : hosts.join(',');
  const ownAuthority = method === 'CONNECT' || !isOriginForm(method, rawTarget);
  if (ownAuthority && !readTarget(method, rawTarget, out)) return 'malformed';
  if (raw.minor === 0) return 'version-unsupported';
  if (!ownAuthority && hosts.length === 0) return 'host-missing';
  if (method === 'CONNECT') return 'upgrade-refused';
  if (out.path.charCodeAt(0) !== 47) return 'target-refused';
  const path = normalizePath(out.path, normalization);
  if (path === null) return 'path-refused';
  out.path = path;
  return upgrade === '' || upgrade === 'websocket' || upgrade === 'h2c' ? '' : 'upgrade-refused';
}

/** A path, or the `*` of OPTIONS. */
function isOriginForm(method: string, target: string): boolean {
  return target.charCodeAt(0) === 47 || (method === 'OPTIONS' && target.charCodeAt(0) === 42);
}

/** Reads a target that names its own authority, which replaces what Host says (RFC 9112 section 3.2.2). */
function readTarget(method: string, target: string, out: AdmittedRequest): boolean {
  if (method === 'CONNECT') {
    out.authority = target;
    out.path = '';
    return authorityForm.test(target);
  }
  const absolute = absoluteForm.exec(target);
  if (absolute === null) return false;
  const [, authority = '', rest = ''] = absolute;
  out.authority = authority;
  out.path = originForm(rest);
  return true;
}

/** The path of a target that may name its authority too, for who tells of it; what is no such target stays as it is. */
export function pathOfTarget(target: string): string {
  if (target.charCodeAt(0) === 47) return target;
  const absolute = absoluteForm.exec(target);
  if (absolute === null) return target;
  const [, , rest = ''] = absolute;
  return originForm(rest);
}

/** @param rest what follows the authority */
function originForm(rest: string): string {
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** Whether a target is not empty and has only ASCII that can be seen; Envoy's codec takes no other. */
function isPrintable(target: string): boolean {
  for (let i = 0; i < target.length; i++) {
    const code = target.charCodeAt(i);
    if (code <= 32 || code > 126) return false;
  }
  return target !== '';
}
