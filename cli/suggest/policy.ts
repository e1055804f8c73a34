// The AuthorizationPolicy that lets in just what was observed, with how much that was.
import type { AuthorizationPolicy, Rule } from '#api/kinds/authorization-policy.ts';
import type { Workload } from '#api/workload.ts';
import { writeYaml } from '#api/yaml-write.ts';

import { printable } from '../printable.ts';
import type { Caller, Observed, Operation } from './observed.ts';

export interface Suggestion {
  readonly policy: AuthorizationPolicy;
  /** A document of YAML with comments. */
  readonly text: string;
}

export interface SuggestOptions {
  readonly workload: Workload;
  /** Others of its namespace, which the selector must not mean. */
  readonly others: readonly Workload[];
  /** Annotated, so that it is not enforced yet. */
  readonly dryRun: boolean;
}

/** More paths than this of one operation are rather a sign of ids that nobody recognised. */
const pathsMany = 50;

export function suggest(
  observed: Observed,
  { workload, others, dryRun }: SuggestOptions,
): Suggestion {
  const { namespace, callers } = observed;
  const annotations: Record<string, string> = dryRun ? { 'istio.io/dry-run': 'true' } : {};
  const matchLabels = selectorOf(workload, others);
  const policy: AuthorizationPolicy = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: `${observed.workload}-observed`, namespace, labels: {}, annotations },
    spec: { selector: { matchLabels }, action: 'ALLOW', rules: callers.map(ruleOf) },
  };
  const metadata = { name: policy.metadata.name, namespace, ...(dryRun && { annotations }) };
  const { apiVersion, kind, spec } = policy;
  const yaml = writeYaml([{ apiVersion, kind, metadata, spec }]);
  const comments = commentsOn(observed).map((line) => `# ${printable(line)}\n`);
  return { policy, text: comments.join('') + yaml };
}

/** What is to be known of it, line by line. */
export function commentsOn(observed: Observed): string[] {
  const { namespace, workload, callers, plaintext, denied, cut, policies } = observed;
  const calls = callers.reduce((sum, one) => sum + one.calls, 0);
  const many = callers
    .flatMap(({ operations }) => operations)
    .find(({ paths }) => paths.length > pathsMany);
  return [
    `${namespace}/${workload}: ${counted(calls, 'call')} of ${counted(callers.length, 'kind')} of callers, allowed.`,
    ...callers.map(
      (one, i) =>
        `  rule ${i}: ${counted(one.calls, 'call')} of ${one.principal}${tokenWords(one)}`,
    ),
    ...(plaintext > 0
      ? [
          `  no rule: ${counted(plaintext, 'call')} in plaintext, whose callers nobody can know. They would be denied.`,
        ]
      : []),
    ...(cut > 0
      ? [
          `  no rule: ${counted(cut, 'call')} whose path is longer than a recording keeps. They would be denied.`,
        ]
      : []),
    ...(denied > 0
      ? [`  no rule: ${counted(denied, 'call')} that ${denied === 1 ? 'was' : 'were'} denied.`]
      : []),
    ...(policies.length > 0
      ? [
          `ALLOW policies add up: this one narrows nothing before these are gone: ${policies.join(', ')}`,
        ]
      : []),
    ...(many === undefined
      ? []
      : [
          `${many.paths.length} paths of one operation: perhaps a part of them is an id, which {*} stands for.`,
        ]),
  ];
}

function ruleOf({ principal, issuer, operations }: Caller): Rule {
  const source = {
    principals: [principal],
    ...(issuer !== '' && { requestPrincipals: [`${issuer}/*`] }),
  };
  return {
    from: [{ source }],
    to: operations.map((operation) => ({ operation: operationOf(operation) })),
  };
}

function operationOf({
  ports,
  methods,
  paths,
}: Operation): NonNullable<NonNullable<Rule['to']>[number]['operation']> {
  const own = { ports: ports.map(String) };
  return methods.length === 0 ? own : { ...own, methods: [...methods], paths: [...paths] };
}

/** The usual label that tells a workload from all others; else all labels that its pods keep. */
function selectorOf({ labels }: Workload, others: readonly Workload[]): Record<string, string> {
  for (const name of ['app', 'app.kubernetes.io/name']) {
    const value = labels[name];
    if (value === undefined) continue;
    if (others.every((other) => other.labels[name] !== value)) return { [name]: value };
  }
  const passing =
    /pod-template-hash|controller-revision-hash|statefulset\.kubernetes\.io|istio\.io\//;
  return Object.fromEntries(Object.entries(labels).filter(([name]) => !passing.test(name)));
}

function tokenWords({ issuer }: Caller): string {
  return issuer === '' ? '' : ` with tokens of ${issuer}`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
