// The texts of a call in each space that rules are indexed by, walked through the trees without allocating.
import type { Candidate } from './candidate-index.ts';
import type { TextSpace } from './conditions/condition.ts';
import { headerLines, pathEnd } from './conditions/request.ts';
import type { ConnectionFacts, RequestFacts } from './facts.ts';
import { claimAt, readClaimPath } from './match/claims.ts';
import type { TextTree, Visitor } from './match/text-tree.ts';

/** The keys of one space. */
export interface TextKeys {
  /** Exact texts and prefixes. */
  readonly forward: TextTree<Candidate>;
  /** Suffixes; null where there are none. */
  backward: TextTree<Candidate> | null;
}

/** Visits the candidates of every key that a call has in a space. */
export type Walk = (
  keys: TextKeys,
  connection: ConnectionFacts,
  request: RequestFacts | null,
  visitor: Visitor<Candidate>,
) => void;

/** How to walk a space. */
export function walkOf(space: TextSpace): Walk {
  if (space.startsWith('header:')) return headerWalk(space.slice('header:'.length));
  if (space.startsWith('claim:')) return claimWalk(space.slice('claim:'.length));
  return walks[space as keyof typeof walks];
}

function headerWalk(name: string): Walk {
  return (keys, _, request, visitor) => {
    if (request === null) return;
    for (const value of headerLines(request, name)) walkText(keys, value, value.length, visitor);
  };
}

function claimWalk(brackets: string): Walk {
  const path = readClaimPath(brackets) ?? [];
  return (keys, _, request, visitor) => {
    if (request === null || request.token === null) return;
    const claim = claimAt(request.token.payload, path);
    if (!Array.isArray(claim)) walkClaim(keys, claim, visitor);
    else for (const element of claim) walkClaim(keys, element, visitor);
  };
}

const walks: Readonly<Record<Exclude<TextSpace, `header:${string}` | `claim:${string}`>, Walk>> = {
  identity(keys, connection, _, visitor) {
    for (const identity of connection.identities) {
      walkText(keys, identity, identity.length, visitor);
    }
  },
  namespace(keys, connection, _, visitor) {
    for (const identity of connection.identities) walkNamespaces(keys, identity, visitor);
  },
  'service-account'(keys, connection, _, visitor) {
    for (const identity of connection.identities) walkAccount(keys, identity, visitor);
  },
  'trust-domain'(keys, connection, _, visitor) {
    for (const identity of connection.identities) {
      const end = identity.indexOf('/', schemeLength);
      if (end !== -1) keys.forward.walk(identity, schemeLength, end, visitor);
    }
  },
  sni(keys, connection, _, visitor) {
    walkText(keys, connection.sni, connection.sni.length, visitor);
  },
  method(keys, _, request, visitor) {
    if (request !== null) walkText(keys, request.method, request.method.length, visitor);
  },
  host(keys, _, request, visitor) {
    if (request !== null) walkText(keys, request.authority, request.authority.length, visitor);
  },
  path(keys, _, request, visitor) {
    if (request !== null) walkText(keys, request.path, pathEnd(request.path), visitor);
  },
  iss(keys, _, request, visitor) {
    walkClaim(keys, request?.token?.payload['iss'], visitor);
  },
  sub(keys, _, request, visitor) {
    walkClaim(keys, request?.token?.payload['sub'], visitor);
  },
};

const schemeLength = 'spiffe://'.length;

function walkText(keys: TextKeys, text: string, end: number, visitor: Visitor<Candidate>): void {
  walkPart(keys, text, 0, end, visitor);
}

function walkPart(
  keys: TextKeys,
  text: string,
  from: number,
  to: number,
  visitor: Visitor<Candidate>,
): void {
  keys.forward.walk(text, from, to, visitor);
  if (keys.backward !== null) keys.backward.walk(text, from, to, visitor);
}

/** A claim as a whole and, as some claims are split at blanks, each word of it: to find too much does no harm. */
function walkClaim(keys: TextKeys, claim: unknown, visitor: Visitor<Candidate>): void {
  if (typeof claim !== 'string') return;
  walkText(keys, claim, claim.length, visitor);
  let from = 0;
  for (let blank = claim.indexOf(' '); blank !== -1; blank = claim.indexOf(' ', from)) {
    walkPart(keys, claim, from, blank, visitor);
    from = blank + 1;
  }
  if (from > 0) walkPart(keys, claim, from, claim.length, visitor);
}

/** Every `/ns/NAMESPACE/` of an identity; there is one, unless the CA makes odd names. */
function walkNamespaces(keys: TextKeys, identity: string, visitor: Visitor<Candidate>): void {
  let at = identity.indexOf('/ns/');
  while (at !== -1) {
    const end = identity.indexOf('/', at + 4);
    if (end === -1) return;
    keys.forward.walk(identity, at + 4, end, visitor);
    at = identity.indexOf('/ns/', at + 3);
  }
}

/** Looks `NAMESPACE/sa/ACCOUNT` up; for an identity with more segments than that, every key may be meant. */
function walkAccount(keys: TextKeys, identity: string, visitor: Visitor<Candidate>): void {
  const namespace = identity.indexOf('/ns/', schemeLength);
  if (namespace === -1) return;
  const account = identity.indexOf('/sa/', namespace + 4);
  const plain =
    identity.indexOf('/', schemeLength) === namespace &&
    identity.indexOf('/', namespace + 4) === account &&
    identity.indexOf('/', account + 4) === -1;
  if (plain) keys.forward.walk(identity, namespace + 4, identity.length, visitor);
  else keys.forward.visitAll(visitor);
}
