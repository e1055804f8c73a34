// The facts of a recorded request as a sidecar's filters would see them, after the head is read and cleaned.
import type { ConnectionFacts, RequestFacts, TokenFacts } from '../facts.ts';
import type { TokenOutcome } from '../jwt/authenticate.ts';
import type { HeaderLine } from './headers.ts';

/** An immutable request; changes make another one. */
export class JudgedRequest implements RequestFacts {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  readonly token: TokenFacts | null;
  readonly #lines: ReadonlyMap<string, readonly string[]>;

  constructor(
    head: Pick<RequestFacts, 'method' | 'path' | 'authority' | 'scheme' | 'token'>,
    lines: ReadonlyMap<string, readonly string[]>,
  ) {
    this.method = head.method;
    this.path = head.path;
    this.authority = head.authority;
    this.scheme = head.scheme;
    this.token = head.token;
    this.#lines = lines;
  }

  values(name: string): readonly string[] {
    return this.#lines.get(name) ?? none;
  }

  /** The request with its tokens taken out and its claims put in. */
  authenticated(outcome: Extract<TokenOutcome, { ok: true }>): JudgedRequest {
    const lines = new Map(this.#lines);
    for (const name of outcome.remove) lines.delete(name);
    for (const [name, value] of outcome.append)
      lines.set(name, [...(lines.get(name) ?? []), value]);
    const path = outcome.path ?? this.path;
    return new JudgedRequest({ ...this.#head(), path, token: outcome.token }, lines);
  }

  #head(): Pick<RequestFacts, 'method' | 'path' | 'authority' | 'scheme' | 'token'> {
    const { method, path, authority, scheme, token } = this;
    return { method, path, authority, scheme, token };
  }
}

const none: readonly string[] = [];

/** What the request looks like once the sidecar's own headers are in and forged ones are out. */
export function requestFacts(
  connection: ConnectionFacts,
  method: string,
  admitted: { readonly path: string; readonly authority: string },
  endToEnd: readonly HeaderLine[],
): JudgedRequest {
  const lines = new Map<string, string[]>();
  for (const [name, value] of endToEnd) {
    const key = name.toLowerCase();
    const trimmed = value.replace(/^[\t ]+|[\t ]+$/g, '');
    const values = lines.get(key);
    if (values === undefined) lines.set(key, [trimmed]);
    else values.push(trimmed);
  }
  const scheme = schemeOf(lines.get('x-forwarded-proto')?.at(-1), connection.mtls);
  if (!lines.has('x-forwarded-proto')) lines.set('x-forwarded-proto', [scheme]);
  if (!lines.has('x-request-id'))
    lines.set('x-request-id', ['00000000-0000-4000-8000-000000000000']);
  lines.set('host', [admitted.authority]);
  lines.delete('x-forwarded-client-cert');
  if (connection.mtls) {
    const uris = connection.identities.map((uri) => `URI=${uri}`);
    lines.set('x-forwarded-client-cert', [uris.join(';') || 'Hash=']);
  }
  return new JudgedRequest({ method, ...pick(admitted), scheme, token: null }, lines);
}

function pick(admitted: { readonly path: string; readonly authority: string }): {
  path: string;
  authority: string;
} {
  return { path: admitted.path, authority: admitted.authority };
}

/** X-Forwarded-Proto wins, as for any request that Envoy believes to come from a proxy. */
function schemeOf(forwarded: string | undefined, mtls: boolean): string {
  const said = forwarded?.toLowerCase();
  if (said === 'http' || said === 'https') return said;
  return mtls ? 'https' : 'http';
}
