// AuthorizationPolicy: what Istio's validating webhook refuses beyond the shape, with its reasons.
import type {
  AuthorizationPolicySpec,
  Condition,
  Operation,
  Rule,
  Source,
} from '../kinds/authorization-policy.ts';
import { type Finding, joinIndex, joinKey } from '../origin.ts';
import type { Resource } from '../resource.ts';
import { attachmentFindings } from './attachment.ts';
import { conditionFindings } from './condition.ts';
import { ipBlockFault, portFault, serviceAccountFault, templateFault } from './values.ts';

type Check = (value: string) => string | null;
const DRY_RUN = 'istio.io/dry-run';
/** Go's strconv.ParseBool. */
const BOOLEANS = /^(1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/;
const serviceAccountsMax = 16;

export function validateAuthorizationPolicy(
  policy: Resource<string, AuthorizationPolicySpec>,
): Finding[] {
  const { spec } = policy;
  const findings = [
    ...attachmentFindings(spec),
    ...dryRunFindings(policy),
    ...actionFindings(spec),
  ];
  for (const [i, rule] of (spec.rules ?? []).entries()) {
    const at = joinIndex('spec.rules', i);
    findings.push(...ruleFindings(rule, at));
    if (spec.action === 'CUSTOM') findings.push(...customFindings(rule, at));
  }
  return findings;
}

function dryRunFindings(policy: Resource<string, AuthorizationPolicySpec>): Finding[] {
  const value = policy.metadata.annotations[DRY_RUN];
  if (value === undefined) return [];
  const path = joinKey('metadata.annotations', DRY_RUN);
  if (!BOOLEANS.test(value)) {
    const message = `the annotation ${DRY_RUN} is "${value}", which is neither true nor false`;
    return [error('dry-run-invalid', path, message, 'write "true" or "false"')];
  }
  const { action } = policy.spec;
  if (action !== 'ALLOW' && action !== 'DENY') {
    const message = `the annotation ${DRY_RUN} works with ALLOW and DENY only, not with ${action}`;
    return [error('dry-run-invalid', path, message, 'remove the annotation')];
  }
  return [];
}

function actionFindings(spec: AuthorizationPolicySpec): Finding[] {
  const { action, provider } = spec;
  const findings: Finding[] = [];
  const empty = (spec.rules ?? []).length === 0;
  if (empty && (action === 'DENY' || action === 'CUSTOM')) {
    const message = `a policy with the action ${action} and no rules never matches anything`;
    const mend = 'add a rule; an empty one, `- {}`, matches every request';
    findings.push(error('rules-missing', 'spec.action', message, mend));
  }
  if (!empty && action === 'CUSTOM' && (provider?.name ?? '') === '') {
    const message = 'the action CUSTOM needs the name of an extension provider';
    const mend = 'add provider.name, one of meshConfig.extensionProviders';
    findings.push(error('provider-missing', 'spec.action', message, mend));
  }
  if (provider !== undefined && action !== 'CUSTOM') {
    const message = `a provider goes with the action CUSTOM, not with ${action}`;
    findings.push(error('provider-unexpected', 'spec.provider', message, 'remove the provider'));
  }
  return findings;
}

function ruleFindings(rule: Rule, at: string): Finding[] {
  const findings: Finding[] = [];
  for (const [i, { source }] of (rule.from ?? []).entries()) {
    const path = joinIndex(`${at}.from`, i);
    if (source === undefined) {
      const mend = 'write the fields below `source:`';
      findings.push(error('source-missing', path, 'an item of `from` has no `source`', mend));
    } else findings.push(...sourceFindings(source, `${path}.source`));
  }
  for (const [i, { operation }] of (rule.to ?? []).entries()) {
    const path = joinIndex(`${at}.to`, i);
    if (operation === undefined) {
      const mend = 'write the fields below `operation:`';
      findings.push(error('operation-missing', path, 'an item of `to` has no `operation`', mend));
    } else findings.push(...operationFindings(operation, `${path}.operation`));
  }
  for (const [i, condition] of (rule.when ?? []).entries()) {
    findings.push(...conditionFindings(condition, joinIndex(`${at}.when`, i)));
  }
  return findings;
}

function sourceFindings(source: Source, at: string): Finding[] {
  const findings: Finding[] = [];
  if (isEmpty(source)) {
    const message = 'a `source` without fields would match everyone, so it is refused';
    findings.push(error('source-empty', at, message, 'fill it, or leave out `from`'));
  }
  const named = [...(source.serviceAccounts ?? []), ...(source.notServiceAccounts ?? [])];
  const others = [
    ...(source.principals ?? []),
    ...(source.notPrincipals ?? []),
    ...(source.namespaces ?? []),
    ...(source.notNamespaces ?? []),
  ];
  if (named.length > 0 && others.length > 0) {
    const message = 'serviceAccounts may not stand beside principals or namespaces';
    const field = source.serviceAccounts === undefined ? 'notServiceAccounts' : 'serviceAccounts';
    const mend = 'keep one of them: a principal names the namespace and the account already';
    findings.push(error('source-mixed', `${at}.${field}`, message, mend));
  }
  for (const field of ['serviceAccounts', 'notServiceAccounts'] as const) {
    if ((source[field] ?? []).length <= serviceAccountsMax) continue;
    const message = `${field} may have at most ${serviceAccountsMax} values`;
    const mend = 'spread them over several items of `from`';
    findings.push(error('values-too-many', `${at}.${field}`, message, mend));
  }
  const checks: Readonly<Record<string, Check>> = {
    ipBlocks: ipBlockFault,
    remoteIpBlocks: ipBlockFault,
    serviceAccounts: serviceAccountFault,
    trustDomains: trustDomainFault,
  };
  return [...findings, ...fieldFindings(source, at, checks)];
}

function operationFindings(operation: Operation, at: string): Finding[] {
  const findings: Finding[] = [];
  if (isEmpty(operation)) {
    const message = 'an `operation` without fields would match everything, so it is refused';
    findings.push(error('operation-empty', at, message, 'fill it, or leave out `to`'));
  }
  const checks: Readonly<Record<string, Check>> = { ports: portFault, paths: templateFault };
  return [...findings, ...fieldFindings(operation, at, checks)];
}

/** Each value of each field; a notX field holds what its positive twin holds. */
function fieldFindings(
  fields: Source | Operation,
  at: string,
  checks: Readonly<Record<string, Check>>,
): Finding[] {
  const findings: Finding[] = [];
  for (const [field, values] of Object.entries(fields)) {
    const positive = field.replace(/^not(.)/, (_, first: string) => first.toLowerCase());
    const check = Object.hasOwn(checks, positive) ? checks[positive] : undefined;
    for (const [i, value] of (values ?? []).entries()) {
      const path = joinIndex(`${at}.${field}`, i);
      if (value === '') {
        const message = `${field} has an empty value, which is not allowed`;
        findings.push(error('value-empty', path, message, 'write a value, or remove the item'));
        continue;
      }
      const fault = check?.(value) ?? null;
      if (fault !== null) findings.push(error('value-invalid', path, `${field}: ${fault}`));
    }
  }
  return findings;
}

function trustDomainFault(value: string): string | null {
  return value.includes('/') ? `"${value}" has a "/", so it is no trust domain` : null;
}

/** The identity of the peer and of the token are not known where external authorizers run. */
function customFindings(rule: Rule, at: string): Finding[] {
  const fields = [
    'principals',
    'requestPrincipals',
    'namespaces',
    'serviceAccounts',
    'trustDomains',
  ] as const satisfies (keyof Source)[];
  const findings: Finding[] = [];
  for (const [i, { source = {} }] of (rule.from ?? []).entries()) {
    for (const positive of fields) {
      const negative = `not${positive[0]?.toUpperCase()}${positive.slice(1)}` as keyof Source;
      for (const field of [positive, negative]) {
        if ((source[field] ?? []).length === 0) continue;
        findings.push(customFinding(`${joinIndex(`${at}.from`, i)}.source.${field}`, field));
      }
    }
  }
  for (const [i, { key }] of (rule.when ?? []).entries()) {
    if (!isIdentity(key)) continue;
    findings.push(customFinding(`${joinIndex(`${at}.when`, i)}.key`, key));
  }
  return findings;
}

function isIdentity(key: Condition['key']): boolean {
  return /^(source\.(namespace|serviceAccount|principal|trustDomain)$|request\.auth\.)/.test(key);
}

function customFinding(path: string, field: string): Finding {
  const message = `${field} cannot be used with the action CUSTOM`;
  const mend = 'let the authorizer look at the caller, or add an ALLOW or DENY policy for it';
  return error('custom-unsupported', path, message, mend);
}

function isEmpty(fields: Source | Operation): boolean {
  return Object.values(fields).every((values) => values === undefined || values.length === 0);
}

function error(code: string, path: string, message: string, mend?: string): Finding {
  return { severity: 'error', code, path, message, mend };
}
