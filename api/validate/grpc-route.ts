// GRPCRoute: what the CRD of the Gateway API refuses by rules, beyond the shape.
import type { GrpcRouteMatch, GrpcRouteRule, GrpcRouteSpec } from '../kinds/grpc-route.ts';
import { type Finding, joinIndex } from '../origin.ts';
import type { Resource } from '../resource.ts';
import type { Add } from './adder.ts';
import { checkBackend, checkFilters, checkValues, routeFindings } from './gateway-route.ts';
import { regexFault } from './regex.ts';

export function validateGrpcRoute(route: Resource<string, GrpcRouteSpec>): Finding[] {
  return routeFindings(route, checkRule);
}

function checkRule(rule: GrpcRouteRule, at: string, add: Add): void {
  const { matches, filters = [], backendRefs = [] } = rule;
  for (const [i, match] of matches.entries()) checkMatch(match, joinIndex(`${at}.matches`, i), add);
  checkFilters(filters, `${at}.filters`, add);
  for (const [i, ref] of backendRefs.entries()) {
    const path = joinIndex(`${at}.backendRefs`, i);
    checkBackend(ref, path, add);
    checkFilters(ref.filters ?? [], `${path}.filters`, add);
  }
}

const SERVICE = /^\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*$/i;
const METHOD = /^[A-Za-z_][A-Za-z_0-9]*$/;

function checkMatch({ method: called, headers }: GrpcRouteMatch, at: string, add: Add): void {
  checkValues(headers ?? [], `${at}.headers`, add);
  if (called === undefined) return;
  const { type, service, method } = called;
  if (service === undefined && method === undefined) {
    add(`${at}.method`, 'neither service nor method is named', 'name one, or leave method out');
  }
  for (const [field, text, whole] of [
    ['service', service, SERVICE],
    ['method', method, METHOD],
  ] as const) {
    if (text === undefined) continue;
    const fault =
      type === 'RegularExpression'
        ? regexFault(text)
        : whole.test(text)
          ? null
          : `"${text}" is no name of a ${field} of gRPC`;
    if (fault !== null) add(`${at}.method.${field}`, fault);
  }
}
