// What the caller's sidecar does with a call before it gets to the callee: route, destinations, endpoints, policies.
import type { MeshWorkload } from '#api/mesh.ts';
import { nameOf, placeOf, type Written } from '#api/origin.ts';
import type { Endpoint, Snapshot } from '#api/snapshot.ts';
import type { DestinationPolicy, TrafficPolicy } from '#api/traffic/destination.ts';
import type { HttpRoute, RouteGroup, WeightedDestination } from '#api/traffic/route.ts';
import { selectsLabels } from '#policy/attach.ts';
import type { ConnectionFacts } from '#policy/facts.ts';
import type { RecordedCall } from '#policy/judge/call.ts';
import { requestFacts } from '#policy/judge/request-facts.ts';
import { snapshotOf } from '#control/snapshot.ts';
import { groupOfService, targetOf } from '#sidecar/outbound/route-target.ts';
import { compileRoutes, type Route, type RouteTable } from '#sidecar/outbound/routes.ts';
import type { CompiledRoute } from '#sidecar/routing/compiled-route.ts';
import { prepareRegexes } from '#sidecar/routing/regex.ts';
import { compileRouteIndex, type RouteIndex } from '#sidecar/routing/route-index.ts';
import {
  DestinationPolicies,
  policyOfPort,
  policyOfSubset,
  subsetsOf,
} from '#sidecar/upstream/policies.ts';

import type { MeshModel } from './model.ts';
import { atOf, type Source } from './source.ts';
import { exchangesOf } from './way-exchanges.ts';

export interface WayRoute extends Source {
  /** `spec.http[1]`; '' where none of its rules matches. */
  readonly rule: string;
  readonly name: string;
  /** Null: of connections as bytes, or no rule matches. */
  readonly http: HttpRoute | null;
}

export interface WayDestination {
  /** Fully qualified. */
  readonly host: string;
  readonly port: number;
  readonly subset: string;
  /** Of all calls. */
  readonly percent: number;
  /** Why nothing can be sent there; '' otherwise. */
  readonly unusable: string;
  readonly endpoints: readonly Endpoint[];
  /** What the sidecar looks up or takes from the call in their place. */
  readonly resolution: string | null;
  readonly policy: TrafficPolicy;
  /** What it comes from. */
  readonly policyFrom: readonly Source[];
}

export interface Way {
  /** The workload whose sidecar is explained: `shop/web`. */
  readonly caller: string;
  /** Others that have the account too. */
  readonly others: readonly string[];
  /** `payments.shop.svc.cluster.local:8080`, or what the call names. */
  readonly called: string;
  /** `outside`: no service that the caller sees has the host. */
  readonly kind: 'service' | 'unknown-port' | 'outside';
  /** Null: no route names the host. */
  readonly route: WayRoute | null;
  readonly destinations: readonly WayDestination[];
  /** What is said of hosts that no service has. */
  readonly scope: Snapshot['scope'] | null;
  /** What the callee is asked, where the route writes it anew. */
  readonly rewritten: { readonly path?: string; readonly host?: string } | null;
  /** TokenExchanges that give it another token. */
  readonly exchanges: readonly Source[];
}

/** What a caller's sidecar has in force. */
interface Sidecar {
  readonly model: MeshModel;
  readonly snapshot: Snapshot;
  readonly table: RouteTable;
  readonly routing: RouteIndex;
  readonly policies: DestinationPolicies;
}

