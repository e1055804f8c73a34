// What of a call a condition looks at, and the patterns that its values are: the list of what `selvage diff` understands.
import { expandPrincipal, expandTrustDomains } from '../aliases.ts';
import type { Condition } from '../conditions/condition.ts';
import { readClaimPath, readRequestPrincipal } from '../match/claims.ts';
import { splitServiceAccount } from '../match/identity.ts';
import { isTemplate } from '../match/template.ts';
import { readPattern } from '../match/text.ts';
import {
  joined,
  literal,
  rest,
  restOfSegment,
  type Shape,
  shapeOf,
  templateShape,
} from './shape.ts';

/**
 * Independent of each other, but for claims, which need a token. Headers by lower-case name, claims as `[a][b]`; they
 * may have several values, each of which is a variable of its own that is there or not: `header:x-team#0`.
 */
export type Variable =
  | 'identity'
  | 'source.ip'
  | 'remote.ip'
  | 'destination.ip'
  | 'sni'
  | 'method'
  | 'host'
  | 'path'
  | 'token'
  | `header:${string}`
  | `claim:${string}`
  | `authorizer:${string}`
  | `other:${string}`;

export interface Subject {
  /**
   * `port` and `nothing` are settled before anything is searched for. `other:…` is not understood: whatever the call,
   * it may hold or not, which is more than there can be.
   */
  readonly variable: Variable | 'port' | 'nothing';
  /** Of texts. */
  readonly shapes: readonly Shape[];
  /** Of addresses and ports. */
  readonly values: readonly string[];
  /** Of the issuer and the subject of a token, and of its audiences. */
  readonly token?: {
    readonly iss?: readonly Shape[];
    readonly sub?: readonly Shape[];
    readonly aud?: readonly Shape[];
  };
}

/** @param namespace of the policy @param domains the trust domain of the mesh, then its aliases */
export function subjectOf(
  condition: Condition,
  namespace: string,
  domains: readonly string[],
): Subject {
  const { name, values } = namedOf(condition);
  return (
    known(name, values, namespace, domains) ??
    plain(`other:${name} ${JSON.stringify(values)}`, values)
  );
}

/** Null: it is none of those that are understood. */
function known(
  name: string,
  values: readonly string[],
  namespace: string,
  domains: readonly string[],
): Subject | null {
  switch (name) {
    case 'principals':
      return texts(
        'identity',
        values.flatMap((value) => expandPrincipal(value, domains)).map(principalShape),
      );
    case 'namespaces':
      return texts(
        'identity',
        values.map((value) => joinedNamespace(value)),
      );
    case 'serviceAccounts':
      return texts(
        'identity',
        values.flatMap((value) => accountShapes(value, namespace, domains)),
      );
    case 'trustDomains':
      return texts('identity', expandTrustDomains(values, domains).map(domainShape));
    case 'ipBlocks':
      return plain('source.ip', values);
    case 'remoteIpBlocks':
      return plain('remote.ip', values);
    case 'destination.ip':
      return plain('destination.ip', values);
    case 'ports':
      return plain('port', values);
    case 'connection.sni':
      return texts(
        'sni',
        values.map((value) => shapeOf(readPattern(value))),
      );
    case 'methods':
      return plain('method', values);
    case 'hosts':
      return texts(
        'host',
        values.map((value) => shapeOf(readPattern(value), true)),
      );
    case 'paths':
      return pathSubject(values);
    case 'requestPrincipals':
      return principalSubject(values);
    default:
      return keyedSubject(name, values);
  }
}

/** Headers that the sidecar itself sets or reads, so that they do not vary freely. */
const bound = new Set([
  ':path',
  ':scheme',
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  'x-forwarded-client-cert',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-request-id',
]);

/** Claims that make a token good or bad. */
const judged = new Set(['exp', 'iat', 'jti', 'nbf']);

