// One rule of an AuthorizationPolicy as conditions: who (`from`), what (`to`), each with its share of `when`.
import type {
  AuthorizationPolicy,
  Condition as When,
  Rule,
} from '#api/kinds/authorization-policy.ts';

import { expandPrincipal, expandTrustDomains } from './aliases.ts';
import {
  makeConditions,
  type Attribute,
  type Condition,
  type FieldNames,
} from './conditions/condition.ts';
import * as peer from './conditions/peer.ts';
import * as asked from './conditions/request.ts';
import * as token from './conditions/token.ts';

/** Conditions that must all hold. */
export type Clause = readonly Condition[];

/** A rule matches when one clause of `froms` and one of `tos` hold. */
export interface RuleModel {
  readonly policy: AuthorizationPolicy;
  /** Index in `spec.rules`. */
  readonly index: number;
  readonly froms: readonly Clause[];
  readonly tos: readonly Clause[];
}

/** A rule that Istio leaves out altogether, whatever its action. */
export interface UnknownKey {
  readonly policy: AuthorizationPolicy;
  readonly index: number;
  readonly key: string;
  readonly path: string;
}

/**
 * Reads a rule. An unknown `when` key makes it an UnknownKey.
 * @param domains the trust domain, then its aliases
 */
export function readRule(
  policy: AuthorizationPolicy,
  index: number,
  domains: readonly string[],
): RuleModel | UnknownKey {
  const rule = policy.spec.rules?.[index] ?? {};
  const root = `spec.rules[${index}]`;
  const attributes = attributesFor(policy.metadata.namespace, domains);
  const whoWhen: Condition[] = [];
  const whatWhen: Condition[] = [];
  for (const [i, when] of (rule.when ?? []).entries()) {
    const found = attributeOfKey(when.key, attributes);
    const path = `${root}.when[${i}]`;
    if (found === null) return { policy, index, key: when.key, path };
    (found.side === 'who' ? whoWhen : whatWhen).push(...whenConditions(found, when, path));
  }
  return {
    policy,
    index,
    froms: fromClauses(rule, root, attributes).map((clause) => [...clause, ...whoWhen]),
    tos: toClauses(rule, root).map((clause) => [...clause, ...whatWhen]),
  };
}

interface PolicyAttributes {
  readonly principals: Attribute;
  readonly serviceAccounts: Attribute;
  readonly trustDomains: Attribute;
}

function attributesFor(namespace: string, domains: readonly string[]): PolicyAttributes {
  return {
    principals: peer.principals((value) => expandPrincipal(value, domains)),
    serviceAccounts: peer.serviceAccounts(namespace),
    trustDomains: peer.trustDomains((values) => expandTrustDomains(values, domains)),
  };
}

interface KeyAttribute {
  readonly attribute: Attribute;
  readonly side: 'who' | 'what';
}

/** What a `when` key looks at; null for a key that Istio does not know. */
function attributeOfKey(key: string, own: PolicyAttributes): KeyAttribute | null {
  switch (key) {
    case 'destination.ip':
      return what(peer.destinationIps);
    case 'destination.port':
      return what(asked.ports);
    case 'connection.sni':
      return what(asked.serverNames);
    case 'source.ip':
      return who(peer.sourceIps);
    case 'remote.ip':
      return who(peer.remoteIps);
    case 'source.namespace':
      return who(peer.namespaces);
    case 'source.serviceAccount':
      return who(own.serviceAccounts);
    case 'source.trustDomain':
      return who(own.trustDomains);
    case 'source.principal':
      return who(own.principals);
    case 'request.auth.principal':
      return who(token.requestPrincipals);
    case 'request.auth.audiences':
      return who(token.audiences);
    case 'request.auth.presenter':
      return who(token.presenters);
    default:
      return attributeOfPrefix(key);
  }
}

function attributeOfPrefix(key: string): KeyAttribute | null {
  const header = restAfter(key, 'request.headers');
  if (header !== null) return who(asked.headers(nameInBrackets(header)));
  const claim = restAfter(key, 'request.auth.claims');
  if (claim !== null) return who(token.claims(claim));
  const filter = restAfter(key, 'experimental.envoy.filters.');
  return filter === null ? null : what(asked.filterMetadata(filter.includes('[')));
}

function who(attribute: Attribute): KeyAttribute {
  return { attribute, side: 'who' };
}

function what(attribute: Attribute): KeyAttribute {
  return { attribute, side: 'what' };
}

function restAfter(key: string, prefix: string): string | null {
  return key.startsWith(prefix) ? key.slice(prefix.length) : null;
}

function nameInBrackets(text: string): string | null {
  return text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : null;
}

function whenConditions({ attribute }: KeyAttribute, when: When, path: string): Condition[] {
  const names: FieldNames = {
    field: `when[${when.key}]`,
    path: `${path}.values`,
    notField: `when[${when.key}].notValues`,
    notPath: `${path}.notValues`,
  };
  return makeConditions(attribute, names, when.values, when.notValues);
}

function fromClauses(rule: Rule, root: string, own: PolicyAttributes): Condition[][] {
  if (rule.from === undefined || rule.from.length === 0) return [[]];
  return rule.from.map((from, i) => {
    const s = from.source;
    if (s === undefined) return [];
    const one = fieldMaker('from.source', `${root}.from[${i}].source`);
    return [
      ...one('principals', own.principals, s.principals, s.notPrincipals),
      ...one(
        'requestPrincipals',
        token.requestPrincipals,
        s.requestPrincipals,
        s.notRequestPrincipals,
      ),
      ...one('namespaces', peer.namespaces, s.namespaces, s.notNamespaces),
      ...one('serviceAccounts', own.serviceAccounts, s.serviceAccounts, s.notServiceAccounts),
      ...one('trustDomains', own.trustDomains, s.trustDomains, s.notTrustDomains),
      ...one('ipBlocks', peer.sourceIps, s.ipBlocks, s.notIpBlocks),
      ...one('remoteIpBlocks', peer.remoteIps, s.remoteIpBlocks, s.notRemoteIpBlocks),
    ];
  });
}

function toClauses(rule: Rule, root: string): Condition[][] {
  if (rule.to === undefined || rule.to.length === 0) return [[]];
  return rule.to.map((to, i) => {
    const o = to.operation;
    if (o === undefined) return [];
    const one = fieldMaker('to.operation', `${root}.to[${i}].operation`);
    return [
      ...one('hosts', asked.hosts, o.hosts, o.notHosts),
      ...one('methods', asked.methods, o.methods, o.notMethods),
      ...one('paths', asked.paths, o.paths, o.notPaths),
      ...one('ports', asked.ports, o.ports, o.notPorts),
    ];
  });
}

type FieldMaker = (
  name: string,
  attribute: Attribute,
  values: readonly string[] | undefined,
  notValues: readonly string[] | undefined,
) => Condition[];

function fieldMaker(fieldRoot: string, pathRoot: string): FieldMaker {
  return (name, attribute, values, notValues) => {
    if (values === undefined && notValues === undefined) return [];
    const notName = `not${name.charAt(0).toUpperCase()}${name.slice(1)}`;
    const names: FieldNames = {
      field: `${fieldRoot}.${name}`,
      path: `${pathRoot}.${name}`,
      notField: `${fieldRoot}.${notName}`,
      notPath: `${pathRoot}.${notName}`,
    };
    return makeConditions(attribute, names, values, notValues);
  };
}
