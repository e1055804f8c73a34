// What HTTPRoute and GRPCRoute share: what the CRDs of the Gateway API refuse by rules, beyond the shape.
import type {
  BackendObjectRef,
  HeaderFilter,
  MirrorFilter,
  ParentRef,
  SessionPersistence,
} from '../kinds/gateway-route.ts';
import { type Finding, joinIndex } from '../origin.ts';
import type { Resource } from '../resource.ts';
import { type Add, adder } from './adder.ts';
import { regexFault } from './regex.ts';
import { stickyFault } from './sticky.ts';

/** A filter of either kind. */
export interface AnyFilter {
  readonly type: string;
  readonly requestMirror?: MirrorFilter;
  readonly requestHeaderModifier?: HeaderFilter;
  readonly responseHeaderModifier?: HeaderFilter;
}

/** The field that each type of filter has. */
const fieldsByType: Readonly<Record<string, string>> = {
  RequestHeaderModifier: 'requestHeaderModifier',
  ResponseHeaderModifier: 'responseHeaderModifier',
  RequestMirror: 'requestMirror',
  RequestRedirect: 'requestRedirect',
  URLRewrite: 'urlRewrite',
  ExtensionRef: 'extensionRef',
  CORS: 'cors',
  ExternalAuth: 'externalAuth',
};
/** The others may be there several times. */
const once = new Set([
  'RequestHeaderModifier',
  'ResponseHeaderModifier',
  'RequestRedirect',
  'URLRewrite',
  'CORS',
]);
const parentsMax = 32;
const rulesMax = 16;
const matchesMax = 128;

interface AnyRule {
  readonly name?: string;
  readonly sessionPersistence?: SessionPersistence;
  readonly matches: readonly unknown[];
}

interface AnyRoute<Rule> {
  readonly parentRefs: readonly ParentRef[];
  readonly rules: readonly Rule[];
}

/** What is wrong with a route of either kind. @param checkRule what is wrong with one rule of the kind */
export function routeFindings<Rule extends AnyRule>(
  { spec, metadata }: Resource<string, AnyRoute<Rule>>,
  checkRule: (rule: Rule, at: string, add: Add) => void,
): Finding[] {
  const findings: Finding[] = [];
  const add = adder(findings, 'error', 'route-invalid');
  checkParents(spec.parentRefs, add);
  checkRuleCount(spec.rules, add);
  for (const [i, rule] of spec.rules.entries()) {
    const at = joinIndex('spec.rules', i);
    checkRule(rule, at, add);
    checkSession(rule.sessionPersistence, `${at}.sessionPersistence`, add);
  }
  const sticky = stickyFault(metadata.annotations);
  if (sticky !== null) add(sticky.path, sticky.message, sticky.mend);
  return findings;
}

function checkParents(parents: readonly ParentRef[], add: Add): void {
  if (parents.length > parentsMax) add('spec.parentRefs', `at most ${parentsMax} parents`);
  const seen = new Map<string, ParentRef[]>();
  for (const [i, parent] of parents.entries()) {
    const { group, kind, namespace = '', name } = parent;
    const key = `${group}/${kind}/${namespace}/${name}`;
    const others = seen.get(key) ?? [];
    seen.set(key, [...others, parent]);
    const same = others.find(
      ({ port, sectionName }) => port === parent.port && sectionName === parent.sectionName,
    );
    const path = joinIndex('spec.parentRefs', i);
    if (same !== undefined) add(path, `${kind} ${name} is named twice`, 'remove one of them');
    else if (others.some(whole) !== [parent].some(whole) && others.length > 0) {
      add(path, `${kind} ${name} is named whole and in part`, 'give each its port');
    }
  }
}

function whole({ port, sectionName }: ParentRef): boolean {
  return port === undefined && sectionName === undefined;
}