/** The field without `not`, under the name that it has in `from` and `to`, with the values as written. */
function namedOf({ field, wanted }: Condition): { name: string; values: readonly string[] } {
  const [, key, negative] = /^when\[(.*)\](\.notValues)?$/s.exec(field) ?? [];
  if (key !== undefined) {
    return {
      name: sameAs[key] ?? key,
      values: negative === undefined ? wanted : unnegated(wanted),
    };
  }
  const own = field.slice(field.lastIndexOf('.') + 1);
  const [, first, others] = /^not([A-Z])(.*)$/.exec(own) ?? [];
  if (first === undefined || others === undefined) return { name: own, values: wanted };
  return { name: first.toLowerCase() + others, values: unnegated(wanted) };
}

const sameAs: Readonly<Record<string, string>> = {
  'source.principal': 'principals',
  'source.namespace': 'namespaces',
  'source.serviceAccount': 'serviceAccounts',
  'source.trustDomain': 'trustDomains',
  'source.ip': 'ipBlocks',
  'remote.ip': 'remoteIpBlocks',
  'destination.port': 'ports',
  'request.auth.principal': 'requestPrincipals',
  'request.auth.audiences': 'request.auth.claims[aud]',
  'request.auth.presenter': 'request.auth.claims[azp]',
};

function unnegated(wanted: readonly string[]): readonly string[] {
  return wanted.map((value) => value.replace(/^not /, ''));
}

function texts(variable: Variable, shapes: readonly Shape[]): Subject {
  return { variable, shapes, values: [] };
}

function plain(variable: Subject['variable'], values: readonly string[]): Subject {
  return { variable, shapes: [], values };
}

function principalShape(value: string): Shape {
  const { form, text } = readPattern(value);
  return [...literal('spiffe://'), ...shapeOf({ form, text })];
}

function joinedNamespace(value: string): Shape {
  return [...rest, ...joined(`/ns/${value}/`.split('*'), rest), ...rest];
}

function accountShapes(value: string, namespace: string, domains: readonly string[]): Shape[] {
  const [of, account] = splitServiceAccount(value, namespace);
  return domains.map((domain) => literal(`spiffe://${domain}/ns/${of}/sa/${account}`));
}

function domainShape(value: string): Shape {
  return [
    ...literal('spiffe://'),
    ...joined(value.split('*'), restOfSegment),
    ...literal('/'),
    ...rest,
  ];
}

function pathSubject(values: readonly string[]): Subject | null {
  const shapes = values.map((value) =>
    isTemplate(value) ? templateShape(value) : shapeOf(readPattern(value)),
  );
  const known = shapes.filter((shape) => shape !== null);
  return known.length < shapes.length ? null : texts('path', known);
}

/** Each side of the last slash is one text or a pattern. */
function principalSubject(values: readonly string[]): Subject {
  const sides = values.map((value) => readRequestPrincipal(value).sides);
  const token = {
    iss: sides.map(({ issuer }) => shapeOf(issuer)),
    sub: sides.map(({ subject }) => shapeOf(subject)),
  };
  return { variable: 'token', shapes: [], values: [], token };
}

function keyedSubject(name: string, values: readonly string[]): Subject | null {
  if (name.startsWith('experimental.envoy.filters.')) return plain('nothing', []);
  const shapes = values.map((value) => shapeOf(readPattern(value)));
  const [, header] = /^request\.headers\[(.*)\]$/s.exec(name) ?? [];
  if (header !== undefined) return headerSubject(header.toLowerCase(), shapes);
  const [, brackets] = /^request\.auth\.claims(\[.*\])$/s.exec(name) ?? [];
  const path = brackets === undefined ? null : readClaimPath(brackets);
  if (brackets === undefined || path === null) return null;
  const [first = '', ...deeper] = path;
  if (first === 'iss' || first === 'sub' || first === 'aud') {
    if (deeper.length > 0) return null;
    return { variable: 'token', shapes: [], values: [], token: { [first]: shapes } };
  }
  return judged.has(first) ? null : texts(`claim:${brackets}`, shapes);
}

function headerSubject(name: string, shapes: readonly Shape[]): Subject | null {
  if (name === ':method') return plain('method', []);
  if (name === ':authority' || name === 'host') return texts('host', shapes);
  return bound.has(name) ? null : texts(`header:${name}`, shapes);
}
