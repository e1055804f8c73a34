// What policies and our own kinds say, a line for each: for people who know the YAML.
import type {
  AuthorizationPolicy,
  Condition,
  Operation,
  Rule,
  Source,
} from '#api/kinds/authorization-policy.ts';
import type { ExtensionResource } from '#api/kinds/extension.ts';
import type { RequestAuthentication } from '#api/kinds/request-authentication.ts';
import type { Snapshot } from '#api/snapshot.ts';
import { appliesTo, isDryRun } from '#policy/attach.ts';
import { positionOf } from '#policy/position.ts';

export interface PolicyLine {
  readonly kind: string;
  /** `payments/admit-billing`. */
  readonly name: string;
  /** `ALLOW`, `DENY` …; '' where the kind has none. */
  readonly action: string;
  /** It is only tried: it decides nothing. */
  readonly isTrial: boolean;
  readonly rules: readonly RuleLine[];
  readonly at: string;
}

export interface RuleLine {
  readonly text: string;
  readonly at: string;
}

/** Those that apply to the snapshot's workload, those that decide first before others. */
export function policyLines(snapshot: Snapshot): PolicyLine[] {
  const { workload, mesh, policies, extensions = [] } = snapshot;
  const lines = policies.flatMap((policy): PolicyLine[] => {
    if (policy.kind === 'PeerAuthentication') return [];
    if (!appliesTo(policy, workload, mesh.rootNamespace)) return [];
    return [policy.kind === 'AuthorizationPolicy' ? authorizationLine(policy) : tokenLine(policy)];
  });
  const order = ['CUSTOM', 'DENY', 'ALLOW', 'AUDIT', ''];
  const sorted = lines.toSorted((a, b) => order.indexOf(a.action) - order.indexOf(b.action));
  return [...sorted, ...extensions.map(extensionLine)];
}

function authorizationLine(policy: AuthorizationPolicy): PolicyLine {
  const { action, rules = [], provider } = policy.spec;
  return {
    ...headOf(policy),
    action,
    isTrial: isDryRun(policy),
    rules: rules.map((rule, i) => ({
      text: [ruleText(rule), provider === undefined ? '' : `asks ${provider.name}`]
        .filter((part) => part !== '')
        .join(' · '),
      at: positionOf(policy.origin, `spec.rules[${i}]`) ?? '',
    })),
  };
}

function tokenLine(policy: RequestAuthentication): PolicyLine {
  return {
    ...headOf(policy),
    action: '',
    isTrial: false,
    rules: policy.spec.jwtRules.map(({ issuer, audiences = [] }, i) => ({
      text: `tokens of ${issuer}${audiences.length === 0 ? '' : ` for ${audiences.join(', ')}`}`,
      at: positionOf(policy.origin, `spec.jwtRules[${i}]`) ?? '',
    })),
  };
}

function extensionLine(resource: ExtensionResource): PolicyLine {
  const parts = Object.entries(resource.spec)
    .filter(([name]) => name !== 'selector' && name !== 'targetRefs')
    .map(([name, value]) => (Array.isArray(value) ? `${name}: ${value.length}` : name));
  const rules = parts.length === 0 ? [] : [{ text: parts.join(' · '), at: '' }];
  return { ...headOf(resource), action: '', isTrial: false, rules };
}

function headOf(resource: AuthorizationPolicy | RequestAuthentication | ExtensionResource) {
  const { kind, metadata, origin } = resource;
  const at = positionOf(origin, 'metadata.name') ?? '';
  return { kind, name: `${metadata.namespace}/${metadata.name}`, at };
}

/** `from principals a or b, not namespaces c · to POST /x or /y · when request.headers[x] is 1`. */
export function ruleText({ from = [], to = [], when = [] }: Rule): string {
  const who = from.map(({ source = {} }) => fieldsText(source)).join('; or ');
  const what = to.map(({ operation = {} }) => operationText(operation)).join('; or ');
  const parts = [
    from.length === 0 ? 'from anybody' : `from ${who || 'anybody'}`,
    to.length === 0 ? '' : `to ${what || 'anything'}`,
    when.length === 0 ? '' : `when ${when.map(conditionText).join(' and ')}`,
  ];
  return parts.filter((part) => part !== '').join(' · ');
}

function operationText({ methods, paths, ...rest }: Operation): string {
  const head = [methods, paths].flatMap((values) => (values === undefined ? [] : orText(values)));
  return [head.join(' '), fieldsText(rest)].filter((part) => part !== '').join(', ');
}

function fieldsText(fields: Source | Operation): string {
  return Object.entries(fields)
    .filter((entry): entry is [string, string[]] => Array.isArray(entry[1]))
    .map(([name, values]) => `${wordsOf(name)} ${orText(values)}`)
    .join(', ');
}

function conditionText({ key, values = [], notValues = [] }: Condition): string {
  const is = values.length === 0 ? '' : ` is ${orText(values)}`;
  return `${key}${is}${notValues.length === 0 ? '' : ` is not ${orText(notValues)}`}`;
}

function orText(values: readonly string[]): string {
  return values.join(' or ');
}

/** `notPrincipals` -> `not principals`. */
function wordsOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
