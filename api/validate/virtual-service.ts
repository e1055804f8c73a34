// VirtualService: what Istio's validating webhook refuses beyond the shape.
import {
  meshGateway,
  type SourceMatch,
  type VirtualServiceSpec,
} from '../kinds/virtual-service.ts';
import type { DestinationSpec } from '../kinds/virtual-service-http.ts';
import { type Finding, joinIndex } from '../origin.ts';
import type { Resource } from '../resource.ts';
import { hostCovers, hostsOverlap } from '../traffic/host.ts';
import { type Add, adder } from './adder.ts';
import { calledHostFault, checkExportTo, wildcardHostFault } from './route-values.ts';
import { ipBlockFault, isIp } from './values.ts';
import { checkHttpRule } from './virtual-service-http.ts';
import {
  checkDestination,
  checkGateways,
  checkPort,
  checkSource,
  checkWeights,
} from './virtual-service-parts.ts';
import { stickyFault } from './sticky.ts';

export function validateVirtualService(resource: Resource<string, VirtualServiceSpec>): Finding[] {
  const findings: Finding[] = [];
  const add = adder(findings, 'error', 'route-invalid');
  const { spec, metadata } = resource;
  const delegate = spec.hosts.length === 0;
  if (delegate) checkDelegate(spec, add);
  checkGateways(spec.gateways, 'spec.gateways', add);
  checkHosts(spec, add);
  if (spec.http.length + spec.tls.length + spec.tcp.length === 0) {
    add('spec', 'it has no rules', 'add http, tls or tcp');
  }
  const inMesh = countsInMesh(spec);
  for (const [i, rule] of spec.http.entries()) {
    checkHttpRule(rule, joinIndex('spec.http', i), { delegate, inMesh }, add);
  }
  for (const [i, { match = [], route }] of spec.tls.entries()) {
    const at = joinIndex('spec.tls', i);
    if (match.length === 0) add(at, 'a tls rule needs a match', 'add match: [{sniHosts: […]}]');
    for (const [j, one] of match.entries()) {
      const path = joinIndex(`${at}.match`, j);
      checkServerNames(one.sniHosts ?? [], spec.hosts, path, add);
      checkConnection(one, path, add);
    }
    checkDestinations(route, `${at}.route`, add);
  }
  for (const [i, { match = [], route }] of spec.tcp.entries()) {
    const at = joinIndex('spec.tcp', i);
    for (const [j, one] of match.entries()) checkConnection(one, joinIndex(`${at}.match`, j), add);
    checkDestinations(route, `${at}.route`, add);
  }
  checkExportTo(spec.exportTo, metadata.namespace, add);
  const sticky = stickyFault(metadata.annotations);
  if (sticky !== null) add(sticky.path, sticky.message, sticky.mend);
  return findings;
}

/** As in Istio: whoever lists gateways is for sidecars only with `mesh` among them. */
export function countsInMesh({ gateways }: Pick<VirtualServiceSpec, 'gateways'>): boolean {
  return gateways.length === 0 || gateways.includes(meshGateway);
}

function checkDelegate({ gateways, tls, tcp }: VirtualServiceSpec, add: Add): void {
  const mend = 'name hosts, or remove it: without hosts this is a delegate, for http rules alone';
  if (gateways.length > 0) add('spec.gateways', 'a delegate has no gateways', mend);
  if (tls.length > 0) add('spec.tls', 'a delegate has no tls rules', mend);
  if (tcp.length > 0) add('spec.tcp', 'a delegate has no tcp rules', mend);
}

function checkHosts(spec: VirtualServiceSpec, add: Add): void {
  const { hosts } = spec;
  for (const [i, host] of hosts.entries()) {
    const path = joinIndex('spec.hosts', i);
    const fault = automaticServerName(spec, host) ? null : calledHostFault(host);
    if (fault !== null) add(path, fault);
    else if (host === '*' && countsInMesh(spec)) {
      add(path, 'the host "*" is only for gateways', 'name the services whose calls are routed');
    }
    const twice = hosts.slice(0, i).find((other) => hostsOverlap(other, host));
    if (twice !== undefined && fault === null) {
      add(path, `the hosts "${twice}" and "${host}" have names in common`, 'remove one of them');
    }
  }
}

/** Gateways that pass TLS on see names that Istio makes. */
function automaticServerName(spec: VirtualServiceSpec, host: string): boolean {
  const named = spec.tls.some(({ match = [] }) =>
    match.some(({ sniHosts = [] }) => sniHosts.length > 0),
  );
  return named && !spec.gateways.includes(meshGateway) && /^outbound_\.\d+_\./.test(host);
}

function checkServerNames(
  names: readonly string[],
  hosts: readonly string[],
  path: string,
  add: Add,
): void {
  if (names.length === 0) add(path, 'a tls match needs sniHosts', 'add the server names');
  for (const [i, name] of names.entries()) {
    const at = joinIndex(`${path}.sniHosts`, i);
    if (isIp(name)) continue;
    const fault = name.startsWith('outbound_.') ? null : wildcardHostFault(name);
    if (fault !== null) add(at, fault);
    else if (!hosts.some((host) => hostCovers(host.toLowerCase(), name.toLowerCase()))) {
      add(at, `the server name "${name}" is none of the hosts`, 'add it to spec.hosts');
    }
  }
}

interface ConnectionMatch extends SourceMatch {
  readonly destinationSubnets?: readonly string[];
  readonly port?: number;
}

function checkConnection(match: ConnectionMatch, path: string, add: Add): void {
  for (const [i, subnet] of (match.destinationSubnets ?? []).entries()) {
    const fault = ipBlockFault(subnet);
    if (fault !== null) add(joinIndex(`${path}.destinationSubnets`, i), fault);
  }
  checkPort(match.port ?? 0, `${path}.port`, add);
  checkSource(match, path, add);
}

function checkDestinations(
  route: readonly { readonly destination?: DestinationSpec; readonly weight?: number }[] = [],
  path: string,
  add: Add,
): void {
  if (route.length === 0) add(path.slice(0, path.lastIndexOf('.')), 'it has no route', 'add route');
  for (const [i, { destination }] of route.entries()) {
    checkDestination(destination, `${joinIndex(path, i)}.destination`, add);
  }
  checkWeights(route, path, add);
}