/** Null: no workload with a sidecar calls as the identity does. */
export async function wayOf(model: MeshModel, recorded: RecordedCall): Promise<Way | null> {
  const [caller, ...others] = callersOf(model, recorded);
  if (caller === undefined) return null;
  const snapshot = snapshotOf(model.callable(), caller);
  const groups = snapshot.routes ?? [];
  const sidecar: Sidecar = {
    model,
    snapshot,
    table: compileRoutes(snapshot),
    routing: compileRouteIndex(groups, await prepareRegexes(snapshot)),
    policies: new DestinationPolicies(snapshot.destinations),
  };
  const authority = authorityOf(recorded);
  const found = sidecar.table.find(authority, 80);
  const base = {
    caller: `${caller.namespace}/${caller.name}`,
    others: others.map(({ namespace, name }) => `${namespace}/${name}`),
    called: authority,
    kind: 'outside',
    route: null,
    destinations: [],
    scope: snapshot.scope ?? null,
    rewritten: null,
    exchanges: [],
  } as const;
  const isHttp = recorded.kind !== 'tcp';
  if (found === 'unknown-host') {
    const leaves = isHttp && snapshot.scope?.mode !== 'REGISTRY_ONLY';
    const host = authority.replace(/:\d*$/, '').toLowerCase();
    return leaves ? { ...base, exchanges: exchangesOf(snapshot, [[host]]) } : base;
  }
  if (found === 'unknown-port') return { ...base, kind: 'unknown-port' };
  const through = throughRoutes(sidecar, found, recorded);
  const called = through.destinations.map(({ host, port }) => {
    const to = sidecar.table.find(`${host}:${port}`, 80);
    return typeof to === 'string' ? [] : to.service.hosts;
  });
  const exchanges = isHttp ? exchangesOf(snapshot, called) : [];
  return { ...base, kind: 'service', called: found.key, ...through, exchanges };
}

/** Whether a share of the calls gets to a workload: to pods that are named for it, or have the labels of its pods. */
export function reaches({ destinations }: Way, { namespace, name, labels }: MeshWorkload): boolean {
  const isOne = Object.keys(labels).length > 0;
  return destinations.some(
    ({ percent, endpoints }) =>
      percent > 0 &&
      endpoints.some(
        (one) =>
          one.namespace === namespace &&
          (one.workload === name || (isOne && selectsLabels(labels, one.labels))),
      ),
  );
}

/** Injected workloads that run as the caller's account. */
function callersOf(model: MeshModel, { source }: RecordedCall): MeshWorkload[] {
  const [, , namespace, , account] = source.identity?.split('/') ?? [];
  return model.workloads.filter(
    (one) => one.injected && one.namespace === namespace && one.serviceAccount === (account ?? ''),
  );
}

/** Of bytes the service that the server name of a mesh caller means: `payments.shop.svc.cluster.local:8080`. */
function authorityOf({ host, sni = '' }: RecordedCall): string {
  if (typeof host === 'string') return host;
  const [, port = '', name = ''] = /^outbound_\.(\d+)_\._\.(.*)$/.exec(sni) ?? [];
  return `${name}:${port}`;
}

function throughRoutes(
  sidecar: Sidecar,
  called: Route,
  recorded: RecordedCall,
): Pick<Way, 'route' | 'destinations' | 'rewritten'> {
  const direct: WeightedDestination = {
    destination: { host: called.service.hosts[0] ?? '', port: called.port.port, subset: '' },
    weight: 1,
  };
  const to = (destinations: readonly WeightedDestination[]): WayDestination[] =>
    destinationsOf(sidecar, called, destinations);
  if (recorded.kind === 'tcp') return throughConnections(sidecar, called, to, direct);
  const group = groupOfService(sidecar.routing, called);
  if (group === null) return { route: null, destinations: to([direct]), rewritten: null };
  const { method = 'GET', path = '/', headers = [] } = recorded;
  const admitted = { path, authority: authorityOf(recorded) };
  const request = requestFacts(fromApplication, method, admitted, headers);
  const compiled = group.route(request);
  if (compiled === null) {
    const route = { ...sourceOf(group.group, '', ''), http: null };
    return { route, destinations: [], rewritten: null };
  }
  const { route, action } = compiled;
  return {
    route: { ...sourceOf(group.group, route.source, route.path, route), http: route },
    destinations: action.kind === 'forward' ? to(action.destinations) : [],
    rewritten: rewrittenOf(compiled, path),
  };
}

