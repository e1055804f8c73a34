// HTTPRoute: what the CRD of the Gateway API refuses by rules, beyond the shape.
import type {
  HttpRouteFilter,
  HttpRouteMatch,
  HttpRouteRule,
  HttpRouteSpec,
  PathModifier,
} from '../kinds/http-route.ts';
import { type Finding, joinIndex } from '../origin.ts';
import type { Resource } from '../resource.ts';
import type { Add } from './adder.ts';
import { checkBackend, checkFilters, checkValues, routeFindings } from './gateway-route.ts';
import { regexFault } from './regex.ts';
import { durationMsOf } from './request-authentication.ts';

export function validateHttpRoute(route: Resource<string, HttpRouteSpec>): Finding[] {
  return routeFindings(route, checkRule);
}

function checkRule(rule: HttpRouteRule, at: string, add: Add): void {
  const { matches, filters = [], backendRefs = [], timeouts } = rule;
  for (const [i, match] of matches.entries()) checkMatch(match, joinIndex(`${at}.matches`, i), add);
  checkHttpFilters(filters, matches, `${at}.filters`, add);
  for (const [i, ref] of backendRefs.entries()) {
    const path = joinIndex(`${at}.backendRefs`, i);
    checkBackend(ref, path, add);
    checkHttpFilters(ref.filters ?? [], matches, `${path}.filters`, add);
  }
  if (backendRefs.length > 0 && filters.some(({ type }) => type === 'RequestRedirect')) {
    add(`${at}.backendRefs`, 'backendRefs stand beside a RequestRedirect', 'remove one of them');
  }
  const { request, backendRequest } = timeouts ?? {};
  const wholeMs = durationMsOf(request ?? '') ?? 0;
  if (wholeMs > 0 && (durationMsOf(backendRequest ?? '') ?? 0) > wholeMs) {
    const message = 'the timeout of one try is longer than that of the whole request';
    add(`${at}.timeouts.backendRequest`, message, `write at most ${request}`);
  }
}

const PATH = /^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+$/;

function checkMatch({ path, headers, queryParams }: HttpRouteMatch, at: string, add: Add): void {
  const { type, value } = path;
  const where = `${at}.path.value`;
  if (type === 'RegularExpression') {
    const fault = regexFault(value);
    if (fault !== null) add(where, fault);
  } else if (!value.startsWith('/')) {
    add(where, `the path "${value}" does not begin with "/"`, `write "/${value}"`);
  } else if (/\/\/|\/\.\.?(\/|$)|%2f/i.test(value) || !PATH.test(value)) {
    add(where, `"${value}" is no plain path: no request has it after normalisation`);
  }
  checkValues(headers ?? [], `${at}.headers`, add);
  checkValues(queryParams ?? [], `${at}.queryParams`, add);
}

function checkHttpFilters(
  filters: readonly HttpRouteFilter[],
  matches: readonly HttpRouteMatch[],
  path: string,
  add: Add,
): void {
  checkFilters(filters, path, add);
  const types = filters.map(({ type }) => type);
  if (types.includes('RequestRedirect') && types.includes('URLRewrite')) {
    add(path, 'RequestRedirect stands beside URLRewrite', 'remove one of them');
  }
  for (const [i, { requestRedirect, urlRewrite, cors }] of filters.entries()) {
    const at = joinIndex(path, i);
    checkPathModifier(requestRedirect?.path, matches, `${at}.requestRedirect.path`, add);
    checkPathModifier(urlRewrite?.path, matches, `${at}.urlRewrite.path`, add);
    for (const field of ['allowOrigins', 'allowMethods', 'allowHeaders'] as const) {
      const values: readonly string[] = cors?.[field] ?? [];
      if (values.length < 2 || !values.includes('*')) continue;
      add(`${at}.cors.${field}`, `${field} has "*" beside others`, 'keep "*" alone, or remove it');
    }
  }
}

function checkPathModifier(
  modifier: PathModifier | undefined,
  matches: readonly HttpRouteMatch[],
  at: string,
  add: Add,
): void {
  if (modifier === undefined) return;
  const { type, replaceFullPath, replacePrefixMatch } = modifier;
  const full = type === 'ReplaceFullPath';
  if (full && replaceFullPath === undefined) add(at, 'replaceFullPath is missing');
  if (!full && replacePrefixMatch === undefined) add(at, 'replacePrefixMatch is missing');
  if (full && replacePrefixMatch !== undefined) add(at, `replacePrefixMatch stands in a ${type}`);
  if (!full && replaceFullPath !== undefined) add(at, `replaceFullPath stands in a ${type}`);
  const [only] = matches;
  if (full || (matches.length === 1 && only?.path.type === 'PathPrefix')) return;
  add(at, 'ReplacePrefixMatch needs exactly one match, of a PathPrefix', 'split the rule');
}
