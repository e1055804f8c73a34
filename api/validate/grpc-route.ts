// GRPCRoute: what the CRD of the Gateway API refuses by rules, beyond the shape.
import type { GrpcRouteMatch, GrpcRouteSpec } from '../kinds/grpc-route.ts';
import { type Finding, joinIndex } from '../origin.ts';
import type { Resource } from '../resource.ts';
import {
  checkBackend,
  checkFilters,
  checkParents,
  checkRuleCount,
  checkValues,
} from './gateway-route.ts';
import { regexFault } from './regex.ts';
import type { Add } from './route-values.ts';
import { stickyFault } from './sticky.ts';

export function validateGrpcRoute({ spec, metadata }: Resource<string, GrpcRouteSpec>): Finding[] {
  const findings: Finding[] = [];
  const add: Add = (path, message, mend) => {
    findings.push({ severity: 'error', code: 'route-invalid', path, message, mend });
  };
  checkParents(spec.parentRefs, add);
  checkRuleCount(spec.rules, add);
  for (const [i, rule] of spec.rules.entries()) {
    const at = joinIndex('spec.rules', i);
    for (const [j, match] of rule.matches.entries()) {
      checkMatch(match, joinIndex(`${at}.matches`, j), add);
    }
    checkFilters(rule.filters ?? [], `${at}.filters`, add);
    for (const [j, ref] of (rule.backendRefs ?? []).entries()) {
      const path = joinIndex(`${at}.backendRefs`, j);
      checkBackend(ref, path, add);
      checkFilters(ref.filters ?? [], `${path}.filters`, add);
    }
  }
  const sticky = stickyFault(metadata.annotations);
  if (sticky !== null) add(sticky.path, sticky.message, sticky.mend);
  return findings;
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
