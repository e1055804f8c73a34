// Ports that are not HTTP: there a rule loses its HTTP fields, or is lost whole, which makes it
// mean something else.
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import type { MeshWorkload } from '#api/mesh.ts';
import type { Problem } from '#api/problem.ts';

import { isDryRun } from '../attach.ts';
import type { Condition } from '../conditions/condition.ts';
import type { ConnectionFacts } from '../facts.ts';
import { type Clause, readRule, type RuleModel } from '../rule.ts';
import { type LintContext, listed, warning } from './context.ts';

/** A port of a workload on which a rule is read as TCP. */
interface TcpPort {
  readonly workload: MeshWorkload;
  readonly port: number;
  /** By a Service; else its first bytes decide, and only what is not HTTP is TCP. */
  readonly declared: boolean;
}

interface TcpContext extends LintContext {
  readonly rulesOf: (policy: AuthorizationPolicy) => readonly RuleModel[];
}

export function checkTcp(context: LintContext): Problem[] {
  const read = new Map<AuthorizationPolicy, readonly RuleModel[]>();
  const rulesOf = (policy: AuthorizationPolicy): readonly RuleModel[] => {
    const rules = read.get(policy) ?? readRules(policy, context.domains);
    read.set(policy, rules);
    return rules;
  };
  const policies = context.mesh.authorizationPolicies.filter((policy) => !isDryRun(policy));
  return policies.flatMap((policy) => {
    const ports = tcpPortsOf(context.workloadsUnder(policy));
    if (ports.length === 0) return [];
    return rulesOf(policy).flatMap((rule) => checkRule(rule, ports, { ...context, rulesOf }) ?? []);
  });
}

function checkRule(
  rule: RuleModel,
  ports: readonly TcpPort[],
  context: TcpContext,
): Problem | null {
  const first = [...rule.froms, ...rule.tos].flat().find((condition) => condition.attribute.http);
  if (first === undefined) return null;
  switch (rule.policy.spec.action) {
    case 'ALLOW':
      return dropped(rule, first, ports, context);
    case 'DENY':
      return widened(rule, ports);
    case 'CUSTOM':
      return unasked(rule, first, ports);
    default:
      return null;
  }
}

function dropped(
  rule: RuleModel,
  first: Condition,
  ports: readonly TcpPort[],
  context: TcpContext,
): Problem | null {
  const lost = ports.filter(
    (one) =>
      one.declared &&
      rule.tos.some((to) => reaches(to, one.port)) &&
      (rule.tos.some((to) => names(to, one.port)) || !survivorOn(one, context)),
  );
  if (lost.length === 0) return null;
  return warning(rule.policy, {
    code: 'allow-dropped-on-tcp',
    path: first.path,
    message:
      `on ${placesOf(lost)} this whole rule is dropped, because TCP has no ${fieldsOf([first])}; ` +
      'the policy still counts there, so what no other rule allows is closed',
    mend: 'write a rule of its own for the TCP port: `to: [{operation: {ports: [...]}}]`',
  });
}

/** Some ALLOW rule is left there, so the author has thought of the port. */
function survivorOn({ workload, port }: TcpPort, context: TcpContext): boolean {
  return context
    .policiesOn(workload)
    .some(
      (policy) =>
        policy.spec.action === 'ALLOW' &&
        !isDryRun(policy) &&
        context
          .rulesOf(policy)
          .some(
            ({ froms, tos }) =>
              [...froms, ...tos].flat().every((condition) => !condition.attribute.http) &&
              tos.some((to) => reaches(to, port)),
          ),
    );
}

function widened(rule: RuleModel, ports: readonly TcpPort[]): Problem | null {
  const pairs = rule.froms.flatMap((from) => rule.tos.map((to) => [...from, ...to]));
  for (const pair of pairs) {
    const lost = pair.filter((condition) => condition.attribute.http);
    const hit = ports.filter(({ port }) => reaches(pair, port));
    const [first] = lost;
    if (first === undefined || hit.length === 0) continue;
    const left = pair.filter((condition) => !condition.attribute.http && !isPort(condition));
    const closed = left.length === 0 ? 'every connection' : `all that meets ${fieldsOf(left)}`;
    return warning(rule.policy, {
      code: 'deny-closes-tcp',
      path: first.path,
      message:
        `on ${placesOf(hit)} there are no ${fieldsOf(lost)}: without them this DENY rule ` +
        `closes ${closed}`,
      mend: `add ports: [${httpPortsOf(hit)}] to the operation`,
    });
  }
  return null;
}

function unasked(rule: RuleModel, first: Condition, ports: readonly TcpPort[]): Problem | null {
  const hit = ports.filter(
    ({ port, declared }) => declared && rule.tos.some((to) => reaches(to, port)),
  );
  if (hit.length === 0) return null;
  return warning(rule.policy, {
    code: 'custom-on-tcp',
    path: first.path,
    message: `on ${placesOf(hit)} an HTTP authorizer is never asked: connections pass unseen`,
    mend: 'protect the TCP port with an ALLOW or DENY policy on principals or namespaces',
  });
}

function readRules(policy: AuthorizationPolicy, domains: readonly string[]): RuleModel[] {
  return (policy.spec.rules ?? []).flatMap((_, i) => {
    const rule = readRule(policy, i, domains);
    return 'froms' in rule ? [rule] : [];
  });
}

function tcpPortsOf(workloads: readonly MeshWorkload[]): TcpPort[] {
  return workloads
    .filter(({ injected }) => injected)
    .flatMap((workload) =>
      workload.ports
        .filter(({ protocol }) => ['tcp', 'tls', 'detect'].includes(protocol))
        .map(({ port, protocol }) => ({ workload, port, declared: protocol !== 'detect' })),
    );
}

function isPort({ field }: Condition): boolean {
  return /(^|\.)(ports|notPorts)$|\[destination\.port\]/.test(field);
}

/** `paths and methods`. */
function fieldsOf(conditions: readonly Condition[]): string {
  const names = conditions.map(({ field }) => {
    return /^when\[(.+?)\](?:\.notValues)?$/.exec(field)?.[1] ?? field.split('.').at(-1) ?? field;
  });
  return listed(names);
}

function reaches(clause: Clause, port: number): boolean {
  const facts: ConnectionFacts = { ...nobody, destinationPort: port };
  return clause.every((one) => !isPort(one) || one.holds === null || one.holds(facts, null));
}

function names(clause: Clause, port: number): boolean {
  return clause.some((one) => isPort(one) && one.wanted.includes(String(port)));
}

const nobody: ConnectionFacts = {
  mtls: false,
  identities: [],
  sourceIp: '',
  destinationIp: '',
  destinationPort: 0,
  sni: '',
};

/** `TCP port 9000 of foo/db and port 8090 of foo/srv (undeclared, where it is not HTTP)`. */
function placesOf(ports: readonly TcpPort[]): string {
  const places = ports.map(({ workload, port, declared }) => {
    const name = `${workload.namespace}/${workload.name}`;
    const kind = declared ? 'TCP port' : 'undeclared port';
    return `${kind} ${port} of ${name}${declared ? '' : ' (for all but HTTP)'}`;
  });
  return listed(places);
}

function httpPortsOf(ports: readonly TcpPort[]): string {
  const http = ports.flatMap(({ workload }) =>
    workload.ports.filter(({ protocol }) => ['http', 'http2', 'grpc'].includes(protocol)),
  );
  const numbers = [...new Set(http.map(({ port }) => `"${port}"`))];
  return numbers.length === 0 ? 'the HTTP ports' : numbers.join(', ');
}
