// A call in the making: what each variable says of it, and an everyday value for all else.
import type { ConnectionFacts, RequestFacts, TokenFacts } from '../facts.ts';
import type { RecordedCall } from '../judge/call.ts';
import { requestFacts } from '../judge/request-facts.ts';

export type Claims = Readonly<Record<string, unknown>>;

/** What one value of one variable says. */
export interface Atom {
  /** Whole: `spiffe://…`. */
  readonly identity?: string;
  readonly sourceIp?: string;
  /** Sent as X-Forwarded-For. */
  readonly remoteIp?: string;
  readonly destinationIp?: string;
  readonly sni?: string;
  readonly method?: string;
  readonly host?: string;
  /** Normal, without a query. */
  readonly path?: string;
  /** By lower-case name, its lines. */
  readonly headers?: Readonly<Record<string, readonly string[]>>;
  /** Null: no token. */
  readonly claims?: Claims | null;
  /** What one more claim of the token has, if there is a token. */
  readonly claim?: { readonly path: readonly string[]; readonly values: readonly string[] };
  /** What external authorizers answer. */
  readonly authorizers?: Readonly<Record<string, boolean>>;
}

/** How a call comes. */
export interface Carriage {
  readonly port: number;
  readonly mtls: boolean;
  readonly kind: 'http' | 'tcp';
  /** TLS that is not the mesh's, passed on as it is and judged as bytes; then `mtls` is false. */
  readonly relayed?: boolean;
}

export interface Draft extends Required<
  Pick<Atom, 'sourceIp' | 'destinationIp' | 'method' | 'host' | 'path' | 'headers' | 'authorizers'>
> {
  readonly carriage: Carriage;
  /** Null: plaintext. */
  readonly identity: string | null;
  readonly remoteIp: string | null;
  /** Null: what a sidecar sends. */
  readonly sni: string | null;
  readonly claims: Claims | null;
}

/** What is not said by any atom. */
export type Everyday = Pick<Draft, 'host'> & { readonly identity: string };

/** @param atoms one for each variable that varies */
export function draftOf(everyday: Everyday, carriage: Carriage, atoms: readonly Atom[]): Draft {
  const whole: Atom = Object.assign({}, ...atoms);
  const { sourceIp = '10.0.0.1', destinationIp = '10.0.0.2', method = 'GET', path = '/' } = whole;
  const { host = everyday.host, remoteIp = null, sni = null } = whole;
  const token = atoms.find(({ claims }) => claims !== undefined)?.claims ?? null;
  const headers: Record<string, string[]> = {};
  for (const atom of atoms) {
    for (const [name, lines] of Object.entries(atom.headers ?? {}))
      (headers[name] ??= []).push(...lines);
  }
  const authorizers = Object.assign({}, ...atoms.map((atom) => atom.authorizers ?? {}));
  return {
    carriage,
    identity: carriage.mtls ? (whole.identity ?? everyday.identity) : null,
    sourceIp,
    destinationIp,
    method,
    path,
    host,
    remoteIp,
    sni,
    headers,
    authorizers,
    claims: token === null ? null : withClaims(token, atoms),
  };
}

export interface DraftFacts {
  readonly connection: ConnectionFacts;
  /** Null for TCP. */
  readonly request: RequestFacts | null;
}

/** What rules are given of it. @param token its claims as they are, believed or not */
export function factsOf(draft: Draft): DraftFacts {
  const { carriage, identity, sourceIp, destinationIp, sni, claims } = draft;
  const connection: ConnectionFacts = {
    mtls: carriage.mtls,
    identities: identity === null ? [] : [identity],
    sourceIp,
    destinationIp,
    destinationPort: carriage.port,
    sni: carriage.mtls || carriage.relayed === true ? (sni ?? defaultSni(carriage.port)) : '',
  };
  if (carriage.kind === 'tcp') return { connection, request: null };
  const { method, path, host } = draft;
  const bare = requestFacts(connection, method, { path, authority: host }, linesOf(draft));
  const token = claims === null ? null : tokenOf(claims);
  const request = bare.authenticated({ ok: true, token, remove: [], path: null, append: [] });
  return { connection, request };
}

/** The call as recorded ones are written: to be judged from its first byte on. */
export function recordedOf(draft: Draft): RecordedCall {
  const { carriage, identity, sourceIp, destinationIp, sni, method, path, host } = draft;
  const source = { identity: identity?.replace('spiffe://', '') ?? null, ip: sourceIp };
  const destination = { ip: destinationIp, port: carriage.port };
  const own = sni === null ? {} : { sni };
  if (carriage.kind === 'tcp') return { kind: 'tcp', source, destination, ...own };
  return { method, path, host, headers: linesOf(draft), source, destination, ...own };
}

function withClaims(token: Claims, atoms: readonly Atom[]): Claims {
  const claims = structuredClone(token) as Record<string, unknown>;
  const lists = new Map<string, { readonly path: readonly string[]; readonly values: string[] }>();
  for (const { claim } of atoms) {
    if (claim === undefined) continue;
    const name = claim.path.join('\n');
    const known = lists.get(name);
    if (known === undefined) lists.set(name, { path: claim.path, values: [...claim.values] });
    else known.values.push(...claim.values);
  }
  for (const { path, values } of lists.values()) {
    let at = claims;
    for (const name of path.slice(0, -1)) at = (at[name] ??= {}) as Record<string, unknown>;
    at[path.at(-1) ?? ''] = claimOf(values);
  }
  return claims;
}

/** A text that nothing splits, else a list. */
function claimOf(list: readonly string[]): unknown {
  const [only = ''] = list;
  return list.length === 1 && only !== '' && !only.includes(' ') ? only : list;
}

function tokenOf(payload: Claims): TokenFacts {
  const [issuer, subject] = [textOf(payload['iss']), textOf(payload['sub'])];
  return { issuer, subject, payload, spaceDelimitedClaims: [] };
}

function textOf(claim: unknown): string {
  return typeof claim === 'string' ? claim : '';
}

function linesOf({ headers, remoteIp }: Draft): [string, string][] {
  const lines = Object.entries(headers).flatMap(([name, values]) =>
    values.map((value): [string, string] => [name, value]),
  );
  return remoteIp === null ? lines : [...lines, ['x-forwarded-for', remoteIp]];
}

/** As `judge` has it where a call says nothing. */
function defaultSni(port: number): string {
  return `outbound_.${port}_._.srv.svc.cluster.local`;
}
