// Rules of a VirtualService with those of its delegates in their place, merged as Istio merges them.
import type { VirtualService } from '#api/kinds/virtual-service.ts';
import type {
  DestinationSpec,
  HttpRule,
  HttpRuleMatch,
  StringMatch,
} from '#api/kinds/virtual-service-http.ts';
import { fullHost } from '#api/traffic/host.ts';

/** A rule and where it was written. */
export interface WrittenRule {
  readonly rule: HttpRule;
  readonly of: VirtualService;
  readonly index: number;
}

/** The delegates of a VirtualService by `namespace/name`, as far as it may see them. */
export type Delegates = ReadonlyMap<string, VirtualService>;

/** `namespace/name` of the delegate that a rule names; null: it names none. */
export function delegateKey({ delegate }: HttpRule, namespace: string): string | null {
  if (delegate === undefined) return null;
  return `${delegate.namespace || namespace}/${delegate.name}`;
}

/** All rules in order, with full names of hosts. A rule whose delegate is not there is left out. */
export function rulesWithDelegates(root: VirtualService, delegates: Delegates): WrittenRule[] {
  const { namespace } = root.metadata;
  return root.spec.http.flatMap((written, index): WrittenRule[] => {
    const rule = withFullHosts(written, namespace);
    const key = delegateKey(rule, namespace);
    if (key === null) return [{ rule, of: root, index }];
    const of = delegates.get(key);
    if (of === undefined) return [];
    return of.spec.http.flatMap((one, i) => {
      const merged = mergeRule(rule, withFullHosts(one, of.metadata.namespace));
      return merged === null ? [] : [{ rule: merged, of, index: i }];
    });
  });
}

/** Null: they contradict each other, and Istio leaves the rule of the delegate out. */
function mergeRule(root: HttpRule, own: HttpRule): HttpRule | null {
  const match = mergeMatches(root.match ?? [], own.match ?? []);
  if (match === null) return null;
  return {
    rewrite: root.rewrite,
    directResponse: root.directResponse,
    timeout: root.timeout,
    retries: root.retries,
    fault: root.fault,
    mirror: root.mirror,
    mirrors: root.mirrors,
    mirrorPercent: root.mirrorPercent,
    mirrorPercentage: root.mirrorPercentage,
    corsPolicy: root.corsPolicy,
    headers: root.headers,
    ...own,
    // One level only: what a delegate delegates further is not followed.
    delegate: undefined,
    match,
    name: joined(root.name, own.name),
  };
}

function joined(root = '', own = ''): string {
  return root !== '' && own !== '' ? `${root}-${own}` : `${root}${own}`;
}

function mergeMatches(
  root: readonly HttpRuleMatch[],
  own: readonly HttpRuleMatch[],
): HttpRuleMatch[] | null {
  if (root.length === 0) return [...own];
  if (own.length === 0) return [...root];
  const merged: HttpRuleMatch[] = [];
  for (const one of own) {
    const fitting = root.filter((other) => !contradicts(other, one));
    if (fitting.length === 0) return null;
    merged.push(...fitting.map((other) => mergeMatch(other, one)));
  }
  return merged;
}

function mergeMatch(root: HttpRuleMatch, own: HttpRuleMatch): HttpRuleMatch {
  const { gateways = [], port = 0, sourceNamespace = '' } = own;
  return {
    ...root,
    ...own,
    name: joined(root.name, own.name),
    headers: { ...root.headers, ...own.headers },
    withoutHeaders: { ...root.withoutHeaders, ...own.withoutHeaders },
    queryParams: { ...root.queryParams, ...own.queryParams },
    sourceLabels: { ...root.sourceLabels, ...own.sourceLabels },
    port: port === 0 ? root.port : port,
    sourceNamespace: sourceNamespace === '' ? root.sourceNamespace : sourceNamespace,
    gateways: gateways.length === 0 ? root.gateways : gateways,
  };
}

function contradicts(root: HttpRuleMatch, own: HttpRuleMatch): boolean {
  for (const field of ['uri', 'scheme', 'method', 'authority'] as const) {
    if (textsContradict(root[field], own[field])) return true;
  }
  for (const field of ['headers', 'withoutHeaders', 'queryParams'] as const) {
    for (const [name, match] of Object.entries(own[field] ?? {})) {
      if (textsContradict(root[field]?.[name], match)) return true;
    }
  }
  if ((root.ignoreUriCase ?? false) !== (own.ignoreUriCase ?? false)) return true;
  const [rootPort, ownPort] = [root.port ?? 0, own.port ?? 0];
  if (rootPort > 0 && ownPort > 0 && rootPort !== ownPort) return true;
  if ((root.sourceNamespace ?? '') !== '' && own.sourceNamespace !== root.sourceNamespace) {
    return true;
  }
  for (const [label, value] of Object.entries(own.sourceLabels ?? {})) {
    const wanted = root.sourceLabels?.[label];
    if (wanted !== undefined && wanted !== value) return true;
  }
  const [rootGateways, ownGateways] = [root.gateways ?? [], own.gateways ?? []];
  return rootGateways.length > 0 && ownGateways.some((one) => !rootGateways.includes(one));
}

/** Whether what the delegate matches is no part of what the root does. */
function textsContradict(root: StringMatch | undefined, own: StringMatch | undefined): boolean {
  if (root === undefined || own === undefined) return false;
  // Nobody can say of two expressions whether one is part of the other.
  if ((root.regex ?? '') !== '' || (own.regex ?? '') !== '') return true;
  if ((root.exact ?? '') !== '') return (own.prefix ?? '') !== '' || own.exact !== root.exact;
  const prefix = root.prefix ?? '';
  if (prefix === '') return true;
  const text = (own.prefix ?? '') === '' ? (own.exact ?? '') : (own.prefix ?? '');
  return text === '' || !text.startsWith(prefix);
}

function withFullHosts(rule: HttpRule, namespace: string): HttpRule {
  const full = (destination: DestinationSpec): DestinationSpec => ({
    ...destination,
    host: fullHost(destination.host, namespace),
  });
  const { route, mirror, mirrors } = rule;
  const inside = <T extends { destination?: DestinationSpec }>(one: T): T =>
    one.destination === undefined ? one : { ...one, destination: full(one.destination) };
  return {
    ...rule,
    ...(route !== undefined && { route: route.map(inside) }),
    ...(mirror !== undefined && { mirror: full(mirror) }),
    ...(mirrors !== undefined && { mirrors: mirrors.map(inside) }),
  };
}