function checkRuleCount(rules: readonly AnyRule[], add: Add): void {
  if (rules.length > rulesMax) add('spec.rules', `at most ${rulesMax} rules are allowed`);
  const matches = rules.reduce((sum, rule) => sum + rule.matches.length, 0);
  if (matches > matchesMax) {
    add('spec.rules', `at most ${matchesMax} matches are allowed, and there are ${matches}`);
  }
  for (const [i, { name }] of rules.entries()) {
    if (name === undefined || rules.findIndex((one) => one.name === name) === i) continue;
    add(`${joinIndex('spec.rules', i)}.name`, `two rules are called "${name}"`);
  }
}

function checkSession(session: SessionPersistence | undefined, at: string, add: Add): void {
  const { type, cookieConfig, absoluteTimeout } = session ?? {};
  if (cookieConfig === undefined) return;
  if (type === 'Header') {
    add(`${at}.cookieConfig`, 'cookieConfig stands beside the type Header', 'remove one of them');
  } else if (cookieConfig.lifetimeType === 'Permanent' && absoluteTimeout === undefined) {
    add(`${at}.absoluteTimeout`, 'a cookie that is Permanent needs an absoluteTimeout', 'add it');
  }
}

export function checkBackend(ref: BackendObjectRef, path: string, add: Add): void {
  if (ref.group === '' && ref.kind === 'Service' && ref.port === undefined) {
    add(path, `Service ${ref.name} has no port`, 'add port: the number of its port');
  }
}

export function checkFilters(filters: readonly AnyFilter[], path: string, add: Add): void {
  for (const [i, filter] of filters.entries()) {
    const at = joinIndex(path, i);
    const wanted = fieldsByType[filter.type] ?? '';
    const present = Object.values(fieldsByType).filter(
      (field) => (filter as unknown as Readonly<Record<string, unknown>>)[field] !== undefined,
    );
    if (!present.includes(wanted)) add(at, `the filter ${filter.type} has no ${wanted}`);
    for (const field of present) {
      if (field !== wanted) add(`${at}.${field}`, `${field} stands in a filter ${filter.type}`);
    }
    const first = filters.findIndex(({ type }) => type === filter.type);
    if (first !== i && once.has(filter.type)) {
      add(at, `there are two filters ${filter.type}`, 'make them one');
    }
    checkHeaderFilter(filter.requestHeaderModifier, `${at}.requestHeaderModifier`, add);
    checkHeaderFilter(filter.responseHeaderModifier, `${at}.responseHeaderModifier`, add);
    if (filter.requestMirror !== undefined) checkMirror(filter.requestMirror, at, add);
  }
}

function checkHeaderFilter(filter: HeaderFilter | undefined, at: string, add: Add): void {
  for (const field of ['set', 'add'] as const) {
    const list = filter?.[field] ?? [];
    for (const [i, { name }] of list.entries()) {
      if (list.findIndex((one) => one.name === name) === i) continue;
      add(joinIndex(`${at}.${field}`, i), `"${name}" is there twice`, 'keep one of them');
    }
  }
}

function checkMirror({ backendRef, percent, fraction }: MirrorFilter, at: string, add: Add): void {
  checkBackend(backendRef, `${at}.requestMirror.backendRef`, add);
  if (percent !== undefined && fraction !== undefined) {
    add(`${at}.requestMirror`, 'percent stands beside fraction', 'remove one of them');
  }
  if (fraction !== undefined && fraction.numerator > fraction.denominator) {
    add(`${at}.requestMirror.fraction`, 'the fraction is more than the whole');
  }
}

export function checkValues(
  matches: readonly { readonly type: string; readonly name: string; readonly value: string }[],
  path: string,
  add: Add,
): void {
  for (const [i, { type, name, value }] of matches.entries()) {
    const at = joinIndex(path, i);
    const fault = type === 'RegularExpression' ? regexFault(value) : null;
    if (fault !== null) add(`${at}.value`, fault);
    if (matches.findIndex((one) => one.name === name) !== i) add(at, `"${name}" is there twice`);
  }
}
