// What all rules of a VirtualService have: callers, ports, destinations and their weights.
import type { SourceMatch } from '../kinds/virtual-service.ts';
import type { DestinationSpec } from '../kinds/virtual-service-http.ts';
import { joinIndex } from '../origin.ts';
import { isDnsLabel } from './domain-names.ts';
import type { Add } from './adder.ts';
import { gatewayFault, labelsOfFault, wildcardHostFault } from './route-values.ts';

/** What a match asks of the caller. */
export function checkSource(match: SourceMatch, path: string, add: Add): void {
  const labels = labelsOfFault(match.sourceLabels ?? {});
  if (labels !== null) add(`${path}.sourceLabels`, labels);
  const { sourceNamespace = '', gateways = [] } = match;
  if (sourceNamespace !== '' && !isDnsLabel(sourceNamespace)) {
    add(`${path}.sourceNamespace`, `"${sourceNamespace}" is no namespace`);
  }
  checkGateways(gateways, `${path}.gateways`, add);
}

/** 0 stands for none. */
export function checkPort(port: number, path: string, add: Add): void {
  if (port > 65_535) add(path, `${port} is no port from 1 to 65535`);
}

export function checkGateways(gateways: readonly string[], path: string, add: Add): void {
  for (const [i, gateway] of gateways.entries()) {
    const fault = gatewayFault(gateway);
    if (fault !== null) add(joinIndex(path, i), fault);
  }
}

export function checkWeights(
  route: readonly { readonly weight?: number }[],
  path: string,
  add: Add,
): void {
  for (const [i, { weight = 0 }] of route.entries()) {
    if (weight < 0) add(`${joinIndex(path, i)}.weight`, `the weight ${weight} is below 0`);
  }
  const sum = route.reduce((total, { weight = 0 }) => total + weight, 0);
  if (route.length > 1 && sum === 0) {
    add(path, 'all weights are 0, so that nothing gets anything', 'give each its share');
  }
}

export function checkDestination(
  destination: DestinationSpec | undefined,
  path: string,
  add: Add,
): void {
  if (destination === undefined) return add(path, 'it has no destination', 'add destination.host');
  const { host, subset, port } = destination;
  const fault = host === '*' ? 'a destination is one host, not "*"' : wildcardHostFault(host);
  if (fault !== null) add(`${path}.host`, fault);
  if (subset !== undefined && subset !== '' && !isDnsLabel(subset)) {
    add(`${path}.subset`, `"${subset}" is no name of a subset`, 'use letters, digits and "-"');
  }
  if (port === undefined) return;
  const { number = 0 } = port;
  if (number < 1 || number > 65_535) {
    add(`${path}.port.number`, `${number} is no port from 1 to 65535`);
  }
}