/** The application speaks to its sidecar in the clear. */
const fromApplication: ConnectionFacts = {
  mtls: false,
  identities: [],
  sourceIp: '127.0.0.1',
  destinationIp: '127.0.0.1',
  destinationPort: 0,
  sni: '',
};

function throughConnections(
  { routing }: Sidecar,
  called: Route,
  to: (destinations: readonly WeightedDestination[]) => WayDestination[],
  direct: WeightedDestination,
): Pick<Way, 'route' | 'destinations' | 'rewritten'> {
  const { service, port } = called;
  const [address = ''] = service.addresses;
  for (const host of service.hosts) {
    const routes = routing.findConnections(host, port.port);
    const found = routes?.route('', { address, port: port.port }) ?? null;
    if (routes === null || found === null) continue;
    const route = { ...sourceOf(routes.group, found.route.source, found.route.path), http: null };
    return { route, destinations: to(found.action.destinations), rewritten: null };
  }
  return { route: null, destinations: to([direct]), rewritten: null };
}

function rewrittenOf({ rewrite, edits }: CompiledRoute, path: string): Way['rewritten'] {
  const made = rewrite?.path?.(path) ?? path;
  const host = rewrite?.authority || edits?.authority || '';
  if (made === path && host === '') return null;
  return { ...(made !== path && { path: made }), ...(host !== '' && { host }) };
}

function sourceOf(
  group: RouteGroup,
  source: string,
  rule: string,
  http: HttpRoute | null = null,
): Omit<WayRoute, 'http'> {
  const [kind = '', name = ''] = (group.key.split(' ')[0] ?? '').split(/\/(.*)/);
  const origin = http?.origin ?? group.origin;
  return {
    resource: source === '' ? `${kind} ${name}` : source,
    rule,
    name: http?.name ?? '',
    at: atOf(placeOf(origin, rule === '' ? 'spec' : rule)),
  };
}

function destinationsOf(
  sidecar: Sidecar,
  called: Route,
  destinations: readonly WeightedDestination[],
): WayDestination[] {
  const total = destinations.reduce((sum, { weight }) => sum + weight, 0);
  return destinations.map(({ destination, weight, invalid = '' }) => {
    const { host, subset } = destination;
    const percent = total === 0 ? 0 : (100 * weight) / total;
    const route = targetOf(sidecar.table, destination, called.port.port);
    const port = destination.port || route?.port.port || called.port.port;
    const base = { host, port, subset, percent, endpoints: [], resolution: null, policy: {} };
    const unusable = (why: string): WayDestination => ({ ...base, unusable: why, policyFrom: [] });
    if (invalid !== '') return unusable(invalid);
    if (route === null) return unusable('the caller sees no such service or port');
    const rule = sidecar.policies.find(route.service);
    const part = subsetsOf(rule).find(({ name }) => name === subset);
    if (subset !== '' && part === undefined)
      return unusable(`no DestinationRule has subset ${subset}`);
    const { labels = {} } = part ?? {};
    const policy =
      part === undefined ? policyOfPort(rule, port) : policyOfSubset(part, route.port.port);
    return {
      ...base,
      unusable: '',
      endpoints: route.port.endpoints.filter((one) => selectsLabels(labels, one.labels)),
      resolution: route.service.resolution ?? null,
      policy,
      policyFrom: rule === null ? [] : policySources(sidecar.model, rule, policy),
    };
  });
}

function policySources(
  { resources }: MeshModel,
  { source }: DestinationPolicy,
  { breaker, healthCheck }: TrafficPolicy,
): Source[] {
  const written: readonly Written[] = [
    ...resources.destinationRules,
    ...resources.circuitBreakers,
    ...resources.healthChecks,
  ];
  return [source, breaker?.source ?? '', healthCheck?.source ?? '']
    .filter((name) => name !== '')
    .map((name) => {
      const found = written.find((one) => nameOf(one) === name);
      return { resource: name, at: atOf(placeOf(found?.origin, 'spec')) };
    });
}
